import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { runMain, startMain, type Values } from '../simulator/runner.ts';
import { digText } from '../src/json.ts';
import { auditWrites, kube, waitFor } from './cluster.ts';
import { asRoot } from './deployer.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';
import { connectAs } from './nats.ts';
import { cutOff, reconnect } from './nodes.ts';
import { type Pod, podsOf, reportOf } from './observe.ts';
import { type Publisher, startPublisher, storedIds } from './publisher.ts';

const namespace = 'e2e-upgrade';
const stream = 'EVENTS';

const lines = ['2.10.23', '2.11.8', '2.12.8', '2.14.6'] as const;
const [oldest, , , newest] = lines;

let inputs: Values;
let outputs: Values;
let admin: NatsConnection;

beforeAll(async () => {
  await emptyNamespace(namespace);
  inputs = { ...asRoot(), namespace };
  await bringTo(oldest);
  admin = await connectAs('admin', outputs);
  const { streams } = await jetstreamManager(admin);
  await streams.add({ name: stream, subjects: ['events'], num_replicas: 3 });
});

afterAll(async () => {
  reconnect();
  await admin?.close();
  await leaveNamespace(namespace);
  kube.close();
});

/** Brings the cluster to that release, where it is not there yet. */
async function bringTo(nats_version: string): Promise<void> {
  const ending = await runMain({ ...inputs, nats_version });
  expect(ending).toMatchObject({ exitCode: 0, errors: [] });
  outputs = ending.outputs;
}

it('goes from 2.10 to 2.14 under load, one server at a time, and loses no acknowledged message', async () => {
  const acknowledged = new Set<string>();
  for (const nats_version of lines.slice(1)) {
    const before = await podsOf(outputs);
    const publisher = startPublisher(admin, { perSecond: 500 });
    const step = startMain({ ...inputs, nats_version });
    const away = await mostAway(step.ended);
    const ending = await step.ended;
    for (const id of await publisher.stop()) acknowledged.add(id);
    expect(ending).toMatchObject({ exitCode: 0, errors: [], outputs: { changed: 'true' } });
    expect(away).toBe(1);
    expect(await versions()).toEqual([nats_version, nats_version, nats_version]);
    expect(uidsOf(await podsOf(outputs)).filter((uid) => uidsOf(before).includes(uid))).toEqual([]);
    console.log(`to ${nats_version}: ${ending.seconds.toFixed(1)} s, ${gaps(publisher)}`);
    expect(publisher.longestGap()).toBeLessThan(30_000);
  }
  const lost = await lostOf(acknowledged);
  console.log(`over three lines: ${acknowledged.size} messages acknowledged, ${lost.length} lost`);
  expect(acknowledged.size).toBeGreaterThan(10_000);
  expect(lost).toEqual([]);
});

it('refuses to go back to a release that does not know what a stream uses, and writes nothing', async () => {
  await bringTo(newest);
  const { streams } = await jetstreamManager(admin);
  await streams.add({ name: 'EXPIRING', subjects: ['expiring'], allow_msg_ttl: true });
  const since = new Date();
  const ending = await runMain({ ...inputs, nats_version: oldest });
  expect(ending.errors[0]).toMatch(
    /back from 2\.14\.6 to 2\.10\.23.*stream DEFAULT\/EXPIRING uses features of 2\.11\.0.*Choose 2\.11\.0 or later/s,
  );
  expect(await auditWrites(since, { userAgent: 'kube-nats-action/' })).toEqual([]);
  await streams.delete('EXPIRING');
});

it('takes no second server down while a node is away, and goes on when it is back', async () => {
  await bringTo(newest);
  const before = await podsOf(outputs);
  const publisher = startPublisher(admin, { perSecond: 100 });
  const step = startMain({ ...inputs, nats_version: '2.12.8' });
  const restarting = (): string => /Restarting (\S+): /.exec(step.printed())?.[1] ?? '';
  await waitFor(() => restarting() !== '', 'the run restarts the first server', 60_000);
  const [lost, spared] = before.filter(({ name }) => name !== restarting());
  if (lost === undefined || spared === undefined) throw new Error('there are no other servers');
  cutOff(lost.node);
  const isBack = ({ name, uid, ready }: Pod): boolean =>
    name === restarting() && ready && !uidsOf(before).includes(uid);
  await waitFor(async () => (await podsOf(outputs)).some(isBack), 'the first server is Ready again', 120_000);
  const told = new RegExp(`${spared.name} is not restarted yet: [^\n]*${lost.name}`);
  await waitFor(() => told.test(step.printed()), `the run waits for ${lost.name}`, 60_000);
  expect(uidsOf(await podsOf(outputs))).toContain(spared.uid);
  reconnect();
  const ending = await step.ended;
  const acknowledged = await publisher.stop();
  expect(ending).toMatchObject({ exitCode: 0, errors: [], outputs: { changed: 'true' } });
  expect(ending.log).toContain('The servers go back from 2.14.6 to 2.12.8');
  expect(await versions()).toEqual(['2.12.8', '2.12.8', '2.12.8']);
  console.log(`back to 2.12.8 with a node away: ${ending.seconds.toFixed(1)} s, ${gaps(publisher)}`);
  expect(await lostOf(acknowledged)).toEqual([]);
});

function gaps(publisher: Publisher): string {
  return `longest publish gap ${publisher.longestGap()} ms, ${publisher.retries()} sent again`;
}

function uidsOf(pods: Pod[]): string[] {
  return pods.map(({ uid }) => uid);
}

async function versions(): Promise<string[]> {
  const pods = await podsOf(outputs);
  return Promise.all(pods.map(async ({ name }) => digText(await reportOf(namespace, name, '/varz'), 'version')));
}

async function lostOf(acknowledged: Set<string>): Promise<string[]> {
  const stored = await storedIds(admin, stream);
  return [...acknowledged].filter((id) => !stored.has(id));
}

/** The most servers that were seen not Ready at a time while the run worked. */
async function mostAway(ended: Promise<unknown>): Promise<number> {
  let running = true;
  const end = ended.finally(() => {
    running = false;
  });
  let most = 0;
  while (running) most = Math.max(most, 3 - (await podsOf(outputs)).filter(({ ready }) => ready).length);
  await end;
  return most;
}
