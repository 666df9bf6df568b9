import type { Inputs } from './table.ts';

/** http(s)://SERVICE.NAMESPACE.svc[.cluster.local][:PORT], the form that the API server's service proxy can reach. */
const CLUSTER_SERVICE = /^https?:\/\/[a-z0-9-]+\.[a-z0-9-]+\.svc(\.cluster\.local)?(:\d+)?$/;

type Check = (inputs: Partial<Inputs>) => string | null;

/** Rules between inputs. An input that could not be read is absent here, and has been reported already. */
const CHECKS: Check[] = [
  ({ vault_auth_method, vault_token }) =>
    vault_auth_method === 'token' && vault_token === null
      ? 'vault_token is missing: vault_auth_method token needs it'
      : null,
  ({ vault_auth_method, vault_role_id }) =>
    vault_auth_method === 'approle' && vault_role_id === null
      ? 'vault_role_id is missing: vault_auth_method approle needs it'
      : null,
  ({ vault_auth_method, vault_secret_id }) =>
    vault_auth_method === 'approle' && vault_secret_id === null
      ? 'vault_secret_id is missing: vault_auth_method approle needs it'
      : null,
  ({ vault_auth_method, vault_role }) =>
    (vault_auth_method === 'jwt' || vault_auth_method === 'kubernetes') && vault_role === null
      ? `vault_role is missing: vault_auth_method ${vault_auth_method} needs it`
      : null,
  ({ vault_url, vault_internal_url }) =>
    vault_url === null && vault_internal_url !== undefined && !CLUSTER_SERVICE.test(vault_internal_url)
      ? `vault_url is missing: vault_internal_url "${vault_internal_url}" is no service of the cluster ` +
        '(http://SERVICE.NAMESPACE.svc:PORT), so the Kubernetes API server cannot pass requests on to it'
      : null,
  ({ persistence_initial_storage_gb: initial, persistence_storage_limit_gb: limit }) =>
    typeof limit === 'number' && initial !== undefined && limit < initial
      ? `persistence_storage_limit_gb "${limit}" must not be less than persistence_initial_storage_gb, which is ${initial}`
      : null,
];

/** @returns a sentence for each rule that is broken */
export function crossCheck(inputs: Partial<Inputs>): string[] {
  return CHECKS.map((check) => check(inputs)).filter((finding) => finding !== null);
}
