import type { Json, JsonObject } from '../../src/json.ts';

/** How Vault reads a parameter and gives it back. */
export type ParameterType = 'boolean' | 'integer' | 'text' | 'list' | 'map' | 'seconds';

export interface Parameter {
  type: ParameterType;
  /** What an unset parameter reads as. */
  initial: Json;
}

export type Schema = { [name: string]: Parameter };

const parameter = (type: ParameterType, initial: Json): Parameter => ({ type, initial });
const no = parameter('boolean', false);
const yes = parameter('boolean', true);
const seconds = parameter('seconds', 0);
const text = parameter('text', '');
const list = parameter('list', []);

/** A role of the PKI secrets engine, with the defaults that OpenBao 2.6.2 answers. */
export const PKI_ROLE: Schema = {
  allow_any_name: no,
  allow_bare_domains: no,
  allow_glob_domains: no,
  allow_globs_in_identity_templates: no,
  allow_ip_sans: yes,
  allow_localhost: yes,
  allow_subdomains: no,
  allow_token_displayname: no,
  allow_wildcard_certificates: yes,
  allowed_domains: list,
  allowed_domains_template: no,
  allowed_ip_sans_cidr: list,
  allowed_other_sans: list,
  allowed_serial_numbers: list,
  allowed_uri_sans: list,
  allowed_uri_sans_template: no,
  allowed_user_ids: list,
  basic_constraints_valid_for_non_ca: no,
  client_flag: yes,
  cn_validations: parameter('list', ['email', 'hostname']),
  code_signing_flag: no,
  country: list,
  email_protection_flag: no,
  enforce_hostnames: yes,
  ext_key_usage: list,
  ext_key_usage_oids: list,
  generate_lease: no,
  issuer_ref: parameter('text', 'default'),
  key_bits: parameter('integer', 2048),
  key_type: parameter('text', 'rsa'),
  key_usage: parameter('list', ['DigitalSignature', 'KeyAgreement', 'KeyEncipherment']),
  locality: list,
  max_ttl: seconds,
  no_store: no,
  not_after: text,
  not_after_bound: parameter('text', 'permit'),
  not_before: text,
  not_before_bound: parameter('text', 'permit'),
  not_before_duration: parameter('seconds', 30),
  organization: list,
  ou: list,
  policy_identifiers: list,
  postal_code: list,
  province: list,
  require_cn: yes,
  server_flag: yes,
  signature_bits: parameter('integer', 256),
  street_address: list,
  ttl: seconds,
  use_csr_common_name: yes,
  use_csr_sans: yes,
  use_pss: no,
};

/** What the roles of every auth method have. */
const TOKEN_ROLE: Schema = {
  token_bound_cidrs: list,
  token_explicit_max_ttl: seconds,
  token_max_ttl: seconds,
  token_no_default_policy: no,
  token_num_uses: parameter('integer', 0),
  token_period: seconds,
  token_policies: list,
  token_strictly_bind_ip: no,
  token_ttl: seconds,
  token_type: parameter('text', 'default'),
};

/** Roles of the auth methods, by the method's type. */
export const AUTH_ROLES: { [type: string]: Schema } = {
  kubernetes: {
    ...TOKEN_ROLE,
    alias_name_source: parameter('text', 'serviceaccount_uid'),
    audience: text,
    bound_service_account_names: list,
    bound_service_account_namespace_selector: text,
    bound_service_account_namespaces: list,
  },
  jwt: {
    ...TOKEN_ROLE,
    role_type: parameter('text', 'jwt'),
    bound_audiences: list,
    bound_claims: parameter('map', null),
    user_claim: text,
  },
  approle: { ...TOKEN_ROLE, bind_secret_id: yes },
};

export function initialValues(schema: Schema): JsonObject {
  return Object.fromEntries(Object.entries(schema).map(([name, { initial }]) => [name, initial]));
}

/** The given parameters as Vault reads them back; parameters that the schema has not are ignored, as Vault does. */
export function decodeParameters(schema: Schema, given: JsonObject): JsonObject {
  const result: JsonObject = {};
  for (const [name, value] of Object.entries(given)) {
    const declared = schema[name];
    if (declared !== undefined && value !== undefined) {
      result[name] = value === null ? declared.initial : DECODERS[declared.type](value);
    }
  }
  return result;
}

const DECODERS: { [type in ParameterType]: (value: Json) => Json } = {
  boolean: (value) => value === true || value === 'true' || value === '1' || value === 1,
  integer: (value) => Number(value),
  text: (value) => String(value),
  list: (value) => (Array.isArray(value) ? value : splitList(String(value))),
  map: (value) => value,
  seconds: (value) => (typeof value === 'number' ? value : secondsOf(value)),
};

function splitList(value: string): string[] {
  return value.split(',').filter((item) => item !== '');
}

const UNIT_SECONDS: { [unit: string]: number } = { s: 1, m: 60, h: 3600, d: 86_400 };

/** "16h", "1h30m", "120": a Vault duration in seconds. */
export function secondsOf(value: Json): number {
  const duration = String(value);
  if (/^\d+$/.test(duration)) {
    return Number(duration);
  }
  return [...duration.matchAll(/(\d+)([smhd])/g)].reduce(
    (total, [, amount, unit]) => total + Number(amount) * (UNIT_SECONDS[unit ?? ''] ?? 0),
    0,
  );
}
