import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { type Ending, MAIN, runBundle, runMain, type Values } from '../simulator/runner.ts';
import { kube } from './cluster.ts';
import { asRoot } from './deployer.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';
import { connectAs } from './nats.ts';
import { metaGroup, podsOf } from './observe.ts';
import { startPublisher, storedIds } from './publisher.ts';
import { run } from './runs.ts';

const namespace = 'e2e-rollback';
const stream = 'EVENTS';
const ROLLED_BACK = /\nRolled back: the cluster runs its last good state again, deployed by commit 4f2f1e7/;

let inputs: Values;
let outputs: Values;
let admin: NatsConnection;

beforeAll(async () => {
  await emptyNamespace(namespace);
  inputs = { ...asRoot(), namespace, nats_version: '2.14.6', timeout: '150' };
  const ending = await runMain(inputs);
  expect(ending).toMatchObject({ exitCode: 0, errors: [] });
  console.log(`${ending.seconds.toFixed(1)} s: ${/^Remembered.*$/m.exec(ending.log)?.[0]}`);
  outputs = ending.outputs;
  admin = await connectAs('admin', outputs);
  const { streams } = await jetstreamManager(admin);
  await streams.add({ name: stream, subjects: ['events'], num_replicas: 3 });
});

afterAll(async () => {
  await admin?.close();
  await leaveNamespace(namespace);
  kube.close();
});

/** Runs under a publisher into a failure that is rolled back; nothing that was acknowledged may be lost. */
async function failed(wrong: Values, bundle = MAIN): Promise<Ending> {
  const publisher = startPublisher(admin, { perSecond: 200 });
  const ending = await runBundle(bundle, { ...inputs, ...wrong });
  const acknowledged = await publisher.stop();
  const stored = await storedIds(admin, stream);
  const lost = [...acknowledged].filter((id) => !stored.has(id));
  console.log(
    `${ending.seconds.toFixed(1)} s, ${acknowledged.size} messages acknowledged, ${lost.length} lost, ` +
      `longest gap ${publisher.longestGap()} ms:\n${ending.errors[0]}`,
  );
  expect(lost).toEqual([]);
  expect(acknowledged.size).toBeGreaterThan(100);
  expect(ending).toMatchObject({ exitCode: 1, errors: [expect.stringMatching(ROLLED_BACK)] });
  expect(ending.outputs.rolled_back).toBe('true');
  expect((await metaGroup(outputs)).current).toHaveLength(3);
  return ending;
}

describe('a bad revision is rolled back under load', () => {
  it('an image that does not exist, with the events of the pod', async () => {
    const before = (await podsOf(outputs)).map(({ uid }) => uid);
    const ending = await failed({ nats_image: 'docker.io/library/nats:2.14.99-typo', log_level: 'debug' });
    expect(ending.errors[0]).toMatch(/^Starting pod e2e-rollback\/\S+, container nats: .*2\.14\.99-typo/);
    expect(ending.log).toMatch(/^ {2}event {2}Failed: /m);
    // One server was away, and the two others were not touched.
    const after = (await podsOf(outputs)).map(({ uid }) => uid);
    expect(after.filter((uid) => before.includes(uid))).toHaveLength(2);
    expect((await run(inputs)).outputs.changed).toBe('false');
  });

  it('memory that no node has, of which the running servers heard by a reload', async () => {
    const ending = await failed({ minimum_memory_mb: '500000', timeout: '70' });
    expect(ending.errors[0]).toMatch(/Insufficient memory/);
  });

  it('a server that does not start', async () => {
    const ending = await failed({ nats_image: 'docker.io/natsio/prometheus-nats-exporter:0.20.1' });
    expect(ending.errors[0]).toMatch(/^Starting pod e2e-rollback\/\S+, container nats: /);
    expect((await run(inputs)).outputs.changed).toBe('false');
  });

  // No input leads to one: the action has to be wrong about what the servers know.
  it('a setting that the servers refuse', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'wrong-release-'));
    try {
      const bundle = join(directory, 'main.cjs');
      writeFileSync(
        bundle,
        readFileSync(MAIN, 'utf8').replace(/max_connections:(?=\w+\.maxConnections)/, 'max_guests:'),
      );
      const before = (await podsOf(outputs)).map(({ uid }) => uid);
      const ending = await failed({}, bundle);
      expect(ending.errors[0]).toMatch(/max_guests/);
      expect((await podsOf(outputs)).map(({ uid }) => uid)).toEqual(before);
      expect((await run(inputs)).outputs.changed).toBe('false');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
