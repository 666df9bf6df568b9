import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import * as der from '../../simulator/vault/der.ts';
import type { KeyPair } from './nats-tls.ts';

const YEAR = 31_536_000_000;
const OID = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
};

export interface Authority {
  certificate: string;
  /** A leaf for DNS names, valid for a year around now unless said otherwise. */
  issue(names: string[], validity?: { from?: number; to?: number }): KeyPair;
  /** An authority below this one. */
  intermediate(commonName: string): Authority;
}

export function createAuthority(commonName: string): Authority {
  const keys = newKeys();
  return authority(commonName, keys, certificate(commonName, commonName, keys.publicKey, keys.privateKey, ca()));
}

function authority(commonName: string, keys: { privateKey: KeyObject }, own: string): Authority {
  return {
    certificate: own,
    issue(names, { from, to } = {}) {
      const { publicKey, privateKey } = newKeys();
      return {
        certificate: certificate(commonName, names[0] ?? '', publicKey, keys.privateKey, altNames(names), from, to),
        key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
      };
    },
    intermediate(below) {
      const next = newKeys();
      return authority(below, next, certificate(commonName, below, next.publicKey, keys.privateKey, ca()));
    },
  };
}

function newKeys() {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

function ca(): Buffer {
  return der.sequence(der.oid(OID.basicConstraints), der.yes(), der.octets(der.sequence(der.yes())));
}

function altNames(names: string[]): Buffer {
  const list = names.map((name) => der.implicit(2, Buffer.from(name)));
  return der.sequence(der.oid(OID.subjectAltName), der.octets(der.sequence(...list)));
}

/** RFC 5280, section 4.1 */
function certificate(
  issuer: string,
  subject: string,
  publicKey: KeyObject,
  signer: KeyObject,
  extension: Buffer,
  from = Date.now() - YEAR / 2,
  to = Date.now() + YEAR / 2,
): string {
  const algorithm = der.sequence(der.oid(OID.ecdsaWithSha256));
  const toBeSigned = der.sequence(
    der.explicit(0, der.integer(Buffer.from([2]))),
    der.integer(Buffer.from([1])),
    algorithm,
    distinguishedName(issuer),
    der.sequence(der.time(new Date(from)), der.time(new Date(to))),
    distinguishedName(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der.explicit(3, der.sequence(extension)),
  );
  const signed = der.sequence(toBeSigned, algorithm, der.bits(sign('sha256', toBeSigned, signer)));
  return `-----BEGIN CERTIFICATE-----\n${signed.toString('base64')}\n-----END CERTIFICATE-----\n`;
}

function distinguishedName(commonName: string): Buffer {
  return der.sequence(der.set(der.sequence(der.oid(OID.commonName), der.utf8(commonName))));
}
