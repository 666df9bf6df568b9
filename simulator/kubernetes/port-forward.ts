import { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { SimulatedRequest, SimulatedResponse } from '../http.ts';
import { badRequest } from './status.ts';

const DATA = 0;
const ERROR = 1;

/** What a kubelet does with a connection to a pod's port: false where nothing listens on it. */
export type Dial = (port: number, connection: Duplex) => boolean;

/** pods/portforward by WebSocket, protocol v4.channel.k8s.io, to one port. */
export function portForward(pod: string, request: SimulatedRequest, dial: Dial): SimulatedResponse {
  if (request.headers.upgrade !== 'websocket') throw badRequest('Upgrade request required');
  const port = Number(request.query.get('ports'));
  return { status: 101, onWebSocket: (webSocket) => forward(webSocket, pod, port, dial) };
}

/** Each message begins with the number of its channel; the first of each channel tells the port, little-endian. */
function forward(webSocket: WebSocket, pod: string, port: number, dial: Dial): void {
  const send = (channel: number, content: Buffer, done?: (error?: Error | null) => void) =>
    webSocket.send(Buffer.concat([Buffer.of(channel), content]), done);
  const connection = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _, done) => send(DATA, chunk, done),
    final(done) {
      webSocket.close();
      done();
    },
    destroy(error, done) {
      webSocket.close();
      done(error);
    },
  });
  webSocket.on('message', (message) => {
    if (Buffer.isBuffer(message) && message[0] === DATA) connection.push(message.subarray(1));
  });
  webSocket.on('error', (error) => connection.destroy(error));
  webSocket.on('close', () => connection.push(null));

  const announcement = Buffer.alloc(2);
  announcement.writeUInt16LE(port);
  send(DATA, announcement);
  send(ERROR, announcement);
  if (dial(port, connection)) return;
  send(ERROR, Buffer.from(`error forwarding port ${port} to pod ${pod}, uid : connect: connection refused`));
  connection.destroy();
}
