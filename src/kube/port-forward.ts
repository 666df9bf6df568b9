import { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';

/**
 * The protocol of pods/portforward over a WebSocket: each message begins with the number of its channel, and the first
 * of each channel holds nothing but the port's number.
 * https://github.com/kubernetes/kubelet/blob/v0.34.4/pkg/cri/streaming/portforward/websocket.go
 */
export const PORT_FORWARD_PROTOCOL = 'v4.channel.k8s.io';

/** The bytes of the connection, and why the kubelet could not make it or ended it. */
const CHANNELS = { data: 0, error: 1 } as const;

/**
 * The connection to one port of a pod that an open, paused WebSocket of pods/portforward carries. It ends with an error
 * where nothing listens on the port. To destroy it closes the WebSocket; it cannot be ended in one direction alone.
 */
export function forwardedConnection(webSocket: WebSocket): Duplex {
  const announced = new Set<number | undefined>();
  const connection = new Duplex({
    read: () => webSocket.resume(),
    write: (chunk: Buffer, _, done) => webSocket.send(Buffer.concat([Buffer.of(CHANNELS.data), chunk]), done),
    destroy(error, done) {
      webSocket.terminate();
      done(error);
    },
  });
  webSocket.on('message', (message) => {
    if (!Buffer.isBuffer(message)) return;
    const [channel] = message;
    const content = message.subarray(1);
    if (!announced.has(channel)) announced.add(channel);
    else if (channel === CHANNELS.error) connection.destroy(new Error(content.toString('utf8')));
    else if (!connection.push(content)) webSocket.pause();
  });
  webSocket.on('error', (error) => connection.destroy(error));
  webSocket.on('close', () => connection.push(null));
  return connection;
}
