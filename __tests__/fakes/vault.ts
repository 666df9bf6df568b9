import type { JsonObject } from '../../src/json.ts';
import type { VaultClient } from '../../src/vault/client.ts';

export interface FakeVaultClient extends VaultClient {
  /** What is stored, by path: "pki/internal/roles/nats-admin-nats-a". */
  store: Map<string, JsonObject>;
  /** Paths of all writes but logins and questions. */
  writes: string[];
  /** PEM of the CA at every PKI mount. */
  authority: string;
  sealed: boolean;
  /** The token that is sent at present. */
  token: string | null;
}

/** A healthy Vault that allows everything, keeps what is written, and gives a token to who logs in. */
export function fakeVaultClient(journal: string[] = []): FakeVaultClient {
  const fake: FakeVaultClient = {
    store: new Map(),
    writes: [],
    authority: '',
    sealed: false,
    token: null,
    async read(path) {
      const data = fake.store.get(path.join('/'));
      return data === undefined ? null : { data: structuredClone(data) };
    },
    async list(path) {
      const prefix = `${path.join('/')}/`;
      const below = [...fake.store.keys()].filter((key) => key.startsWith(prefix));
      return below.map((key) => key.slice(prefix.length));
    },
    async readText(path) {
      return path.at(-1) === 'ca_chain' ? fake.authority : null;
    },
    async write(path, body) {
      const key = path.join('/');
      if (key.endsWith('/login')) return { auth: { client_token: 'hvs.minted', token_type: 'service' } };
      if (key === 'sys/capabilities-self') return { data: allowedAt(body.paths) };
      fake.writes.push(key);
      journal.push(`vault ${key}`);
      fake.store.set(key, structuredClone(body));
      return null;
    },
    async delete(path) {
      const key = path.join('/');
      if (!fake.store.delete(key)) return;
      fake.writes.push(`delete ${key}`);
      journal.push(`vault delete ${key}`);
    },
    health: async () => ({ initialized: true, sealed: fake.sealed, standby: false, version: '1.20.0' }),
    setToken(token) {
      fake.token = token;
    },
  };
  return fake;
}

function allowedAt(paths: JsonObject[string]): JsonObject {
  return Object.fromEntries((Array.isArray(paths) ? paths : []).map((path) => [String(path), ['root']]));
}
