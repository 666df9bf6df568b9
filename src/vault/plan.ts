import type { DesiredVault } from '../desired/state.ts';
import type { VaultClient } from './client.ts';
import { diffVault, readVault, type VaultChange } from './objects.ts';
import { checkOwnership } from './ownership.ts';

/** What has to be written to Vault, without a write. Throws a Problem (conflict) for objects that are not this cluster's. */
export async function planVault(client: VaultClient, desired: DesiredVault): Promise<VaultChange[]> {
  const live = await readVault(client, desired);
  const changes = diffVault(desired, live);
  checkOwnership(desired, live, changes);
  return changes;
}
