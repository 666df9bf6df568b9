import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import * as der from './der.ts';

const OID = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
};
const DIGITAL_SIGNATURE = der.bits(Buffer.from([0x80]), 7);
const CERTIFICATE_AND_CRL_SIGN = der.bits(Buffer.from([0x06]), 1);
const DAY = 86_400_000;

export interface CertificateRequest {
  commonName: string;
  dnsNames: string[];
  publicKey: KeyObject;
  serverAuth: boolean;
  clientAuth: boolean;
  notBefore: Date;
  notAfter: Date;
}

/** A certificate authority with an EC P-256 key. */
export interface Authority {
  /** Its own certificate, PEM. */
  certificate: string;
  /** Signs a certificate; PEM. What it may contain is for the caller to judge. */
  issue(request: CertificateRequest): string;
}

export function createAuthority(commonName: string): Authority {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = name(commonName);
  const own = certificate(privateKey, {
    issuer,
    subject: issuer,
    publicKey,
    notBefore: new Date(Date.now() - DAY),
    notAfter: new Date(Date.now() + 3650 * DAY),
    extensions: [
      extension(OID.keyUsage, CERTIFICATE_AND_CRL_SIGN, true),
      extension(OID.basicConstraints, der.sequence(der.yes()), true),
    ],
  });
  return {
    certificate: own,
    issue: (request) =>
      certificate(privateKey, {
        issuer,
        subject: name(request.commonName),
        publicKey: request.publicKey,
        notBefore: request.notBefore,
        notAfter: request.notAfter,
        extensions: leafExtensions(request),
      }),
  };
}

function leafExtensions(request: CertificateRequest): Buffer[] {
  const usages = [
    ...(request.serverAuth ? [der.oid(OID.serverAuth)] : []),
    ...(request.clientAuth ? [der.oid(OID.clientAuth)] : []),
  ];
  const names = request.dnsNames.map((dnsName) => der.implicit(2, Buffer.from(dnsName)));
  return [
    extension(OID.keyUsage, DIGITAL_SIGNATURE, true),
    extension(OID.extendedKeyUsage, der.sequence(...usages), false),
    extension(OID.subjectAltName, der.sequence(...names), false),
  ];
}

interface Content {
  issuer: Buffer;
  subject: Buffer;
  publicKey: KeyObject;
  notBefore: Date;
  notAfter: Date;
  extensions: Buffer[];
}

/** RFC 5280, section 4.1 */
function certificate(signer: KeyObject, content: Content): string {
  const algorithm = der.sequence(der.oid(OID.ecdsaWithSha256));
  const toBeSigned = der.sequence(
    der.explicit(0, der.integer(Buffer.from([2]))),
    der.integer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    algorithm,
    content.issuer,
    der.sequence(der.time(content.notBefore), der.time(content.notAfter)),
    content.subject,
    content.publicKey.export({ type: 'spki', format: 'der' }),
    der.explicit(3, der.sequence(...content.extensions)),
  );
  const signed = der.sequence(toBeSigned, algorithm, der.bits(sign('sha256', toBeSigned, signer)));
  const lines = signed.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function name(commonName: string): Buffer {
  return der.sequence(der.set(der.sequence(der.oid(OID.commonName), der.utf8(commonName))));
}

function extension(oid: string, value: Uint8Array, isCritical: boolean): Buffer {
  return der.sequence(der.oid(oid), ...(isCritical ? [der.yes()] : []), der.octets(value));
}
