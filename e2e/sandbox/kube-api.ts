import { Agent, type RequestOptions, request } from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';
import { digObjects, isJsonObject, type Json, type JsonObject } from '../../src/json.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface KubeRequest {
  method: Method;
  /** Absolute path with query: "/api/v1/namespaces/demo?dryRun=All". */
  path: string;
  headers?: { [name: string]: string };
  body?: Json;
}

export interface KubeResponse {
  status: number;
  body: string;
}

/** The API server, or what it proxied to, refused. */
export class KubeApiError extends Error {
  readonly status: number;

  constructor({ method, path }: KubeRequest, { status, body }: KubeResponse) {
    super(`${method} ${path}: ${status} ${body.slice(0, 500)}`);
    this.name = 'KubeApiError';
    this.status = status;
  }
}

/** The API server by raw paths, over connections that are kept alive; not the client that is under test. */
export class KubeApi {
  readonly #options: RequestOptions;

  private constructor(options: RequestOptions) {
    this.#options = options;
  }

  /** Reads the kubeconfig file's current context; userAgent is what the audit log calls this client. */
  static async connect(kubeconfig: string, userAgent: string): Promise<KubeApi> {
    const config = new KubeConfig();
    config.loadFromFile(kubeconfig);
    const cluster = config.getCurrentCluster();
    if (!cluster) throw new Error(`${kubeconfig} has no current context`);
    const { hostname, port } = new URL(cluster.server);
    const options: RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    const { ca, cert, key, servername, rejectUnauthorized, headers } = options;
    const agent = new Agent({ keepAlive: true, ca, cert, key, servername, rejectUnauthorized });
    return new KubeApi({ hostname, port: port || 443, agent, headers: { ...headers, 'User-Agent': userAgent } });
  }

  /** Sends one request. Rejects when no answer comes within 30 s; a status is the caller's to judge. */
  send({ method, path, headers, body }: KubeRequest): Promise<KubeResponse> {
    const content = body === undefined ? undefined : JSON.stringify(body);
    const type = content === undefined ? {} : { 'Content-Type': 'application/json' };
    const options: RequestOptions = {
      ...this.#options,
      method,
      path,
      headers: { ...this.#options.headers, ...type, ...headers },
      timeout: 30_000,
    };
    return new Promise((resolve, reject) => {
      const sent = request(options, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
        response.on('error', reject);
      });
      sent.on('timeout', () => sent.destroy(new Error(`${method} ${path}: no answer within 30 s`)));
      sent.on('error', reject);
      sent.end(content);
    });
  }

  /** Sends one request and reads the answer as JSON. Rejects with KubeApiError on a status of 400 and above. */
  async call(call: KubeRequest): Promise<JsonObject> {
    const response = await this.send(call);
    if (response.status >= 400) throw new KubeApiError(call, response);
    if (response.body === '') return {};
    const parsed: Json = JSON.parse(response.body);
    if (!isJsonObject(parsed)) throw new Error(`${call.method} ${call.path}: the answer is no JSON object`);
    return parsed;
  }

  get(path: string): Promise<JsonObject> {
    return this.call({ method: 'GET', path });
  }

  /** The items of a list, all pages of it in one. */
  async list(path: string): Promise<JsonObject[]> {
    const { items } = await this.get(path);
    if (!Array.isArray(items)) throw new Error(`GET ${path}: the answer is no list`);
    return items.filter(isJsonObject);
  }

  /** Server-side apply of a whole object, by force: tests own what they make. */
  apply(path: string, object: JsonObject): Promise<JsonObject> {
    const fields = new URLSearchParams({ fieldManager: 'e2e', force: 'true' });
    const headers = { 'Content-Type': 'application/apply-patch+yaml' };
    return this.call({ method: 'PATCH', path: `${path}?${fields}`, headers, body: object });
  }

  /** A merge patch, or a JSON patch when it is a list. */
  patch(path: string, patch: JsonObject | JsonObject[]): Promise<JsonObject> {
    const type = Array.isArray(patch) ? 'application/json-patch+json' : 'application/merge-patch+json';
    return this.call({ method: 'PATCH', path, headers: { 'Content-Type': type }, body: patch });
  }

  /** Deletes an object; one that does not exist is deleted already. */
  async delete(path: string): Promise<void> {
    const call: KubeRequest = { method: 'DELETE', path };
    const response = await this.send(call);
    if (response.status >= 400 && response.status !== 404) throw new KubeApiError(call, response);
  }

  /** Closes the kept connections. */
  close(): void {
    if (this.#options.agent instanceof Agent) this.#options.agent.destroy();
  }
}

/** Whether the object's status says True for the condition of that type. */
export function hasCondition(object: JsonObject | undefined, type: string): boolean {
  return digObjects(object, 'status', 'conditions').some((entry) => entry.type === type && entry.status === 'True');
}
