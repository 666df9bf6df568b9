import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Json } from '../src/json.ts';
import type { FaultEffect, FaultInjector } from './faults.ts';
import type { RecordedRequest, ServerName } from './requests.ts';

/** One request as a handler sees it. */
export interface SimulatedRequest {
  method: string;
  /** Path without the query, as it was sent (escaped). */
  path: string;
  query: URLSearchParams;
  headers: { [name: string]: string };
  /** The body parsed as JSON; undefined when there was none. */
  body: Json | undefined;
}

export interface SimulatedResponse {
  status: number;
  /** Sent as JSON; a string is sent as plain text; undefined sends no body. */
  body?: Json | undefined;
  headers?: { [name: string]: string };
  /** Takes the WebSocket that a request for one is answered with, which is status 101. */
  onWebSocket?: (webSocket: WebSocket) => void;
}

export type Handler = (request: SimulatedRequest) => SimulatedResponse | Promise<SimulatedResponse>;

export interface RunningServer {
  /** http://127.0.0.1:PORT, without a slash at the end. */
  url: string;
  /** Requests that have arrived and are not answered, or whose connection is there still where they get no answer. */
  inProgress(): number;
  close(): Promise<void>;
}

/** Serves one API on a free port of 127.0.0.1; every request goes to the log, through the faults, then to the handler. */
export async function serve(
  name: ServerName,
  handler: Handler,
  log: RecordedRequest[],
  faults: FaultInjector,
): Promise<RunningServer> {
  let inProgress = 0;
  const respond = (incoming: IncomingMessage, outgoing: ServerResponse, upgrade?: Upgrade): void => {
    inProgress += 1;
    let counted = true;
    const done = (): void => {
      if (counted) inProgress -= 1;
      counted = false;
    };
    outgoing.once('close', done);
    answer(name, handler, log, faults, incoming).then(
      (response) => {
        if (response?.onWebSocket !== undefined && upgrade !== undefined) {
          done();
          upgrade(response.onWebSocket);
        } else if (response !== null) send(outgoing, response);
        // Who asked for a WebSocket in vain and goes is noticed only by who reads.
        else if (upgrade !== undefined) incoming.socket.resume().once('end', () => incoming.socket.destroy());
      },
      (error: unknown) => {
        console.error(`simulator: ${incoming.method} ${incoming.url}:`, error);
        outgoing.writeHead(500).end(String(error));
      },
    );
  };
  const server = createServer((incoming, outgoing) => respond(incoming, outgoing));
  const webSockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (incoming, socket, head) => {
    // Node takes its own listener away, and a client that is killed resets its connection.
    socket.on('error', () => socket.destroy());
    const outgoing = refusalOn(incoming);
    respond(incoming, outgoing, (onWebSocket) => {
      outgoing.detachSocket(incoming.socket);
      webSockets.handleUpgrade(incoming, socket, head, onWebSocket);
    });
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${portOf(server)}`,
    inProgress: () => inProgress,
    close: () => closeServer(server, webSockets),
  };
}

type Upgrade = (onWebSocket: (webSocket: WebSocket) => void) => void;

/** Node leaves a connection to whoever takes the upgrade: this is for the answer that it is refused with. */
function refusalOn(incoming: IncomingMessage): ServerResponse {
  const outgoing = new ServerResponse(incoming);
  outgoing.assignSocket(incoming.socket);
  outgoing.shouldKeepAlive = false;
  outgoing.on('finish', () => incoming.socket.end());
  return outgoing;
}

/** Null for a request that gets no answer. */
async function answer(
  name: ServerName,
  handler: Handler,
  log: RecordedRequest[],
  faults: FaultInjector,
  incoming: IncomingMessage,
): Promise<SimulatedResponse | null> {
  const text = await readBody(incoming);
  const target = incoming.url ?? '/';
  const question = target.indexOf('?');
  const request: SimulatedRequest = {
    method: incoming.method ?? 'GET',
    path: question < 0 ? target : target.slice(0, question),
    query: new URLSearchParams(question < 0 ? '' : target.slice(question + 1)),
    headers: singleValued(incoming.headers),
    body: parseJson(text),
  };
  const record: RecordedRequest = {
    server: name,
    method: request.method,
    path: target,
    userAgent: request.headers['user-agent'] ?? '',
    body: request.body,
    status: 0,
  };
  log.push(record);

  const fault = faults.next(record);
  if (fault?.effect === 'hang') {
    return null;
  }
  if (fault?.effect === 'reset-before') {
    incoming.socket.destroy();
    return null;
  }
  const response = await respond(fault, request, handler);
  if (fault?.effect === 'reset-after') {
    incoming.socket.destroy();
    return null;
  }
  record.status = response.status;
  return response;
}

function respond(
  fault: FaultEffect | undefined,
  request: SimulatedRequest,
  handler: Handler,
): SimulatedResponse | Promise<SimulatedResponse> {
  if (fault?.effect === 'answer') return { status: fault.status, body: fault.body, headers: fault.headers ?? {} };
  return fault?.effect === 'reply' ? fault.reply(request) : handler(request);
}

function send(outgoing: ServerResponse, response: SimulatedResponse): void {
  const { body } = response;
  if (body === undefined) {
    outgoing.writeHead(response.status, response.headers).end();
    return;
  }
  const isText = typeof body === 'string';
  outgoing.writeHead(response.status, {
    'content-type': isText ? 'text/plain' : 'application/json',
    ...response.headers,
  });
  outgoing.end(isText ? body : JSON.stringify(body));
}

async function readBody(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Text that is no JSON is kept as a string: a handler answers 400 for it where it matters. */
function parseJson(text: string): Json | undefined {
  if (text === '') {
    return undefined;
  }
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function singleValued(headers: IncomingMessage['headers']): { [name: string]: string } {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]),
  );
}

function portOf(server: Server): number {
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') {
    throw new Error('the simulator listens on no port');
  }
  return address.port;
}

function closeServer(server: Server, webSockets: WebSocketServer): Promise<void> {
  return new Promise((resolve, reject) => {
    server.close((error) => (error ? reject(error) : resolve()));
    server.closeAllConnections();
    for (const webSocket of webSockets.clients) webSocket.terminate();
  });
}
