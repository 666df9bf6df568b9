import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type ConsumerInfo, type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { runMain, startMain, type Values } from '../simulator/runner.ts';
import { digText } from '../src/json.ts';
import { auditWrites, hasAuditLog, kube } from './cluster.ts';
import { asRoot } from './deployer.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';
import { connectAs } from './nats.ts';
import { logOf, type Pod, podsOf, reportOf, sampleUntil } from './observe.ts';
import { startPublisher, storedIds } from './publisher.ts';

const namespace = 'e2e-change';
const stream = 'EVENTS';

let inputs: Values;
let outputs: Values;
let admin: NatsConnection;
let streams: JetStreamManager;

beforeAll(async () => {
  await emptyNamespace(namespace);
  inputs = { ...asRoot(), namespace, nats_version: '2.14.6' };
  const ending = await runMain(inputs);
  expect(ending).toMatchObject({ exitCode: 0, errors: [] });
  outputs = ending.outputs;
  admin = await connectAs('admin', outputs);
  streams = await jetstreamManager(admin);
  await streams.streams.add({ name: stream, subjects: ['events'], num_replicas: 3 });
});

afterAll(async () => {
  await admin?.close();
  await leaveNamespace(namespace);
  kube.close();
});

it('takes a changed log_level and reader_access to the running servers by a reload', async () => {
  await expect(makeConsumer()).rejects.toThrow(/permissions violation/i);
  const before = await servers();
  const since = new Date();
  inputs = { ...inputs, log_level: 'debug', reader_access: 'consuming' };
  const ending = await runMain(inputs);
  expect(ending).toMatchObject({ exitCode: 0, errors: [], outputs: { changed: 'true' } });
  const after = await servers();
  expect(after.map(({ uid, started }) => [uid, started])).toEqual(before.map(({ uid, started }) => [uid, started]));
  const written = hasAuditLog() ? await timeOfWrite(since) : since;
  const delays = after.map(({ loaded }) => (loaded.getTime() - written.getTime()) / 1000);
  console.log(`from the write to each server's reload: ${delays.map((delay) => delay.toFixed(1)).join(', ')} s`);
  expect(await logOf(namespace, after[0]?.name ?? '')).toContain('Reloaded: debug = true');
  expect((await makeConsumer()).name).toBe('reading');
  // By itself a kubelet looks at a pod only once in syncFrequency.
  const bound = (await kubeletSyncSeconds(after[0]?.node ?? '')) / 3;
  for (const delay of delays) {
    expect(delay).toBeGreaterThan(0);
    expect(delay).toBeLessThan(bound);
  }
});

it('rolls one pod at a time for a setting that needs a restart, and loses no acknowledged message', async () => {
  const before = await podsOf(outputs);
  const publisher = startPublisher(admin);
  inputs = { ...inputs, fsync_interval_seconds: '30' };
  const step = startMain(inputs);
  const samples = await sampleUntil(step.ended, outputs);
  const ending = await step.ended;
  const acknowledged = await publisher.stop();

  expect(ending).toMatchObject({ exitCode: 0, errors: [], outputs: { changed: 'true' } });
  const away = samples.map((pods) => 3 - pods.filter(({ ready }) => ready).length);
  expect(Math.max(...away)).toBe(1);
  const uids = (pods: Pod[]): Set<string> => new Set(pods.map(({ uid }) => uid));
  const after = await podsOf(outputs);
  expect(after.filter(({ uid }) => uids(before).has(uid))).toEqual([]);
  expect(orderOfReplacement(samples, before)).toHaveLength(3);

  const stored = await storedIds(admin, stream);
  const lost = [...acknowledged].filter((id) => !stored.has(id));
  console.log(
    `rolling restart: ${ending.seconds.toFixed(1)} s, ${acknowledged.size} messages acknowledged, ` +
      `${lost.length} lost, longest gap ${publisher.longestGap()} ms`,
  );
  expect(acknowledged.size).toBeGreaterThan(100);
  expect(lost).toEqual([]);
});

interface Server extends Pod {
  started: string;
  loaded: Date;
}

async function servers(): Promise<Server[]> {
  const pods = await podsOf(outputs);
  return Promise.all(
    pods.map(async (pod) => {
      const varz = await reportOf(namespace, pod.name, '/varz');
      return { ...pod, started: digText(varz, 'start'), loaded: new Date(digText(varz, 'config_load_time')) };
    }),
  );
}

/** Makes a consumer as the reader, which may once it is allowed to. */
async function makeConsumer(): Promise<ConsumerInfo> {
  const reader = await connectAs('reader', outputs);
  try {
    const { consumers } = await jetstreamManager(reader);
    return await consumers.add(stream, { name: 'reading', ack_policy: 'none', inactive_threshold: 60e9 });
  } finally {
    await reader.close();
  }
}

/** When the API server received the ConfigMap. */
async function timeOfWrite(since: Date): Promise<Date> {
  const writes = await auditWrites(since, { userAgent: 'kube-nats-action/' });
  const written = writes.find(({ uri }) => uri.includes(`/configmaps/${outputs.name}?`));
  if (written === undefined) throw new Error('the run did not write the ConfigMap');
  return written.time;
}

async function kubeletSyncSeconds(node: string): Promise<number> {
  const { kubeletconfig } = await kube.get(`/api/v1/nodes/${node}/proxy/configz`);
  const [, minutes = '0', seconds = '0'] =
    /^(?:(\d+)m)?(?:(\d+)s)?$/.exec(digText(kubeletconfig, 'syncFrequency')) ?? [];
  return Number(minutes) * 60 + Number(seconds);
}

/** The pods in the order in which their successors were first seen Ready. */
function orderOfReplacement(samples: Pod[][], before: Pod[]): string[] {
  const old = new Set(before.map(({ uid }) => uid));
  const back = samples.flat().filter(({ uid, ready }) => ready && !old.has(uid));
  return [...new Set(back.map(({ name }) => name))];
}
