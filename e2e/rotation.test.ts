import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { runMain, type Values } from '../simulator/runner.ts';
import { dig, digObjects, digText } from '../src/json.ts';
import { askAgain } from './ask-again.ts';
import { certificateOf, leafOf, renew, servedToClients, servedToServers } from './certificates.ts';
import { auditWrites, hasAuditLog, kube, vault, waitFor } from './cluster.ts';
import { asRoot } from './deployer.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';
import { connectAs } from './nats.ts';
import { logOf, podsOf, reportOf } from './observe.ts';
import { startPublisher, storedIds } from './publisher.ts';
import { expectNoWrite, run } from './runs.ts';

const namespace = 'e2e-rotation';
const stream = 'EVENTS';
const ROLES = ['superuser', 'admin', 'reader'] as const;
const ROUNDS = 5;
/** The first message of the stream. */
const FIRST = 'first';

let inputs: Values;
let outputs: Values;

beforeAll(async () => {
  await emptyNamespace(namespace);
  inputs = { ...asRoot(), namespace, nats_version: '2.14.6' };
  outputs = (await run(inputs)).outputs;
  const admin = await connectAs('admin', outputs);
  const streams = await jetstreamManager(admin);
  await streams.streams.add({ name: stream, subjects: ['events'], num_replicas: 3, allow_direct: true });
  await jetstream(admin).publish('events', FIRST);
  await admin.close();
});

afterAll(async () => {
  await leaveNamespace(namespace);
  kube.close();
});

const serverSecret = (): string => `${outputs.name}-server-certs`;
const clusterSecret = (): string => `${outputs.name}-cluster-certs`;

/** What clients of all roles that stay connected saw. */
interface Experience {
  /** Whatever their connections told: "admin: disconnect". */
  incidents: string[];
  /** The ids under which the servers know them. */
  sameConnections: boolean;
  /** Messages, in the mean of all the time that admin published. */
  acknowledgedPerSecond: number;
  lost: string[];
  failedReads: number;
  failedPings: number;
}

/** What a crew's experience is when nothing befell it. */
const UNDISTURBED = { incidents: [], sameConnections: true, lost: [], failedReads: 0, failedPings: 0 };

interface Crew {
  stop(): Promise<Experience>;
}

/** Connects one client of each role and keeps all of them busy: admin publishes, reader reads, superuser pings the servers. */
async function startCrew(): Promise<Crew> {
  const [superuser, admin, reader] = await Promise.all([
    connectAs('superuser', outputs),
    connectAs('admin', outputs),
    connectAs('reader', outputs),
  ]);
  const crew = { superuser, admin, reader };
  const incidents: string[] = [];
  for (const role of ROLES) void watch(role, crew[role], incidents);
  const ids = ROLES.map((role) => crew[role].info?.client_id);
  const streams = await jetstreamManager(reader);
  const began = performance.now();
  const publisher = startPublisher(admin, { perSecond: 500 });
  const unanswered: string[] = [];
  const reads = repeat(50, () => readOne(streams, unanswered));
  const pings = repeat(1_000, () => pingServers(superuser));
  return {
    async stop() {
      const seconds = (performance.now() - began) / 1_000;
      const [failedReads, failedPings, acknowledged] = await Promise.all([
        reads.stop(),
        pings.stop(),
        publisher.stop(),
      ]);
      const stored = await storedIds(admin, stream);
      const lost = [...acknowledged].filter((id) => !stored.has(id));
      const experience = {
        incidents: [...incidents],
        sameConnections: ROLES.every((role, index) => crew[role].info?.client_id === ids[index]),
        acknowledgedPerSecond: acknowledged.size / seconds,
        lost,
        failedReads,
        failedPings,
      };
      console.log(
        `${acknowledged.size} messages acknowledged in ${Math.round(seconds)} s, ${lost.length} lost, ${publisher.retries()} sent again, longest ` +
          `gap ${publisher.longestGap()} ms; ${incidents.length} incidents of connections, ${failedReads} failed reads, ` +
          `${unanswered.length} reads asked for again`,
      );
      await Promise.all(ROLES.map((role) => crew[role].close()));
      return experience;
    },
  };
}

