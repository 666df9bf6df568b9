import type { DesiredVault } from '../desired/state.ts';
import { together } from '../together.ts';
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

/**
 * Writes what differs, and resolves to what was written. The policy is first: its first line is the owner's mark, by
 * which the next run knows what an interrupted one left. Nobody can log in before the last write, the auth role.
 *
 * Vault has no compare-and-set for these objects. What another writer made meanwhile is seen right before each write,
 * and once more after the last: of two that write in the same moment the one that was overwritten goes no further.
 */
export async function applyVault(client: VaultClient, desired: DesiredVault): Promise<VaultChange[]> {
  const written: VaultChange[] = [];
  for (const kind of ['policy', 'pkiRole', 'authRole'] as const) {
    const wave = (await planVault(client, desired)).filter((change) => change.kind === kind);
    await together(wave.map((change) => client.write(change.path, change.body)));
    written.push(...wave);
  }
  await planVault(client, desired);
  return written;
}
