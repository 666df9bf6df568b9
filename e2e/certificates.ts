import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { digObjects, digText, type JsonObject } from '../src/json.ts';
import { PORTS } from '../src/nats/layout.ts';
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

/** Milliseconds that a server has for each step of showing its certificate. */
const PATIENCE = 5_000;

/** The leaf that a server shows in a TLS handshake on its port for clients. */
export function servedToClients(host: string): Promise<X509Certificate> {
  return served(host, PORTS.client);
}

/** The leaf that a server shows in a TLS handshake on its port for the other servers. */
export function servedToServers(host: string): Promise<X509Certificate> {
  return served(host, PORTS.cluster);
}

/** Whoever signed it: what is served is the question. */
async function served(host: string, port: number): Promise<X509Certificate> {
  const socket = connect({ host, port });
  try {
    await within(socket, 'connect');
    // There the server speaks first, in plain text.
    if (port === PORTS.client) await within(socket, 'data');
    const secured = connectTls({ socket, rejectUnauthorized: false });
    await within(secured, 'secureConnect');
    const certificate = secured.getPeerX509Certificate();
    if (certificate === undefined) throw new Error(`${host}:${port} shows no certificate`);
    return certificate;
  } finally {
    socket.destroy();
  }
}

async function within(socket: Socket, event: string): Promise<void> {
  await once(socket, event, { signal: AbortSignal.timeout(PATIENCE) });
}
