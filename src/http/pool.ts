import http from 'node:http';
import https from 'node:https';
import { Problem } from '../problem.ts';
import { redacted } from '../redact.ts';
import type { HttpRequest, HttpResponse, Transport } from './transport.ts';

/** Milliseconds; with the retries' budget a dead server is told within 30 s. */
const DEFAULT_TIMEOUT = 12_000;
const MAX_SOCKETS = 16;

/** What a connection authenticates and verifies with; PEM. */
export interface TlsOptions {
  ca?: string | Buffer | undefined;
  cert?: string | Buffer | undefined;
  key?: string | Buffer | undefined;
  servername?: string | undefined;
  rejectUnauthorized?: boolean | undefined;
}

/** Headers and TLS options as they are valid now: an exec plugin may return others a minute later. */
export interface Credentials {
  headers: { [name: string]: string };
  tls: TlsOptions;
  /** Set where the connection has to go through a proxy of its own (a kubeconfig's proxy-url). */
  agent?: http.Agent | undefined;
}

export interface PoolOptions {
  /** Where the server is; a path in it is put before every request's path. */
  url: string;
  credentials(): Promise<Credentials>;
  userAgent: string;
}

/** What of the headers must not be shown: the token of "Bearer TOKEN". */
export function secretsOfHeaders(headers: Credentials['headers']): string[] {
  return Object.entries(headers)
    .filter(([name]) => name.toLowerCase() === 'authorization')
    .map(([, value]) => value.split(' ').at(-1) ?? '')
    .filter((secret) => secret !== '');
}

/**
 * A transport over one pool of kept-alive HTTP/1.1 connections. It follows no redirect and repeats nothing. From what is
 * refused the credentials are cut, before anybody quotes a part of it: some servers and proxies tell what they were sent.
 */
export function createPool(options: PoolOptions): Transport & { close(): void } {
  const base = new URL(options.url);
  const prefix = base.pathname.replace(/\/$/, '');
  const secure = base.protocol === 'https:';
  let closed = false;
  let pool: { agent: http.Agent; tls: TlsOptions } | undefined;

  function agentFor(tls: TlsOptions): http.Agent {
    if (pool === undefined || !sameTls(pool.tls, tls)) {
      if (pool !== undefined) closeIdle(pool.agent);
      const keepAlive = { keepAlive: true, maxSockets: MAX_SOCKETS };
      pool = { tls, agent: secure ? new https.Agent({ ...keepAlive, ...tls }) : new http.Agent(keepAlive) };
    }
    return pool.agent;
  }

  return {
    async send(request) {
      const credentials = await options.credentials();
      const answer = exchange(secure ? https : http, request, {
        protocol: base.protocol,
        hostname: base.hostname.replace(/^\[|\]$/g, ''),
        port: base.port,
        path: prefix + request.path,
        method: request.method,
        agent: credentials.agent ?? agentFor(credentials.tls),
        headers: { 'user-agent': options.userAgent, ...credentials.headers },
      });
      // The run has ended, and with it this request: nobody is to take that for a broken connection.
      const response = await answer.catch((error: unknown) => Promise.reject(closed ? abandoned(request) : error));
      if (response.status < 300) return response;
      return { ...response, body: redacted(response.body, secretsOfHeaders(credentials.headers)) };
    },
    close() {
      closed = true;
      pool?.agent.destroy();
    },
  };
}

function abandoned({ method, path }: HttpRequest): Problem {
  return new Problem({
    kind: 'cancelled',
    tried: `Sending ${method} ${path.split('?')[0]}`,
    reason: 'The run ended before an answer came.',
    next: 'Look at the error that the run ended with.',
  });
}

/** Leaves the requests in flight alone: agent.destroy() would end them too. */
function closeIdle(agent: http.Agent): void {
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}

function sameTls(a: TlsOptions, b: TlsOptions): boolean {
  const text = (tls: TlsOptions) =>
    [tls.ca, tls.cert, tls.key, tls.servername, tls.rejectUnauthorized].map((value) => String(value ?? '')).join('\0');
  return a === b || text(a) === text(b);
}

function exchange(
  client: typeof http | typeof https,
  request: HttpRequest,
  options: Omit<http.RequestOptions, 'headers'> & { headers: { [name: string]: string } },
): Promise<HttpResponse> {
  const payload = typeof request.body === 'object' ? JSON.stringify(request.body) : request.body;
  const headers: http.OutgoingHttpHeaders = { accept: 'application/json', ...options.headers, ...request.headers };
  if (payload !== undefined) {
    headers['content-type'] ??= 'application/json';
    headers['content-length'] = Buffer.byteLength(payload);
  }
  const timeout = request.timeout ?? DEFAULT_TIMEOUT;

  return new Promise((resolve, reject) => {
    const outgoing = client.request({ ...options, headers }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', fail);
      incoming.on('end', () => {
        clearTimeout(timer);
        resolve({
          status: incoming.statusCode ?? 0,
          headers: singleValues(incoming.headers),
          body: Buffer.concat(chunks).toString('utf8'),
        });
      });
    });
    const timer = setTimeout(() => {
      outgoing.destroy(new Error(`no answer within ${timeout / 1000} s`));
    }, timeout);
    function fail(error: Error) {
      clearTimeout(timer);
      reject(error);
    }
    outgoing.on('error', fail);
    outgoing.end(payload);
  });
}

function singleValues(headers: http.IncomingHttpHeaders): { [name: string]: string } {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]),
  );
}
