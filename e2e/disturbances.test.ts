import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { type Ending, type Step, startMain, type Values } from '../simulator/runner.ts';
import { killApiServer } from './api-server.ts';
import { kube, sealVault, unsealVault, waitFor } from './cluster.ts';
import { asRoot } from './deployer.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';
import { connectAs } from './nats.ts';
import { metaGroup, podsOf } from './observe.ts';
import { type Publisher, startPublisher, storedIds } from './publisher.ts';
import { run } from './runs.ts';

const namespace = 'e2e-disturbances';
const stream = 'EVENTS';
const timeout = '120';

let inputs: Values;
let outputs: Values;
let admin: NatsConnection;
let publisher: Publisher;

beforeAll(async () => {
  await emptyNamespace(namespace);
  inputs = { ...asRoot(), namespace, timeout };
  outputs = (await run(inputs)).outputs;
  admin = await connectAs('admin', outputs);
  const { streams } = await jetstreamManager(admin);
  await streams.add({ name: stream, subjects: ['events'], num_replicas: 3 });
  publisher = startPublisher(admin);
});

afterAll(async () => {
  await publisher?.stop();
  await admin?.close();
  await leaveNamespace(namespace);
  kube.close();
});

/** Resolves once the step has told it, or has ended. */
async function told(step: Step, words: RegExp): Promise<void> {
  let ended = false;
  void step.ended.then(() => {
    ended = true;
  });
  await waitFor(() => ended || words.test(step.printed()), `the run tells ${words}`, 120_000);
}

/** A run that was disturbed succeeds, or tells why not, within the time that it was given. */
function expectClearEnd(disturbance: string, { exitCode, errors, seconds, log }: Ending): void {
  console.log(`${disturbance}: ${seconds.toFixed(1)} s, ${errors[0] ?? 'success'}`);
  expect(errors).toHaveLength(exitCode === 0 ? 0 : 1);
  expect(`${errors}${log}`).not.toMatch(/^\s+at .+:\d+:\d+|A defect of this action/m);
  expect(seconds).toBeLessThan(Number(timeout) + 60);
}

/** The next run completes it, and the one after that has nothing to do. */
async function expectCompletion(changed: Values): Promise<void> {
  await run(changed);
  expect((await run(changed)).outputs.changed).toBe('false');
  expect((await podsOf(outputs)).map(({ ready }) => ready)).toEqual([true, true, true]);
  expect((await metaGroup(outputs)).current).toHaveLength(3);
}

it('survives an API server that is killed and started again in the middle of an apply', async () => {
  const changed = { ...inputs, fsync_interval_seconds: '5' };
  const step = startMain(changed);
  await told(step, /Updated (ConfigMap|StatefulSet)/);
  const restart = killApiServer();
  try {
    await waitFor(
      () =>
        kube.send({ method: 'GET', path: '/readyz' }).then(
          () => false,
          () => true,
        ),
      'the API server is gone',
      10_000,
    );
  } finally {
    await restart();
  }
  expectClearEnd('API server killed', await step.ended);
  await expectCompletion(changed);
});

it('survives a Vault that is sealed and unsealed in the middle of an apply', async () => {
  const changed = { ...inputs, fsync_interval_seconds: '5', vault_credential_lifetime_hours: '24' };
  const step = startMain(changed);
  await told(step, /Updated Vault/);
  await sealVault();
  try {
    await told(step, /sealed|HTTP 503|not issued yet/);
  } finally {
    await unsealVault();
  }
  expectClearEnd('Vault sealed', await step.ended);
  await expectCompletion(changed);
});

it('lost no acknowledged message', async () => {
  const acknowledged = await publisher.stop();
  const stored = await storedIds(admin, stream);
  console.log(`${acknowledged.size} messages acknowledged, longest gap ${publisher.longestGap()} ms`);
  expect([...acknowledged].filter((id) => !stored.has(id))).toEqual([]);
});