/** Notes everything that befalls a connection until it is closed. */
async function watch(role: string, connection: NatsConnection, incidents: string[]): Promise<void> {
  for await (const { type } of connection.status()) {
    if (type !== 'ping' && type !== 'update' && type !== 'close') incidents.push(`${role}: ${type}`);
  }
}

/** Does it again and again, so many milliseconds apart, until stopped; resolves to how often it failed. */
function repeat(interval: number, work: () => Promise<void>): { stop(): Promise<number> } {
  let stopped = false;
  let failures = 0;
  const working = (async () => {
    while (!stopped) {
      await work().catch(() => failures++);
      await sleep(interval);
    }
  })();
  return {
    async stop() {
      stopped = true;
      await working;
      return failures;
    },
  };
}

async function readOne(streams: JetStreamManager, unanswered: string[]): Promise<void> {
  const message = await askAgain(() => streams.direct.getMessage(stream, { seq: 1 }), unanswered);
  if (message?.string() !== FIRST) throw new Error('not the first message');
}

async function pingServers(superuser: NatsConnection): Promise<void> {
  const options = { strategy: 'count', maxMessages: 3, maxWait: 5_000 } as const;
  const servers = new Set<string>();
  for await (const reply of await superuser.requestMany('$SYS.REQ.SERVER.PING', '', options)) {
    servers.add(digText(reply.json(), 'server', 'name'));
  }
  if (servers.size < 3) throw new Error(`only ${[...servers].join(', ')} answered`);
}

/** The routes of each server, by the ids that they have as long as they live. */
async function routes(): Promise<string[]> {
  const pods = await podsOf(outputs);
  const reports = await Promise.all(pods.map(({ name }) => reportOf(namespace, name, '/routez')));
  return reports.flatMap((report, index) =>
    digObjects(report, 'routes').map(
      (route) => `${pods[index]?.name} ${digText(route, 'rid')} ${digText(route, 'remote_id')}`,
    ),
  );
}

describe('five rotations of all certificates under load', () => {
  let experience: Experience;
  let routesBefore: string[];
  const seconds: number[] = [];

  it(
    'have every server show each new certificate on both ports, without help',
    async () => {
      const crew = await startCrew();
      routesBefore = await routes();
      try {
        for (let round = 1; round <= ROUNDS; round++) seconds.push(...(await rotate(round)));
      } finally {
        experience = await crew.stop();
      }
      console.log(`all rounds: ${Math.min(...seconds)} to ${Math.max(...seconds)} s`);
      expect(seconds).toHaveLength(ROUNDS * 6);
    },
    20 * 60_000,
  );

  it('drop no connection of a client', () => {
    const { incidents, sameConnections } = UNDISTURBED;
    expect(experience).toMatchObject({ incidents, sameConnections });
  });

  it('lose no acknowledged message, and fail no reader and no administrator', () => {
    expect(experience).toMatchObject(UNDISTURBED);
    // A fifth of what is sent: two noisy cores slow a publisher down, but one that stalls is a failure.
    expect(experience.acknowledgedPerSecond).toBeGreaterThan(100);
  });

  it('drop no route', async () => {
    expect(routesBefore.length).toBeGreaterThanOrEqual(6);
    expect((await routes()).sort()).toEqual(routesBefore.sort());
  });

  it('leave Secrets that clients connect with', async () => {
    for (const role of ROLES) await (await connectAs(role, outputs)).close();
  });
});

it('a run right after a rotation waits for no kubelet, and writes nothing', async () => {
  await Promise.all([renew(namespace, serverSecret()), renew(namespace, clusterSecret())]);
  await expectNoWrite(inputs);
});

