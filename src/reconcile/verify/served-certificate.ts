import type { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { connect, type TLSSocket } from 'node:tls';
import type { KubeReader } from '../../kube/client.ts';
import { PORTS } from '../../nats/layout.ts';

/** Milliseconds that a server has to show its certificate. */
const TIMEOUT = 5_000;

/** What a client of the server shows of itself; PEM. */
export interface ClientCertificate {
  certificate: string;
  key: string;
}

/**
 * The certificate that a server shows on its port for clients or for routes at this moment, whoever signed it and however
 * old it is. Null when it shows none within 5 s. A server that does not trust `client`, or is shown none, shows its own
 * certificate before it refuses the connection (TLS 1.3), and logs one line of an error, "TLS handshake error: tls: client
 * didn't provide a certificate". Of a connection that it trusts it logs no error.
 *
 * @param port where clients connect the server sends its INFO before TLS begins, where routes do TLS comes first:
 *   https://docs.nats.io/reference/reference-protocols/nats-protocol#info
 */
export async function servedCertificate(
  kube: Pick<KubeReader, 'dialPod'>,
  namespace: string,
  pod: string,
  port: typeof PORTS.client | typeof PORTS.cluster,
  client?: ClientCertificate,
): Promise<X509Certificate | null> {
  const connection = await kube.dialPod(namespace, pod, port);
  if (connection === null) return null;
  connection.on('error', ignore);
  const timer = setTimeout(() => connection.destroy(new Error(`no certificate within ${TIMEOUT / 1000} s`)), TIMEOUT);
  try {
    if (port === PORTS.client) await readLine(connection);
    return await certificateOf(connection, client);
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
    connection.destroy();
  }
}

/** Reads to the end of a line, after which the server waits for the client. */
async function readLine(connection: Duplex): Promise<void> {
  let line = '';
  while (!line.endsWith('\n')) {
    await once(connection, 'readable');
    const chunk: Buffer | null = connection.read();
    if (chunk === null) throw new Error('the connection ended');
    line += chunk.toString('latin1');
  }
}

async function certificateOf(connection: Duplex, client?: ClientCertificate): Promise<X509Certificate | null> {
  // What the certificate is worth is the caller's to judge.
  const options = { socket: connection, rejectUnauthorized: false, cert: client?.certificate, key: client?.key };
  const socket = connect(options);
  socket.on('error', ignore);
  await once(socket, 'secureConnect');
  const certificate = socket.getPeerX509Certificate() ?? null;
  await partFrom(socket);
  return certificate;
}

/** Ends the connection in order, or the server takes the end for an error; it may refuse it meanwhile. */
async function partFrom(socket: TLSSocket): Promise<void> {
  const closed = once(socket, 'close');
  socket.end();
  socket.resume();
  await closed.catch(ignore);
}

/** An error that comes while nothing waits for one changes nothing, but would end the process. */
function ignore(): void {}
