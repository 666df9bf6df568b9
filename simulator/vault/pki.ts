import type { KeyObject } from 'node:crypto';
import type { JsonObject } from '../../src/json.ts';
import { type Authority, createAuthority } from './authority.ts';
import { decodeParameters, initialValues, PKI_ROLE } from './parameters.ts';
import { VaultError } from './responses.ts';

export interface SignRequest {
  role: string;
  commonName: string;
  dnsNames: string[];
  publicKey: KeyObject;
  /** Wanted lifetime in seconds; the role's max_ttl caps it. */
  ttl: number;
}

export interface SignedCertificate {
  certificate: string;
  notBefore: Date;
  notAfter: Date;
}

const KEY_TYPES = new Set(['rsa', 'ec', 'ed25519', 'any']);
const DEFAULT_TTL = 32 * 86_400;

/** A PKI secrets engine with one CA. Certificates are signed for the simulated cert-manager only; there is no sign/ path. */
export class PkiEngine {
  readonly authority: Authority;
  readonly roles = new Map<string, JsonObject>();

  /** Makes a CA, unless it shares that of another one. */
  constructor(mount: string, authority?: Authority) {
    this.authority = authority ?? createAuthority(mount.split('/').at(-1) ?? mount);
  }

  /** Replaces the whole role: parameters that are not given fall back to their defaults, which depend on key_type. */
  writeRole(name: string, given: JsonObject): JsonObject {
    const decoded = decodeParameters(PKI_ROLE, given);
    const role: JsonObject = {
      ...initialValues(PKI_ROLE),
      ...(decoded.key_type === 'ec' ? { signature_bits: 0 } : {}),
      ...decoded,
    };
    if (!KEY_TYPES.has(String(role.key_type))) {
      throw new VaultError(400, `unknown key type ${String(role.key_type)}`);
    }
    this.roles.set(name, role);
    return role;
  }

  /** Signs what the role allows, by the rules for bare domains, subdomains, localhost and any name. */
  sign(request: SignRequest): SignedCertificate {
    const role = this.roles.get(request.role);
    if (role === undefined) {
      throw new VaultError(400, `unknown role: ${request.role}`);
    }
    if (!allows(role, request.commonName)) {
      throw new VaultError(400, `common name ${request.commonName} not allowed by this role`);
    }
    const refused = request.dnsNames.find((name) => !allows(role, name));
    if (refused !== undefined) {
      throw new VaultError(400, `subject alternate name ${refused} not allowed by this role`);
    }
    const longest = Number(role.max_ttl) || DEFAULT_TTL;
    const notBefore = new Date(Date.now() - 1000 * Number(role.not_before_duration));
    const notAfter = new Date(Date.now() + 1000 * Math.min(request.ttl, longest));
    const certificate = this.authority.issue({
      commonName: request.commonName,
      dnsNames: request.dnsNames,
      publicKey: request.publicKey,
      serverAuth: role.server_flag === true,
      clientAuth: role.client_flag === true,
      notBefore,
      notAfter,
    });
    return { certificate, notBefore, notAfter };
  }
}

function allows(role: JsonObject, name: string): boolean {
  const domains = Array.isArray(role.allowed_domains) ? role.allowed_domains.map(String) : [];
  return (
    role.allow_any_name === true ||
    (role.allow_localhost === true && name === 'localhost') ||
    (role.allow_bare_domains === true && domains.includes(name)) ||
    (role.allow_subdomains === true && domains.some((domain) => name.endsWith(`.${domain}`)))
  );
}