it('changes the lifetime of the client certificates down and up, Vault first, while clients stay connected', async () => {
  const pods = await podsOf(outputs);
  const crew = await startCrew();
  try {
    for (const hours of [4, 24, 16]) {
      const since = new Date();
      inputs = { ...inputs, vault_credential_lifetime_hours: String(hours) };
      const { fingerprint256 } = await renew(namespace, serverSecret());
      const { seconds } = await run(inputs);
      console.log(`to ${hours} h: ${seconds.toFixed(1)} s`);
      // A run that changes something does not leave new files to the kubelets' own pace.
      for (const { name } of pods) expect((await servedToClients(hostOf(name))).fingerprint256).toBe(fingerprint256);
      for (const role of ROLES)
        expect(await lifetimeOf(role)).toEqual({ inVault: hours, total: hours, renewed: hours / 2 });
      if (hasAuditLog()) await expectVaultFirst(since);
      await expectNoWrite(inputs);
    }
  } finally {
    expect(await crew.stop()).toMatchObject(UNDISTURBED);
  }
}, 600_000);

/** Hours that Vault allows, and of the certificate that was issued: as a whole, and until it is renewed. */
async function lifetimeOf(role: (typeof ROLES)[number]): Promise<{ inVault: number; total: number; renewed: number }> {
  const secret = outputs[`${role}_creds_secret`] ?? '';
  const [leaf, { status }, { data }] = await Promise.all([
    leafOf(namespace, secret),
    certificateOf(namespace, secret),
    vault().call('GET', `pki/internal/roles/nats-${role}-${outputs.name}`),
  ]);
  const hours = (until: Date) => Math.round((until.getTime() - leaf.validFromDate.getTime()) / 3_600_000);
  return {
    inVault: Number(digText(data, 'max_ttl')) / 3600,
    total: hours(leaf.validToDate),
    renewed: hours(new Date(digText(status, 'renewalTime'))),
  };
}

async function expectVaultFirst(since: Date): Promise<void> {
  const writes = await auditWrites(since, { userAgent: 'kube-nats-action/' });
  const uris = writes.map(({ uri }) => uri).filter((uri) => uri.includes(outputs.name ?? ''));
  const roles = uris.flatMap((uri, index) => (uri.includes('/proxy/v1/pki/internal/roles/') ? [index] : []));
  const certificates = uris.flatMap((uri, index) => (uri.includes('/certificates/') ? [index] : []));
  expect([roles.length, certificates.length]).toEqual([3, 3]);
  expect(Math.max(...roles)).toBeLessThan(Math.min(...certificates));
}

describe("a server's key that does not fit, while cert-manager is away", () => {
  it('reaches no server, is told by a run with the next step, and heals when cert-manager is back', async () => {
    const before = await leafOf(namespace, serverSecret());
    const pods = await podsOf(outputs);
    const changed = { ...inputs, log_level: 'debug' };
    const crew = await startCrew();
    try {
      await withoutCertManager(async () => {
        await giveForeignKey();
        for (const { name } of pods) {
          const refused = async () => (await logOf(namespace, name)).includes('Failed to reload server configuration');
          await waitFor(refused, `${name} refuses the pair`, 120_000);
          expect((await servedToClients(hostOf(name))).fingerprint256).toBe(before.fingerprint256);
        }
        for (const asked of [inputs, changed]) await expectComplaint(asked);
      });
      let healed = before;
      const isNew = async (): Promise<boolean> => {
        healed = await leafOf(namespace, serverSecret());
        return healed.fingerprint256 !== before.fingerprint256;
      };
      await waitFor(isNew, 'cert-manager has issued it again', 60_000);
      const issued = { fingerprint256: healed.fingerprint256, since: performance.now() };
      inputs = changed;
      await run(inputs);
      const seconds = await Promise.all(pods.map(({ name }) => arrival(name, servedToClients, issued)));
      console.log(`healed after ${seconds.join(', ')} s`);
      expect(await podsOf(outputs)).toEqual(pods);
      await expectNoWrite(inputs);
      for (const { name } of pods) expect(await logOf(namespace, name)).toContain('Reloaded: debug = true');
    } finally {
      expect(await crew.stop()).toMatchObject(UNDISTURBED);
    }
  }, 600_000);
});

