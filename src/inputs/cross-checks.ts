import { unknownVersions } from '../nats/versions.ts';
import type { Inputs } from './table.ts';

/** http(s)://SERVICE.NAMESPACE.svc[.cluster.local][:PORT], the form that the API server's service proxy can reach. */
const CLUSTER_SERVICE = /^https?:\/\/[a-z0-9-]+\.[a-z0-9-]+\.svc(\.cluster\.local)?(:\d+)?$/;

/** What each login needs. */
const NEEDED: {
  [Method in Inputs['vault_auth_method']]: ('vault_role' | 'vault_token' | 'vault_role_id' | 'vault_secret_id')[];
} = {
  jwt: ['vault_role'],
  token: ['vault_token'],
  approle: ['vault_role_id', 'vault_secret_id'],
  kubernetes: ['vault_role'],
};

/**
 * The rules between inputs. An input that could not be read is absent, and has been reported already.
 *
 * @returns a sentence for each rule that is broken
 */
export function crossCheck(inputs: Partial<Inputs>): string[] {
  return [
    ...unknownVersions(inputs),
    ...checkLogin(inputs),
    ...checkVaultUrl(inputs),
    ...checkStorageLimit(inputs),
    ...checkPullThrough(inputs),
    ...checkNetworkPolicy(inputs),
    ...checkConsent(inputs),
    ...checkDrift(inputs),
  ];
}

function checkLogin({ vault_auth_method: method, ...inputs }: Partial<Inputs>): string[] {
  if (method === undefined) return [];
  return NEEDED[method]
    .filter((name) => inputs[name] === null)
    .map((name) => `${name} is missing: vault_auth_method ${method} needs it`);
}

function checkVaultUrl({ vault_url, vault_internal_url }: Partial<Inputs>): string[] {
  if (vault_url !== null || vault_internal_url === undefined || CLUSTER_SERVICE.test(vault_internal_url)) return [];
  return [
    `vault_url is missing: vault_internal_url "${vault_internal_url}" is no service of the cluster ` +
      '(http://SERVICE.NAMESPACE.svc:PORT), so the Kubernetes API server cannot pass requests on to it',
  ];
}

function checkStorageLimit(inputs: Partial<Inputs>): string[] {
  const { persistence_initial_storage_gb: initial, persistence_storage_limit_gb: limit } = inputs;
  if (initial === undefined || limit === undefined || limit === null || limit >= initial) return [];
  return [
    `persistence_storage_limit_gb "${limit}" must not be less than persistence_initial_storage_gb, which is ${initial}`,
  ];
}

/** Without the cache nothing would go by its registry. */
function checkPullThrough({
  pull_through_registry: registry,
  pull_through_cache_enabled: enabled,
}: Partial<Inputs>): string[] {
  if (!registry || enabled !== false) return [];
  return [`pull_through_registry "${registry}" needs pull_through_cache_enabled: true`];
}

/** Consent to a loss must not lie around in a step that does something else today. */
function checkConsent({ mode, ...inputs }: Partial<Inputs>): string[] {
  if (mode === undefined || mode === 'destroy') return [];
  return (['delete_data', 'delete_namespace'] as const)
    .filter((name) => inputs[name] === true)
    .map((name) => `${name} is for mode destroy only, and mode is ${mode}`);
}

function checkNetworkPolicy(inputs: Partial<Inputs>): string[] {
  const { network_policy_enabled: enabled, network_policy_clients: clients = [] } = inputs;
  if (enabled !== false || clients.length === 0) return [];
  return ['network_policy_clients needs network_policy_enabled: true'];
}

function checkDrift({ mode, fail_on_drift: fails }: Partial<Inputs>): string[] {
  return fails === true && mode !== undefined && mode !== 'plan' ? ['fail_on_drift needs mode: plan'] : [];
}
