import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AckPolicy, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { NAME, natsConfIn, stateWith } from '../__tests__/desired/fixture.ts';
import type { Values } from '../simulator/runner.ts';
import { digObjects, digText, type JsonObject } from '../src/json.ts';
import { renew } from './certificates.ts';
import { kube, waitFor } from './cluster.ts';
import { asRoot } from './deployer.ts';
import { LANGUAGES, type Language, LIBRARY, type RunningClient, startClient } from './example-clients.ts';
import { type LocalServer, startServer, writePair } from './local-server.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';
import { type Credentials, credentials } from './nats.ts';
import { podsOf, reportOf } from './observe.ts';
import { type Publisher, startPublisher } from './publisher.ts';
import { run } from './runs.ts';
import { hasCondition } from './sandbox/kube-api.ts';
import { nodes, paths } from './sandbox/topology.ts';

const stream = 'EVENTS';
const subject = 'events';

afterAll(() => kube.close());

/** Makes the stream, with a consumer for each client. */
async function makeStream(connection: NatsConnection, replicas: number): Promise<void> {
  const { streams, consumers } = await jetstreamManager(connection);
  await streams.add({ name: stream, subjects: [subject], num_replicas: replicas });
  for (const durable_name of LANGUAGES) {
    // What was under way when a connection ended comes again this soon: nanoseconds.
    await consumers.add(stream, { durable_name, ack_policy: AckPolicy.Explicit, ack_wait: 5_000_000_000 });
  }
}

/** Starts all clients with the files of a mounted Secret. */
function startClients(url: string, directory: string): { [L in Language]: RunningClient } {
  const start = (language: Language): RunningClient =>
    startClient(language, {
      NATS_URL: url,
      NATS_CA: join(directory, 'ca.crt'),
      NATS_CERT: join(directory, 'tls.crt'),
      NATS_KEY: join(directory, 'tls.key'),
      NATS_STREAM: stream,
      NATS_CONSUMER: language,
    });
  return { node: start('node'), go: start('go'), python: start('python') };
}

/** The connection of a client as a server tells it: those of the tests have names. */
function connectionOf(language: Language, reports: JsonObject[]): JsonObject | undefined {
  return reports
    .flatMap((report) => digObjects(report, 'connections'))
    .find(({ lang, name }) => lang === LIBRARY[language] && (name ?? '') === '');
}

/** The SHA-256 of the certificate that a client has shown, in hexadecimal digits; '' while it is not connected. */
const shownBy = (language: Language, reports: JsonObject[]): string =>
  digText(digObjects(connectionOf(language, reports), 'tls_peer_certs')[0], 'cert_sha256');

const fingerprint = (pem: string): string => new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase();

/** Waits until every client shows that certificate to the servers. */
async function untilAllShow(
  certificate: string,
  clients: { [L in Language]: RunningClient },
  reports: () => Promise<JsonObject[]>,
): Promise<void> {
  let last: JsonObject[] = [];
  const all = async (): Promise<boolean> => {
    last = await reports();
    return LANGUAGES.every((language) => shownBy(language, last) === certificate);
  };
  await waitFor(all, 'every client shows the certificate', 180_000).catch((error: unknown) => {
    const states = LANGUAGES.map((language) => `${language} ${shownBy(language, last)} ${clients[language].state()}`);
    throw new Error(`${error}\n${states.join('\n')}`);
  });
}

/** Waits until a client has every message; tells how many. */
async function untilAllReceived(acknowledged: Set<string>, language: Language, client: RunningClient): Promise<number> {
  const missing = (): string[] => [...acknowledged].filter((id) => !client.received.has(id));
  await waitFor(() => missing().length === 0, `${language} has every message`, 60_000).catch(() => {});
  expect(missing().slice(0, 5)).toEqual([]);
  return client.received.size;
}

describe('on a server of this machine, with certificates that expire soon', () => {
  const LIFETIME = 75;
  const version = '2.14.6';
  const user = `admin-${NAME}`;

  let server: LocalServer;
  let secret: MountedSecret;
  let first: Credentials;
  let second: Credentials;
  let publishing: NatsConnection;
  let naive: NatsConnection;
  let clients: { [L in Language]: RunningClient };
  let publisher: Publisher;

  const connections = async (): Promise<JsonObject[]> => [await server.report('/connz?auth=true')];
  const expiry = (): number => new X509Certificate(first.cert).validToDate.getTime();

  beforeAll(async () => {
    server = await startServer(version, natsConfIn(stateWith({ replicas: 1, nats_version: version })));
    const forever = { servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 200 };
    publishing = await connect({ ...forever, name: 'publisher', tls: { ...server.issue(user, 3_600) } });
    await makeStream(publishing, 1);
    first = server.issue(user, LIFETIME);
    secret = mountSecret(first);
    clients = startClients(server.url, secret.directory);
    naive = await connect({ ...forever, name: 'naive', tls: { ...first } });
    await untilAllShow(fingerprint(first.cert), clients, connections);
    publisher = startPublisher(publishing, { perSecond: 50 });
  });

  afterAll(async () => {
    await publisher?.stop();
    await Promise.all(LANGUAGES.map((language) => clients?.[language].stop()));
    await Promise.all([publishing?.close(), naive?.close()]);
    await server?.stop();
    secret?.remove();
  });

  it('clients connect anew with the new certificate before the old one expires', async () => {
    second = server.issue(user, 3_600);
    const renewed = Date.now();
    secret.renew(second);
    await untilAllShow(fingerprint(second.cert), clients, connections);
    console.log(
      `reconnected within ${Date.now() - renewed} ms of the renewal, ${expiry() - Date.now()} ms before the expiry`,
    );
    expect(Date.now()).toBeLessThan(expiry());
  });

  it('clients come back after a restart of the server when the old certificate has expired', async () => {
    await sleep(Math.max(0, expiry() + 1_000 - Date.now()));
    expect(naive.isClosed()).toBe(false);
    await naive.flush();
    await server.restart();
    await untilAllShow(fingerprint(second.cert), clients, connections);
  });

  it('a client that keeps the old pair stays connected until then, and is locked out', async () => {
    await waitFor(() => server.log().includes('certificate has expired'), 'the server refuses it', 30_000);
    const names = (await connections()).flatMap((report) => digObjects(report, 'connections')).map(({ name }) => name);
    expect(names).toContain('publisher');
    expect(names).not.toContain('naive');
  });

  it('clients live on when the certificate changes while the server is down', async () => {
    const third = server.issue(user, 3_600);
    await server.restart(async () => {
      secret.renew(third);
      // Every client looks every 5 s, and tries to connect more often; Python waits 10 s for a flush. None tells of it.
      await sleep(20_000);
    });
    await untilAllShow(fingerprint(third.cert), clients, connections);
  });

  it('clients got every message', async () => {
    const acknowledged = await publisher.stop();
    for (const language of LANGUAGES) {
      const received = await untilAllReceived(acknowledged, language, clients[language]);
      console.log(`${language}: ${received} messages`);
    }
    expect(acknowledged.size).toBeGreaterThan(100);
  });
});

