import http from 'node:http';
import https from 'node:https';
import type { WebSocket } from 'ws';
import { Problem } from '../problem.ts';
import { redacted } from '../redact.ts';
import { PATIENCE } from './patience.ts';
import { roundTrip } from './round-trip.ts';
import type { HttpRequest, HttpResponse, Transport } from './transport.ts';
import { openWebSocket, type WebSockets } from './web-socket.ts';

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

export interface Pool extends Transport, WebSockets {
  /** Ends all connections, those of WebSockets too. */
  close(): void;
}

/**
 * A transport over one pool of kept-alive HTTP/1.1 connections. It follows no redirect and repeats nothing. From what is
 * refused the credentials are cut, before anybody quotes a part of it: some servers and proxies tell what they were sent.
 */
export function createPool(options: PoolOptions): Pool {
  const base = new URL(options.url);
  const prefix = base.pathname.replace(/\/$/, '');
  const secure = base.protocol === 'https:';
  const webSockets = new Set<WebSocket>();
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

  async function authenticated() {
    const credentials = await options.credentials();
    return {
      agent: credentials.agent ?? agentFor(credentials.tls),
      headers: { 'user-agent': options.userAgent, ...credentials.headers },
    };
  }

  return {
    async send(request) {
      const { agent, headers } = await authenticated();
      const answer = roundTrip(secure ? https : http, request, {
        timeout: request.timeout ?? PATIENCE.kubernetes.request,
        protocol: base.protocol,
        hostname: base.hostname.replace(/^\[|\]$/g, ''),
        port: base.port,
        path: prefix + request.path,
        method: request.method,
        agent,
        headers,
      });
      // The run has ended, and with it this request: nobody is to take that for a broken connection.
      const response = await answer.catch((error: unknown) => Promise.reject(closed ? abandoned(request) : error));
      return quotable(response, headers);
    },
    async open(path, protocol, timeout) {
      const connection = await authenticated();
      const request: HttpRequest = { method: 'GET', path };
      if (closed) throw abandoned(request);
      const { webSocket, opened } = openWebSocket(base.origin + prefix + path, protocol, timeout, connection);
      webSockets.add(webSocket);
      webSocket.once('close', () => webSockets.delete(webSocket));
      const answer = await opened.catch((error: unknown) => Promise.reject(closed ? abandoned(request) : error));
      return 'status' in answer ? quotable(answer, connection.headers) : answer;
    },
    close() {
      closed = true;
      pool?.agent.destroy();
      for (const webSocket of webSockets) webSocket.terminate();
    },
  };
}

/** An answer of which any part may be shown, where it is a refusal. */
function quotable(response: HttpResponse, headers: Credentials['headers']): HttpResponse {
  if (response.status < 300) return response;
  return { ...response, body: redacted(response.body, secretsOfHeaders(headers)) };
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
