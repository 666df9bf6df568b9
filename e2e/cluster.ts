import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { digText, isJsonObject, type JsonObject } from '../src/json.ts';
import { KubeApi } from './sandbox/kube-api.ts';
import { unseal, Vault } from './sandbox/vault.ts';
import { waitFor } from './sandbox/wait.ts';

export { waitFor };

function fromEnvironment(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run the tests with npm run e2e, see e2e/README.md`);
  return value;
}

/** The kubeconfig file of the cluster under test; its user may do everything. */
export const kubeconfig = fromEnvironment('E2E_KUBECONFIG');

/** The API server for tests; their requests go by the user agent `e2e`. */
export const kube = await KubeApi.connect(kubeconfig, 'e2e');

/** A token that may do everything in Vault. */
export const vaultToken = (): string => readFileSync(fromEnvironment('E2E_VAULT_TOKEN_FILE'), 'utf8').trim();

/** Vault for tests, with that token. */
export const vault = (): Vault => new Vault(kube, vaultToken());

/** Seals Vault: it answers 503 to everything but its own state until unsealVault. */
export async function sealVault(): Promise<void> {
  await vault().call('PUT', 'sys/seal');
}

/** Unseals Vault and waits until it serves again. */
export async function unsealVault(): Promise<void> {
  await unseal(kube, readFileSync(fromEnvironment('E2E_VAULT_UNSEAL_KEY_FILE'), 'utf8').trim());
  await waitFor(async () => isJsonObject((await vault().call('GET', 'sys/mounts')).data), 'Vault serves again', 30_000);
}

/** A request that changed something: the API server's own objects, or Vault's through the service proxy. */
export interface Write {
  time: Date;
  verb: string;
  uri: string;
  user: string;
  userAgent: string;
  /** The status of the answer. */
  status: number;
}

export interface WriteFilter {
  /** The exact name: "admin", "system:serviceaccount:demo:ci". */
  user?: string;
  /** What the user agent begins with: "kube-nats-action/". */
  userAgent?: string;
}

/**
 * The writes that the API server has received since then, from its audit log, refused ones too. Left out are those that change
 * nothing (dry runs, reviews of permissions and tokens, logins at Vault), the Events and Leases of Kubernetes' own parts, and those
 * of these tests (`e2e`). Waits until all requests answered before the call are in the log.
 */
export async function auditWrites(since: Date, filter: WriteFilter = {}): Promise<Write[]> {
  const log = fromEnvironment('E2E_AUDIT_LOG');
  await flushAuditLog(log);
  return readAuditLog(log)
    .filter((write) => write.time >= since && isChange(write))
    .filter(({ user }) => filter.user === undefined || user === filter.user)
    .filter(({ userAgent }) => filter.userAgent === undefined || userAgent.startsWith(filter.userAgent));
}

/** Whether the cluster under test has an audit log for auditWrites: always in the sandbox. */
export const hasAuditLog = (): boolean => existsSync(process.env.E2E_AUDIT_LOG ?? '');

/** Sends a write of no effect and waits until it shows in the log: all before it are in there, too. */
async function flushAuditLog(log: string): Promise<void> {
  const marker = `e2e-${randomUUID()}`;
  const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: marker } };
  const path = `/api/v1/namespaces/default/configmaps?dryRun=All&fieldManager=${marker}`;
  await kube.call({ method: 'POST', path, body: configMap });
  await waitFor(() => readFileSync(log, 'utf8').includes(marker), `${marker} is in ${log}`, 10_000);
}

function readAuditLog(log: string): Write[] {
  const text = readFileSync(log, 'utf8');
  // What follows the last newline is still being written.
  const lines = text.slice(0, text.lastIndexOf('\n')).split('\n');
  const events = lines.map((line): JsonObject => JSON.parse(line));
  // Proxied requests have an event for the beginning of the answer as well.
  return events.filter(({ stage }) => stage === 'ResponseComplete').map(toWrite);
}

function toWrite(event: JsonObject): Write {
  return {
    time: new Date(digText(event, 'requestReceivedTimestamp')),
    verb: digText(event, 'verb'),
    uri: digText(event, 'requestURI'),
    user: digText(event, 'user', 'username'),
    userAgent: digText(event, 'userAgent'),
    status: Number(digText(event, 'responseStatus', 'code')),
  };
}

/** Requests that create, update or delete by their verb, but change nothing that lasts. */
const withoutEffect = [
  /[?&]dryRun=All\b/,
  /^\/apis\/(authorization|authentication)\.k8s\.io\//,
  /\/serviceaccounts\/[^/]+\/token\b/,
  /\/proxy\/v1\/auth\/.+\/login(\/|$)/,
  /\/proxy\/v1\/auth\/token\/(lookup|revoke)-self$/,
  /\/proxy\/v1\/sys\/capabilities-self$/,
];

const upkeep = /\/(events|leases)(\/|\?|$)/;

function isChange({ verb, uri, user, userAgent }: Write): boolean {
  if (['get', 'list', 'watch'].includes(verb) || userAgent === 'e2e') return false;
  if (user.startsWith('system:') && upkeep.test(uri)) return false;
  return !withoutEffect.some((pattern) => pattern.test(uri));
}