/** A directory as the kubelet makes it of a Secret: the files are links into one that a single link chooses. */
interface MountedSecret {
  directory: string;
  renew(content: Credentials): void;
  remove(): void;
}

function mountSecret(content: Credentials): MountedSecret {
  const directory = mkdtempSync(join(tmpdir(), 'mounted-secret-'));
  let version = 0;
  const renew = (renewed: Credentials): void => {
    version += 1;
    writePair(join(directory, `..${version}`), renewed);
    symlinkSync(`..${version}`, join(directory, '..data_tmp'));
    renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
  };
  renew(content);
  for (const file of ['ca.crt', 'tls.crt', 'tls.key']) symlinkSync(`..data/${file}`, join(directory, file));
  return { directory, renew, remove: () => rmSync(directory, { recursive: true }) };
}

describe('on a cluster, with the Secret that a pod has mounted', () => {
  const namespace = 'e2e-client-rotation';

  let outputs: Values;
  let clients: { [L in Language]: RunningClient };
  let admin: NatsConnection;
  let publisher: Publisher;

  beforeAll(async () => {
    await emptyNamespace(namespace);
    outputs = (await run({ ...asRoot(), namespace })).outputs;
    const tls = { ...(await credentials(namespace, outputs.admin_creds_secret ?? '')) };
    admin = await connect({ servers: outputs.nats_url ?? '', tls, name: 'publisher', maxReconnectAttempts: -1 });
    await makeStream(admin, 3);
  });

  afterAll(async () => {
    await publisher?.stop();
    await Promise.all(LANGUAGES.map((language) => clients?.[language].stop()));
    await admin?.close();
    await leaveNamespace(namespace);
  });

  const connections = async (): Promise<JsonObject[]> =>
    Promise.all((await podsOf(outputs)).map(({ name }) => reportOf(namespace, name, '/connz?auth=true')));

  it('clients connect anew with the new certificate and get every message', async () => {
    const secret = outputs.admin_creds_secret ?? '';
    const directory = await mountInPod(namespace, secret);
    const before = readFileSync(join(directory, 'tls.crt'), 'utf8');
    clients = startClients(outputs.nats_url ?? '', directory);
    await untilAllShow(fingerprint(before), clients, connections);
    publisher = startPublisher(admin, { perSecond: 50 });
    const leaf = await renew(namespace, secret);
    const renewed = Date.now();
    await untilAllShow(fingerprint(leaf.toString()), clients, connections);
    console.log(`reconnected within ${Date.now() - renewed} ms of the Secret's change`);
    const acknowledged = await publisher.stop();
    for (const language of LANGUAGES) await untilAllReceived(acknowledged, language, clients[language]);
    expect(acknowledged.size).toBeGreaterThan(0);
  });
});

/** Has a pod mount a Secret; resolves to the directory as the kubelet keeps it, seen from outside of the node. */
async function mountInPod(namespace: string, secretName: string): Promise<string> {
  const [node] = nodes;
  if (node === undefined) throw new Error('The sandbox has no nodes');
  const path = `/api/v1/namespaces/${namespace}/pods/client`;
  await kube.apply(path, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'client' },
    spec: {
      nodeName: node.name,
      containers: [
        {
          name: 'client',
          image: 'docker.io/library/nats:2.14.6-alpine',
          command: ['sleep', '3600'],
          volumeMounts: [{ name: 'nats-certs', mountPath: '/etc/nats-certs', readOnly: true }],
        },
      ],
      volumes: [{ name: 'nats-certs', secret: { secretName } }],
      terminationGracePeriodSeconds: 0,
    },
  });
  await waitFor(async () => hasCondition(await kube.get(path), 'Ready'), 'the pod is ready', 60_000);
  const uid = digText((await kube.get(path)).metadata, 'uid');
  const pid = readFileSync(join(paths.run, `${node.name}-containerd.pid`), 'utf8').trim();
  return `/proc/${pid}/root/var/lib/kubelet/pods/${uid}/volumes/kubernetes.io~secret/nats-certs`;
}
