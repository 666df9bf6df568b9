import { systemClock } from '../src/clock.ts';
import { createPool } from '../src/http/pool.ts';
import { createVaultClient, type VaultClient } from '../src/vault/client.ts';
import { vaultToken } from './cluster.ts';

/** The action's own Vault client, with a token that may do everything, and what ends its connections. */
export function vaultClient(): { client: VaultClient; close(): void } {
  const pool = createPool({
    url: 'http://vault-active.vault.svc.cluster.local:8200',
    credentials: async () => ({ headers: {}, tls: {} }),
    userAgent: 'e2e',
  });
  const clock = systemClock(new AbortController().signal);
  const client = createVaultClient({ transport: pool, pathPrefix: '', namespace: '', clock, progress: () => {} });
  client.setToken(vaultToken());
  return { client, close: () => pool.close() };
}
