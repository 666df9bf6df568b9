import NodeVault from 'node-vault';
import type { Clock } from '../clock.ts';
import { PATIENCE, type ServerPatience } from '../http/patience.ts';
import { isTransient } from '../http/retry.ts';
import type { HttpResponse, Transport } from '../http/transport.ts';
import { dig, isJsonObject, type Json, type JsonObject, textsIn } from '../json.ts';
import { Problem } from '../problem.ts';
import { VaultAbsent } from './absence.ts';
import { escapedPath } from './path.ts';
import { isAbsent, type LoginAttempt, notVault, parsed, refused, triedRequest, type VaultRequest } from './refusal.ts';

const FIRST_DELAY = 250;
const LONGEST_DELAY = 2_000;

/** Body fields whose value must not come back in an error. */
const SECRET_FIELDS = ['jwt', 'role_id', 'secret_id'];

export interface VaultHealth {
  initialized: boolean;
  sealed: boolean;
  standby: boolean;
  version: string;
}

/**
 * Vault's HTTP API as far as this action uses it. Paths are below /v1/, in segments. Every failure is a Problem; a token
 * or secret is never part of one. What may pass (a lost connection, 412, 429, 5xx but 501) is tried again for 10 s.
 */
export interface VaultClient {
  /** The answer's JSON, or null where nothing is stored at the path (404). */
  read(path: string[]): Promise<JsonObject | null>;
  /** The names below the path; empty where there are none. */
  list(path: string[]): Promise<string[]>;
  /** The answer as text (PEM); null where nothing is stored at the path. */
  readText(path: string[]): Promise<string | null>;
  /** The answer's JSON, or null where Vault answers with nothing (204). `login`: the write is one. */
  write(path: string[], body: JsonObject, login?: LoginAttempt): Promise<JsonObject | null>;
  /** Resolves when nothing is stored at the path any more, also where nothing was. */
  delete(path: string[]): Promise<void>;
  /** Works on a sealed or uninitialised server too; waits up to 10 s for a sealed one. */
  health(): Promise<VaultHealth>;
  /** The token sent from now on; null: none. */
  setToken(token: string | null): void;
}

export interface VaultConnection {
  /** Must not follow redirects, and need not repeat anything. */
  transport: Transport;
  /** What stands before /v1/: the API server's service proxy, or '' when Vault is reached directly. */
  pathPrefix: string;
  /** Namespace of Vault Enterprise or OpenBao; '' for the root namespace. */
  namespace: string;
  clock: Clock;
  /** 10 s for one request and, together with the attempts after it, before a failing Vault is given up, by default. */
  patience?: ServerPatience;
  /** Called with a sentence when a sealed or failing Vault is waited for. */
  progress(message: string): void;
}

export function createVaultClient(connection: VaultConnection): VaultClient {
  const { transport, pathPrefix, namespace, clock, progress, patience = PATIENCE.vault } = connection;
  let token: string | null = null;
  let waiting = 0;

  function headers(path: string[]): { [name: string]: string } {
    return {
      'X-Vault-Request': 'true',
      ...(token === null ? {} : { 'X-Vault-Token': token }),
      // Vault refuses a namespace on the calls that serve the whole cluster.
      ...(namespace === '' || isClusterWide(path) ? {} : { 'X-Vault-Namespace': namespace }),
    };
  }

  async function attempt(request: VaultRequest, query: string, body: JsonObject | undefined): Promise<Outcome> {
    try {
      const response = await transport.send({
        method: request.method,
        path: `${pathPrefix}/v1/${escapedPath(request.path)}${query}`,
        headers: headers(request.path),
        ...(body === undefined ? {} : { body }),
        timeout: patience.request,
        idempotent: false,
      });
      return { response };
    } catch (error) {
      if (error instanceof Problem || !(error instanceof Error) || error.name === 'AbortError') throw error;
      return { error };
    }
  }

  async function exchange(
    { path, method, login }: Pick<VaultRequest, 'path' | 'method' | 'login'>,
    query = '',
    body?: JsonObject,
  ) {
    const request: VaultRequest = { method, path, pathPrefix, namespace, login };
    const deadline = clock.now() + patience.retries;
    for (let count = 1; ; count++) {
      const outcome = await attempt(request, query, body);
      const delay = delayBefore(count, outcome);
      if (delay === null || clock.now() + delay > deadline) {
        if (outcome.error !== undefined) throw unreachable(request, outcome.error);
        return { request, response: outcome.response };
      }
      // Requests go side by side: one of them tells what all of them wait for.
      if (count === 1 && waiting === 0)
        progress(`${waitReason(outcome, pathPrefix === '')} Waiting for it, up to ${patience.retries / 1000} s.`);
      waiting++;
      await clock.sleep(delay).finally(() => waiting--);
    }
  }

  function secretsIn(body: JsonObject | undefined): string[] {
    return [token, ...SECRET_FIELDS.map((field) => body?.[field])]
      .filter((secret) => typeof secret === 'string')
      .filter((secret) => secret !== '');
  }

  /**
   * Stands in for the HTTP client of node-vault. Of what node-vault puts together only path, method and body are used:
   * its URL and headers fall back to VAULT_ADDR, VAULT_PREFIX, VAULT_TOKEN and VAULT_NAMESPACE of the environment.
   */
  async function send(options: NodeVaultRequest): Promise<NodeVaultResponse> {
    const { segments: path, method, query, login, json } = options;
    const { request, response } = await exchange({ path, method, login }, query, json);
    if (['GET', 'DELETE'].includes(method) && isAbsent(response)) return nodeVaultResponse(null);
    if (response.status < 200 || response.status > 299) throw refused(request, response, secretsIn(options.json));
    const body = options.text ? response.body : parsed(response);
    if (typeof body === 'string' && !options.text) throw notVault(request, response.status);
    return nodeVaultResponse(body);
  }

  const vault = NodeVault({
    debug: () => {},
    'request-promise': { defaults: () => send },
  });

  return {
    async read(path) {
      const answer: Json = await vault.read(escapedPath(path), { segments: path });
      return isJsonObject(answer) ? answer : null;
    },
    async list(path) {
      // Not by the method LIST, which the API server's proxy would not let through as a read.
      const answer: Json = await vault.read(escapedPath(path), { segments: path, query: '?list=true' });
      return textsIn(dig(answer, 'data', 'keys'));
    },
    async readText(path) {
      const answer: Json = await vault.read(escapedPath(path), { segments: path, text: true });
      return typeof answer === 'string' && answer !== '' ? answer : null;
    },
    async write(path, body, login) {
      const answer: Json = await vault.write(escapedPath(path), body, { segments: path, login });
      return isJsonObject(answer) ? answer : null;
    },
    async delete(path) {
      await vault.delete(escapedPath(path), { segments: path });
    },
    async health() {
      const { request, response } = await exchange(
        { path: ['sys', 'health'], method: 'GET' },
        '?standbyok=true&perfstandbyok=true',
      );
      const body = parsed(response);
      // The status tells the state again (501, 503, 472): the body alone is Vault's word.
      if (!isJsonObject(body) || typeof body.initialized !== 'boolean') {
        throw response.status === 200 ? notVault(request, 200) : refused(request, response, secretsIn(undefined));
      }
      return {
        initialized: body.initialized,
        sealed: body.sealed === true,
        standby: body.standby === true,
        version: String(body.version ?? ''),
      };
    },
    setToken(value) {
      token = value;
    },
  };
}

