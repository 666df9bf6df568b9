import type { HttpRequest, HttpResponse, Transport } from '../../src/http/transport.ts';
import type { Json, JsonObject } from '../../src/json.ts';
import { createVaultClient, type VaultConnection } from '../../src/vault/client.ts';
import { fakeClock } from '../fakes/clock.ts';

/** A token that no message may ever show. */
export const TOKEN = 'hvs.CAESIJ-top-secret';

export function answer(status: number, body: Json = null, headers: { [name: string]: string } = {}): HttpResponse {
  const text = body === null ? '' : typeof body === 'string' ? body : JSON.stringify(body);
  return { status, headers, body: text };
}

/** Node's error of a connection that failed. */
export function connectionError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

export type Handler = (request: HttpRequest, count: number) => HttpResponse | Error;

/** A client whose transport answers by the handler; an Error is a connection that failed. */
export function fakeVault(handler: Handler, connection: Partial<VaultConnection> = {}) {
  const requests: HttpRequest[] = [];
  const told: string[] = [];
  const clock = fakeClock();
  const transport: Transport = {
    async send(request) {
      requests.push(request);
      const outcome = handler(request, requests.length);
      if (outcome instanceof Error) throw outcome;
      return outcome;
    },
  };
  const client = createVaultClient({
    transport,
    pathPrefix: '',
    namespace: '',
    clock,
    progress: (message) => told.push(message),
    ...connection,
  });
  client.setToken(TOKEN);
  return { client, requests, clock, told };
}

/**
 * Vault's storage as OpenBao 2.6.2 showed it: a write replaces a PKI role (defaults and all) and merges into an auth
 * role, lists come back as they were sent or as null, and durations as seconds.
 */
export function storedVault(stored: { [path: string]: JsonObject } = {}) {
  const store = new Map(Object.entries(stored));
  const vault = fakeVault(({ method, path, body }) => {
    const key = path.replace('/v1/', '');
    const live = store.get(key);
    if (method === 'GET') return live === undefined ? answer(404, { errors: [] }) : answer(200, { data: live });
    if (method === 'DELETE') store.delete(key);
    if (method === 'POST' && typeof body === 'object' && !Array.isArray(body)) {
      store.set(key, key.startsWith('auth/') ? { ...AUTH_ROLE, ...live, ...body } : { ...PKI_ROLE, ...body });
    }
    return answer(204);
  });
  const writes = () => vault.requests.filter((request) => request.method !== 'GET');
  return { ...vault, store, writes };
}

const PKI_ROLE = {
  allow_any_name: false,
  allowed_uri_sans: null,
  allowed_other_sans: null,
  ou: [],
  not_before_duration: 30,
};
const AUTH_ROLE = { token_num_uses: 0, token_bound_cidrs: [], alias_name_source: 'serviceaccount_uid' };
