import { X509Certificate } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { digObjects, digText, type JsonObject } from '../src/json.ts';
import { kube, waitFor } from './cluster.ts';

const pathOf = (namespace: string, name: string): string =>
  `/apis/cert-manager.io/v1/namespaces/${namespace}/certificates/${name}`;

/** The Certificate of that name. */
export function certificateOf(namespace: string, name: string): Promise<JsonObject> {
  return kube.get(pathOf(namespace, name));
}

/** The leaf in a Secret. */
export async function leafOf(namespace: string, secret: string): Promise<X509Certificate> {
  const { data } = await kube.get(`/api/v1/namespaces/${namespace}/secrets/${secret}`);
  return new X509Certificate(Buffer.from(digText(data, 'tls.crt'), 'base64'));
}

/** Has cert-manager issue a Certificate anew, as `cmctl renew` does; resolves to the new leaf when its Secret has it. */
export async function renew(namespace: string, name: string): Promise<X509Certificate> {
  const before = await leafOf(namespace, name);
  const { metadata, status } = await certificateOf(namespace, name);
  const issuing = {
    type: 'Issuing',
    status: 'True',
    reason: 'ManuallyTriggered',
    message: 'A test asks for it',
    lastTransitionTime: new Date().toISOString().replace(/\.\d+Z/, 'Z'),
    observedGeneration: Number(digText(metadata, 'generation')),
  };
  const others = digObjects(status, 'conditions').filter(({ type }) => type !== 'Issuing');
  await kube.patch(`${pathOf(namespace, name)}/status`, { status: { conditions: [...others, issuing] } });
  let leaf = before;
  const isNew = async (): Promise<boolean> => {
    leaf = await leafOf(namespace, name);
    return leaf.fingerprint256 !== before.fingerprint256;
  };
  await waitFor(isNew, `Secret ${name} has a new certificate`, 30_000);
  return leaf;
}

/** The leaf that a server shows in a TLS handshake on its port for clients. */
export async function servedToClients(host: string): Promise<X509Certificate> {
  const socket = await open(host, 4222);
  // The server speaks first, in plain text.
  await new Promise((resolve) => socket.once('data', resolve));
  return handshake(socket);
}

/** The leaf that a server shows in a TLS handshake on its port for the other servers. */
export async function servedToServers(host: string): Promise<X509Certificate> {
  return handshake(await open(host, 6222));
}

function open(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout: 5_000 });
    socket.once('error', reject);
    socket.once('timeout', () => socket.destroy(new Error(`${host}:${port} does not answer`)));
    socket.once('connect', () => resolve(socket));
  });
}

/** Whoever signed it: what is served is the question. */
function handshake(socket: Socket): Promise<X509Certificate> {
  return new Promise((resolve, reject) => {
    const secured = connectTls({ socket, rejectUnauthorized: false });
    secured.once('error', reject);
    secured.once('secureConnect', () => {
      const certificate = secured.getPeerX509Certificate();
      socket.destroy();
      if (certificate === undefined) reject(new Error('no certificate was shown'));
      else resolve(certificate);
    });
  });
}
