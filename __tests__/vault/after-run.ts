import type { JsonObject } from '../../src/json.ts';
import { applyVault } from '../../src/vault/plan.ts';
import { desiredVault } from './desired.ts';
import { storedVault } from './fake-vault.ts';

export const ADMIN = 'pki/internal/roles/nats-admin-nats-a';
export const SERVER = 'pki/internal/roles/nats-server-nats-a';
export const POLICY = 'sys/policies/acl/demo-issuer-nats-a';
export const AUTH = 'auth/kubernetes/role/demo-issuer-nats-a';

/** Vault after a run of the cluster; the changes are what somebody did to it since. */
export async function afterRun(changes: { [path: string]: JsonObject | null } = {}) {
  const vault = storedVault();
  await applyVault(vault.client, desiredVault());
  for (const [path, fields] of Object.entries(changes)) {
    if (fields === null) vault.store.delete(path);
    else vault.store.set(path, { ...vault.store.get(path), ...fields });
  }
  vault.requests.length = 0;
  return vault;
}