/** Runs into the error that names the Secret, what is wrong with it, and the next step. */
async function expectComplaint(asked: Values): Promise<void> {
  const { exitCode, errors, seconds } = await runMain(asked);
  console.log(`${seconds.toFixed(1)} s: ${errors[0]}`);
  expect(exitCode).toBe(1);
  expect(errors[0]).toContain(`Secret ${serverSecret()}: tls.key is not the key of tls.crt`);
  expect(errors[0]).toContain('See that cert-manager runs (kubectl -n cert-manager get pods)');
}

const CERT_MANAGER = '/apis/apps/v1/namespaces/cert-manager/deployments/cert-manager';

async function withoutCertManager(work: () => Promise<void>): Promise<void> {
  try {
    await scaleCertManager(0);
    await work();
  } finally {
    await scaleCertManager(1);
  }
}

async function scaleCertManager(replicas: number): Promise<void> {
  await kube.patch(CERT_MANAGER, { spec: { replicas } });
  const scaled = async (): Promise<boolean> => {
    const { status } = await kube.get(CERT_MANAGER);
    return Number(dig(status, 'replicas') ?? 0) === replicas && Number(dig(status, 'readyReplicas') ?? 0) === replicas;
  };
  await waitFor(scaled, `cert-manager has ${replicas} replicas`, 60_000);
}

/** Puts the cluster certificate's key beside the server certificate, and has the kubelets bring it at once. */
async function giveForeignKey(): Promise<void> {
  const pathOf = (secret: string) => `/api/v1/namespaces/${namespace}/secrets/${secret}`;
  const { data } = await kube.get(pathOf(clusterSecret()));
  await kube.patch(pathOf(serverSecret()), { data: { 'tls.key': digText(data, 'tls.key') } });
  for (const { name } of await podsOf(outputs)) {
    const annotations = { 'e2e/touched': new Date().toISOString() };
    await kube.patch(`/api/v1/namespaces/${namespace}/pods/${name}`, { metadata: { annotations } });
  }
}

/** Renews all five certificates; resolves to the seconds after which each server showed its new ones. */
async function rotate(round: number): Promise<number[]> {
  const clients = ROLES.map((role) => outputs[`${role}_creds_secret`] ?? '');
  const [server, cluster] = await Promise.all(
    [serverSecret(), clusterSecret(), ...clients].map(async (secret) => {
      const { fingerprint256 } = await renew(namespace, secret);
      return { fingerprint256, since: performance.now() };
    }),
  );
  if (server === undefined || cluster === undefined) throw new Error('nothing was renewed');
  const pods = await podsOf(outputs);
  const seconds = await Promise.all(
    pods.map(({ name }) =>
      Promise.all([arrival(name, servedToClients, server), arrival(name, servedToServers, cluster)]),
    ),
  );
  const told = pods.map(({ name }, index) => `${name} ${seconds[index]?.join(' and ')} s`);
  console.log(`round ${round}, from the Secret's change until it is served on 4222 and 6222: ${told.join(', ')}`);
  return seconds.flat();
}

const PATIENCE = 240_000;

function hostOf(server: string): string {
  return `${server}.${outputs.name}-headless.${namespace}.svc.cluster.local`;
}

/** Seconds from that moment until the server shows the certificate. */
async function arrival(
  server: string,
  served: (host: string) => Promise<{ fingerprint256: string }>,
  { fingerprint256, since }: { fingerprint256: string; since: number },
): Promise<number> {
  while ((await served(hostOf(server))).fingerprint256 !== fingerprint256) {
    if (performance.now() - since > PATIENCE) throw new Error(`${server} still shows an old certificate`);
    await sleep(1_000);
  }
  return Math.round((performance.now() - since) / 1000);
}
