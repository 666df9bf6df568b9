import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { createServer } from 'node:tls';
import { digObjects, digText } from '../../src/json.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import type { StoredObject } from '../kubernetes/object-store.ts';
import { resourceOf } from '../kubernetes/resources.ts';

const CLIENT_PORT = 4222;

/** Where a server finds the files for each port that speaks TLS. */
const DIRECTORIES: [port: number, directory: string][] = [
  [CLIENT_PORT, '/etc/server-certs'],
  [6222, '/etc/cluster-certs'],
];

/** PEM. */
interface Files {
  cert: string;
  key: string;
  ca: string;
}

/** The files of each port, as Secrets mounted into the container bring them. */
export type Certificates = Map<number, Files>;

/** What the mounted Secrets hold now. */
export function mountedCertificates(cluster: Cluster, pod: StoredObject, container: string): Certificates {
  const { namespace = '' } = pod.metadata;
  const mounts = digObjects(pod, 'spec', 'containers')
    .filter(({ name }) => name === container)
    .flatMap((found) => digObjects(found, 'volumeMounts'));
  const found = DIRECTORIES.flatMap(([port, directory]): [number, Files][] => {
    const volume = mounts.find((mount) => mount.mountPath === directory)?.name;
    const source = digObjects(pod, 'spec', 'volumes').find(({ name }) => name === volume);
    const name = digText(source, 'secret', 'secretName');
    const secret = cluster.find({ resource: resourceOf('Secret'), namespace, name });
    if (volume === undefined || secret === undefined) return [];
    const file = (key: string) => Buffer.from(digText(secret, 'data', key), 'base64').toString('utf8');
    return [[port, { cert: file('tls.crt'), key: file('tls.key'), ca: file('ca.crt') }]];
  });
  return new Map(found);
}

/** Whether a server takes them: it loads none of its files when a key is not that of its certificate. */
export function areWhole(certificates: Certificates): boolean {
  try {
    return [...certificates.values()].every(({ cert, key }) =>
      new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)),
    );
  } catch {
    return false;
  }
}

/** A server's side of a connection until TLS is there: on the port for clients it speaks first. */
export function greet(connection: Duplex, port: number, files: Files): void {
  const server = createServer({ ...files, requestCert: true }, (socket) => {
    socket.on('error', () => {}).resume();
    // As a real server closes the connection: a port-forward cannot be ended in one direction alone.
    socket.on('end', () => connection.destroy());
  });
  server.on('tlsClientError', () => {});
  connection.on('error', () => {});
  connection.write(port === CLIENT_PORT ? 'INFO {"tls_required":true}\r\n' : '', () =>
    server.emit('connection', connection),
  );
}