/** What node-vault hands to its HTTP client, with the three options of ours that it passes through. */
interface NodeVaultRequest {
  method: VaultRequest['method'];
  json?: JsonObject;
  segments: string[];
  query?: string;
  text?: boolean;
  login?: LoginAttempt;
}

interface NodeVaultResponse {
  statusCode: number;
  body: Json;
  request: { path: string };
}

/** Only success comes this far: node-vault returns the body of a 200 as it is. */
function nodeVaultResponse(body: Json): NodeVaultResponse {
  return { statusCode: 200, body, request: { path: '' } };
}

type Outcome = { response: HttpResponse; error?: never } | { error: Error; response?: never };

function isClusterWide(path: string[]): boolean {
  return path[0] === 'sys' && (path[1] === 'health' || path[1] === 'seal-status');
}

/** Milliseconds to wait before the next attempt; null where another would end the same way. */
function delayBefore(count: number, outcome: Outcome): number | null {
  if (!mayPass(outcome)) return null;
  const asked = Number(outcome.response?.headers['retry-after'] ?? Number.NaN);
  return Number.isFinite(asked) ? asked * 1000 : Math.min(FIRST_DELAY * 2 ** (count - 1), LONGEST_DELAY);
}

/** 412: a performance standby lags behind what was just written; https://developer.hashicorp.com/vault/api-docs#http-status-codes */
function mayPass({ response, error }: Outcome): boolean {
  if (error !== undefined) return isTransient(error);
  return response.status === 412 || response.status === 429 || (response.status >= 500 && response.status !== 501);
}

function waitReason({ response, error }: Outcome, direct: boolean): string {
  if (error !== undefined) {
    const server = direct ? 'Vault' : 'The API server, which leads to Vault,';
    return `${server} cannot be reached (${codeOf(error) || error.message}).`;
  }
  return response.status === 503
    ? 'Vault is sealed or unavailable (HTTP 503).'
    : `Vault answered HTTP ${response.status}.`;
}

/** What to do about a connection that failed with a code of Node; the first that fits. */
const CONNECTION_ADVICE: { code: RegExp; next: string }[] = [
  { code: /^ECONNREFUSED/, next: 'Nothing listens there: check host and port in vault_url, and that Vault runs.' },
  {
    code: /^(ENOTFOUND|EAI_AGAIN)/,
    next: "The host of vault_url has no address here. For a Vault that only the cluster's DNS knows leave vault_url empty: it is then reached through the API server.",
  },
  {
    code: /^(HOSTNAME_MISMATCH|ERR_TLS_CERT_ALTNAME_)/,
    next: "Vault's certificate is for other names: use one of them as the host in vault_url.",
  },
  {
    code: /^CERT_(HAS_EXPIRED|NOT_YET_VALID)/,
    next: "Renew Vault's certificate, or set the runner's clock.",
  },
  {
    code: /^(CERT_|DEPTH_|SELF_|UNABLE_|ERR_TLS_)/,
    next: "Vault's certificate is not trusted: set vault_ca_certificate to the CA that signed it.",
  },
  { code: /^(EPROTO|ERR_SSL_)/, next: 'The server does not speak TLS there: check http and https in vault_url.' },
];

function unreachable(request: VaultRequest, error: Error): Problem {
  const code = codeOf(error);
  const advice = CONNECTION_ADVICE.find((candidate) => candidate.code.test(code))?.next;
  const direct = request.pathPrefix === '';
  const details = {
    kind: 'connection',
    tried: triedRequest(request),
    reason: `${error.message || code}.`,
    next: direct
      ? (advice ?? 'Check vault_url and the network between the runner and Vault.')
      : 'Vault is reached through the Kubernetes API server, which did not answer: check the kubeconfig and the network.',
  } as const;
  return new VaultAbsent(details, 'silent');
}

function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : '';
}
