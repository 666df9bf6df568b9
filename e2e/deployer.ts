import type { Provider } from '../simulator/github-oidc.ts';
import type { Values } from '../simulator/runner.ts';
import { digText } from '../src/json.ts';
import { kubeconfig, vault, vaultToken } from './cluster.ts';
import { type VaultRule, vaultLineOf } from './permissions-page.ts';

const policy = 'e2e-deployer';
const jwtPath = 'e2e-jwt';

/** Where every run of a test goes, and the end of its patience: seconds. */
const target: Values = { kubeconfig, timeout: '150' };

/** Inputs of a job that may do everything; the rest are the defaults of action.yml. */
export const asRoot = (): Values => ({ ...target, vault_auth_method: 'token', vault_token: vaultToken() });

/** Writes the least policy that the action needs for the clusters of those namespaces: what its documentation tells. */
export async function allowDeployments(namespaces: string[]): Promise<void> {
  const rules = [
    'path "pki/internal/roles/nats-*" { capabilities = ["read", "update"] }',
    ...namespaces.flatMap((namespace) => [
      `path "sys/policies/acl/${namespace}-issuer-*" { capabilities = ["read", "update"] }`,
      `path "auth/kubernetes/role/${namespace}-issuer-*" { capabilities = ["read", "create", "update"] }`,
    ]),
  ];
  await vault().call('PUT', `sys/policies/acl/${policy}`, { policy: rules.join('\n') });
}

/** Has Vault trust the provider's jobs; returns the inputs by which a job logs in with its own token. */
export async function trustJobs({ publicKey, issuer, claims }: Provider): Promise<Values> {
  await vault().call('DELETE', `sys/auth/${jwtPath}`);
  await vault().call('POST', `sys/auth/${jwtPath}`, { type: 'jwt' });
  await vault().call('POST', `auth/${jwtPath}/config`, {
    jwt_validation_pubkeys: [publicKey],
    bound_issuer: issuer,
  });
  await vault().call('POST', `auth/${jwtPath}/role/deployer`, {
    role_type: 'jwt',
    user_claim: 'repository',
    bound_audiences: ['https://vault.acme.example'],
    bound_claims: { repository: claims.repository, ref: claims.ref },
    token_policies: [policy],
    token_ttl: 900,
  });
  return {
    ...target,
    vault_auth_method: 'jwt',
    vault_auth_path: jwtPath,
    vault_role: 'deployer',
    vault_jwt_audience: 'https://vault.acme.example',
  };
}

/** A Vault token that may deploy and nothing else. */
export async function deployerToken(): Promise<string> {
  const { auth } = await vault().call('POST', 'auth/token/create', { policies: [policy], ttl: '1h' });
  if (typeof auth !== 'object' || auth === null || !('client_token' in auth)) throw new Error('Vault gave no token');
  return String(auth.client_token);
}

/** A Vault token that has these rules in its only policy, and not the policy `default`. */
export async function tokenWith(policy: string, rules: VaultRule[]): Promise<string> {
  await vault().call('PUT', `sys/policies/acl/e2e-${policy}`, { policy: rules.map(vaultLineOf).join('\n') });
  const { auth } = await vault().call('POST', 'auth/token/create', {
    policies: [`e2e-${policy}`],
    no_default_policy: true,
    display_name: policy,
    ttl: '30m',
  });
  return digText(auth, 'client_token');
}

/** Takes back what allowDeployments and trustJobs set up. */
export async function forgetDeployer(): Promise<void> {
  await vault().call('DELETE', `sys/auth/${jwtPath}`);
  await vault().call('DELETE', `sys/policies/acl/${policy}`);
}
