import type { Inputs } from '../inputs/table.ts';
import { MANAGER } from '../manager.ts';
import type { Identity } from './identities.ts';
import { issuerName, type Names, podHosts, ROLES, userName } from './names.ts';
import type { DesiredVault, VaultObject } from './state.ts';

/** Starts the first line of the policy; "clusterUid/namespace/name" of the owner follows. */
export const OWNER_MARK = `# ${MANAGER} owner: `;

/**
 * The field by which a PKI role tells the same, in a URI. No other one can hold it without a trace in the certificates:
 * this one only allows the URI as a name, which no request asks for and no NATS user has.
 */
export const OWNER_FIELD = 'allowed_uri_sans';

/** Starts that URI. */
export const OWNER_URI = `${MANAGER}://`;

/** Seconds that a token of cert-manager lives: long enough to sign one certificate. */
const ISSUER_TOKEN_SECONDS = 120;

/**
 * What Vault needs to sign for this cluster: a PKI role for each identity that no ClusterIssuer signs, and a login for
 * cert-manager that may do nothing but sign by them. `clusterUid` tells, with namespace and name, whose these objects are;
 * `adopted` that the Terraform module's are taken over.
 */
export function vaultObjects(
  inputs: Inputs,
  names: Names,
  identities: Identity[],
  clusterUid: string,
  adopted = false,
): DesiredVault {
  const own = identities.filter(({ clusterIssuer }) => clusterIssuer === null);
  const owner = `${clusterUid}/${names.namespace}/${names.cluster}`;
  const pkiMount = inputs.vault_internal_pki_backend_mount_path.split('/');
  return {
    owner,
    adopted,
    pkiMount,
    authPath: inputs.vault_kubernetes_auth_path.split('/'),
    clients: {
      users: ROLES.map((role) => userName(names.cluster, role)),
      // A ClusterIssuer has a role that signs the servers' names, and is meant to.
      hosts: inputs.certificate_issuer === null && inputs.replicas > 1 ? podHosts(names, inputs.replicas) : [],
    },
    pkiRoles: own.map((identity) => pkiRole(pkiMount, names, identity, owner)),
    policy: { name: names.vaultPolicy, rules: policyRules(inputs, names, own, owner) },
    authRole: authRole(inputs, names),
  };
}

/** Where Vault signs by the PKI role of an identity. */
export function signPath(inputs: Inputs, names: Names, { purpose }: Identity): string {
  return `${inputs.vault_internal_pki_backend_mount_path}/sign/${issuerName(names.cluster, purpose)}`;
}

/**
 * A PKI role that signs exactly the names of one identity: no subdomain, wildcard, IP address or other name.
 * https://developer.hashicorp.com/vault/api-docs/secret/pki#create-update-role
 */
function pkiRole(pkiMount: string[], names: Names, identity: Identity, owner: string): VaultObject {
  const { purpose, dnsNames, usages, lifetimeHours } = identity;
  return {
    path: [...pkiMount, 'roles', issuerName(names.cluster, purpose)],
    parameters: {
      allowed_domains: dnsNames.filter((name) => name !== 'localhost'),
      client_flag: usages.includes('client auth'),
      server_flag: usages.includes('server auth'),
      allow_localhost: dnsNames.includes('localhost'),
      ttl: lifetimeHours * 3600,
      max_ttl: lifetimeHours * 3600,
      allow_bare_domains: true,
      allow_subdomains: false,
      allow_glob_domains: false,
      allow_any_name: false,
      allow_wildcard_certificates: false,
      enforce_hostnames: true,
      allow_ip_sans: false,
      [OWNER_FIELD]: [OWNER_URI + owner],
      allowed_other_sans: [],
      allowed_serial_numbers: [],
      code_signing_flag: false,
      email_protection_flag: false,
      require_cn: false,
      use_csr_common_name: true,
      use_csr_sans: true,
      key_type: 'ec',
      key_bits: 256,
      key_usage: ['DigitalSignature'],
      generate_lease: false,
      no_store: true,
    },
  };
}

function policyRules(inputs: Inputs, names: Names, identities: Identity[], owner: string): string {
  const rules = identities.map(
    (identity) => `path "${signPath(inputs, names, identity)}" { capabilities = ["update"] }\n`,
  );
  return `${OWNER_MARK}${owner}\n${rules.join('')}`;
}

/** https://developer.hashicorp.com/vault/api-docs/auth/kubernetes#create-update-role */
function authRole(inputs: Inputs, names: Names): VaultObject {
  return {
    path: ['auth', ...inputs.vault_kubernetes_auth_path.split('/'), 'role', names.vaultPolicy],
    parameters: {
      bound_service_account_names: [names.issuerAccount],
      bound_service_account_namespaces: [names.namespace],
      audience: names.audience,
      token_policies: [names.vaultPolicy],
      token_no_default_policy: true,
      token_ttl: ISSUER_TOKEN_SECONDS,
      token_max_ttl: ISSUER_TOKEN_SECONDS,
      token_bound_cidrs: inputs.vault_token_bound_cidrs,
    },
  };
}
