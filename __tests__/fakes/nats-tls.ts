import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';

/** PEM. */
export interface KeyPair {
  certificate: string;
  key: string;
}

/** A NATS server's side of a TLS handshake. To clients it speaks first, in plain text; to other servers it does not. */
export function serveTls(connection: Duplex, pair: KeyPair, { toClients }: { toClients: boolean }): void {
  // Node takes a stream over only when its last write is wholly done.
  if (toClients)
    connection.write('INFO {"tls_required":true}\r\n', () => setImmediate(() => handshake(connection, pair)));
  else handshake(connection, pair);
}

function handshake(connection: Duplex, { certificate, key }: KeyPair): void {
  if (connection.destroyed) return;
  const secured = new TLSSocket(connection, { isServer: true, cert: certificate, key });
  secured.on('error', () => connection.destroy());
  for (const stream of [connection, secured]) stream.once('end', () => connection.end());
  secured.resume();
}
