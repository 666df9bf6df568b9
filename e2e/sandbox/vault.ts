import { readFileSync, writeFileSync } from 'node:fs';
import type { JsonObject } from '../../src/json.ts';
import type { KubeApi, KubeRequest, Method } from './kube-api.ts';
import { certificateFile, keyFile } from './pki.ts';
import { apiServiceAddress, paths } from './topology.ts';

const proxy = '/api/v1/namespaces/vault/services/http:vault-active:8200/proxy/v1';

/** The sandbox's Vault by the API server's service proxy. */
export class Vault {
  readonly #api: KubeApi;
  readonly #token: string | undefined;

  constructor(api: KubeApi, token?: string) {
    this.#api = api;
    this.#token = token;
  }

  /** One call of Vault's API: "sys/health", with the token, if any. Rejects with KubeApiError on a status of 400 and above. */
  call(method: Method, path: string, body?: JsonObject): Promise<JsonObject> {
    const headers = this.#token === undefined ? {} : { 'X-Vault-Token': this.#token };
    const call: KubeRequest = { method, path: `${proxy}/${path}`, headers };
    return this.#api.call(body === undefined ? call : { ...call, body });
  }

  /** Whether it is initialised and unsealed. */
  async isOpen(): Promise<boolean> {
    const { initialized, sealed } = await this.call('GET', 'sys/seal-status');
    return initialized === true && sealed === false;
  }
}

/** The Secret with the certificate of Vault's TLS listener. */
export function vaultTlsSecret(): JsonObject {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'vault-tls', namespace: 'vault' },
    type: 'kubernetes.io/tls',
    stringData: {
      'tls.crt': readFileSync(certificateFile('vault'), 'utf8'),
      'tls.key': readFileSync(keyFile('vault'), 'utf8'),
    },
  };
}

/** Initialises Vault with one unseal key, keeps key and root token in files, and sets up what a cluster's Vault has. */
export async function initialiseVault(api: KubeApi): Promise<void> {
  const { keys_base64, root_token } = await new Vault(api).call('PUT', 'sys/init', {
    secret_shares: 1,
    secret_threshold: 1,
  });
  const [key] = Array.isArray(keys_base64) ? keys_base64 : [];
  if (typeof key !== 'string' || typeof root_token !== 'string')
    throw new Error('Vault gave no unseal key or root token');
  writeFileSync(paths.vaultUnsealKey, key, { mode: 0o600 });
  writeFileSync(paths.vaultToken, root_token, { mode: 0o600 });
  await unseal(api, key);
  await setUp(new Vault(api, root_token));
}

/** Unseals Vault with the one key there is. */
export async function unseal(api: KubeApi, key: string): Promise<void> {
  await new Vault(api).call('PUT', 'sys/unseal', { key });
}

async function setUp(vault: Vault): Promise<void> {
  for (const name of ['internal', 'nats']) {
    await vault.call('POST', `sys/mounts/pki/${name}`, { type: 'pki', config: { max_lease_ttl: '87600h' } });
    const root = { common_name: name, ttl: '87600h', key_type: 'ec' };
    await vault.call('POST', `pki/${name}/root/generate/internal`, root);
  }
  await vault.call('POST', 'sys/auth/kubernetes', { type: 'kubernetes' });
  await vault.call('POST', 'auth/kubernetes/config', { kubernetes_host: `https://${apiServiceAddress}:443` });
}
