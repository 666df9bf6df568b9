import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { type Ending, runMain, type Values } from '../simulator/runner.ts';
import { dig, digObjects, digText, type Json } from '../src/json.ts';
import { auditWrites, hasAuditLog, kube, waitFor } from './cluster.ts';
import { asRoot } from './deployer.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';
import { connectAs } from './nats.ts';
import { metaGroup, podsOf, reportOf } from './observe.ts';

const namespace = 'e2e-scaling';

let inputs: Values;
let outputs: Values;

/** Has so many servers, of which two may share a node; expects the run to succeed. */
async function scale(replicas: number): Promise<Ending> {
  const ending = await runMain({ ...inputs, replicas: `${replicas}` });
  expect(ending).toMatchObject({ exitCode: 0, errors: [] });
  outputs = ending.outputs;
  return ending;
}

/** Works with a connection of that role. */
async function as<T>(role: 'admin' | 'superuser', work: (connection: NatsConnection) => Promise<T>): Promise<T> {
  const connection = await connectAs(role, outputs);
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}

beforeAll(async () => {
  await emptyNamespace(namespace);
  inputs = { ...asRoot(), namespace, host_anti_affinity: 'preferred' };
});

afterAll(async () => {
  await leaveNamespace(namespace);
  kube.close();
});

it('a single server with a stream stays alone: the run names the stream and writes nothing', async () => {
  await scale(1);
  await as('admin', async (admin) => {
    const { streams } = await jetstreamManager(admin);
    await streams.add({ name: 'KEPT', subjects: ['kept'] });
    await jetstream(admin).publish('kept', 'precious');
    const since = new Date();
    const refused = await runMain({ ...inputs, replicas: '3' });
    expect(refused.errors[0]).toMatch(/from 1 to 3: .*removes them\. It has DEFAULT\/KEPT\. Nothing was written/);
    if (hasAuditLog()) expect(await auditWrites(since, { userAgent: 'kube-nats-action/' })).toEqual([]);
    expect((await streams.info('KEPT')).state.messages).toBe(1);
    await streams.delete('KEPT');
  });
});

it('an empty one grows to three, and these to five without a restart', async () => {
  const first = await scale(3);
  const three = await podsOf(outputs);
  await as('admin', async (admin) => {
    await (await jetstreamManager(admin)).streams.add({ name: 'EVENTS', subjects: ['events'], num_replicas: 3 });
    await jetstream(admin).publish('events', 'precious');
  });
  const second = await scale(5);
  console.log(`from 1 to 3: ${first.seconds.toFixed(1)} s, from 3 to 5: ${second.seconds.toFixed(1)} s`);
  const five = await podsOf(outputs);
  expect(five).toHaveLength(5);
  expect(five.slice(0, 3).map(({ uid }) => uid)).toEqual(three.map(({ uid }) => uid));
  expect((await metaGroup(outputs)).current).toHaveLength(5);
  await as('admin', async (admin) => {
    const { streams } = await jetstreamManager(admin);
    await streams.add({ name: 'WIDE', subjects: ['wide'], num_replicas: 5 });
    await jetstream(admin).publish('wide', 'precious');
    expect((await streams.info('EVENTS')).state.messages).toBe(1);
  });
});

it('five become three once nothing is stored on two, by the steps of docs/life-cycle.md', async () => {
  const going = [4, 3].map((ordinal) => `${outputs.name}-${ordinal}`);
  const refused = await runMain({ ...inputs, replicas: '3' });
  expect(refused.errors[0]).toMatch(/nats-\w+-[34] would take its replicas of streams with it: .*WIDE/);
  await as('admin', async (admin) => {
    await (await jetstreamManager(admin)).streams.update('WIDE', { num_replicas: 3 });
  });
  for (const server of going) {
    await waitFor(() => isPlain(server), `${server} does not lead JetStream`, 60_000);
    await removePeer(server);
    for (const stream of ['EVENTS', 'WIDE']) {
      await waitFor(() => isWhole(stream, server), `${stream} has three current replicas, none on ${server}`, 60_000);
    }
  }
  await scale(3);
  await waitFor(async () => (await podsOf(outputs)).length === 3, 'the two that went are gone', 120_000);
  for (const server of await absentPeers()) await removePeer(server);
  await waitFor(async () => (await countedServers()) === 3, 'JetStream counts three servers', 60_000);
  expect((await metaGroup(outputs)).current).toHaveLength(3);
  await as('admin', async (admin) => {
    const { streams } = await jetstreamManager(admin);
    expect((await streams.info('EVENTS')).state.messages).toBe(1);
    expect((await streams.info('WIDE')).state.messages).toBe(1);
  });
});

/** Whether the server is not JetStream's meta leader; has it step down where it is. */
async function isPlain(server: string): Promise<boolean> {
  if ((await metaGroup(outputs)).leader !== server) return true;
  await as('superuser', (superuser) => superuser.request('$JS.API.META.LEADER.STEPDOWN'));
  return false;
}

async function removePeer(peer: string): Promise<void> {
  const subject = '$JS.API.SERVER.REMOVE';
  const answer = await as('superuser', (superuser) => superuser.request(subject, JSON.stringify({ peer })));
  expect(answer.json()).toMatchObject({ success: true });
}

/** The servers that JetStream's meta leader counts and that are gone. */
async function absentPeers(): Promise<string[]> {
  const pods = (await podsOf(outputs)).map(({ name }) => name);
  const report = await reportOf(namespace, (await metaGroup(outputs)).leader, '/jsz');
  const peers = digObjects(report, 'meta_cluster', 'replicas').map((peer) => digText(peer, 'name'));
  return peers.filter((peer) => !pods.includes(peer));
}

/** How many servers JetStream's meta leader counts for its majority: one that is removed is for a moment still one of them. */
async function countedServers(): Promise<Json | undefined> {
  const { leader } = await metaGroup(outputs);
  return dig(await reportOf(namespace, leader, '/jsz'), 'meta_cluster', 'cluster_size');
}

/** Whether the stream has three current replicas, and none on the server that it had one on. */
async function isWhole(stream: string, without: string): Promise<boolean> {
  const { cluster } = await as('admin', async (admin) => (await jetstreamManager(admin)).streams.info(stream));
  const followers = cluster?.replicas ?? [];
  const peers = [cluster?.leader, ...followers.map(({ name }) => name)];
  return peers.length === 3 && !peers.includes(without) && followers.every(({ current }) => current);
}
