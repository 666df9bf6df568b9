import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { startMain } from '../../simulator/runner.ts';
import { dig, digObjects, digText, type Json } from '../../src/json.ts';
import { startWorld, type World, writesTo } from './world.ts';

const LEASE = '/apis/coordination.k8s.io/v1/namespaces/demo/leases/nats';
const STATEFUL_SET = '/apis/apps/v1/namespaces/demo/statefulsets/nats';
const PODS = '/api/v1/namespaces/demo/pods';
/** Needs a restart, and nothing else. */
const RESTART = { nats_version: '2.10.24' };

let world: World;

beforeEach(async () => {
  world = await startWorld();
  expect((await world.apply()).errors).toEqual([]);
});

afterEach(() => world.close());

async function uids(): Promise<string[]> {
  const pods = digObjects(await world.kube('GET', PODS), 'items');
  return pods.map((pod) => digText(pod, 'metadata', 'uid'));
}

async function strategy(): Promise<Json | undefined> {
  return dig(await world.kube('GET', STATEFUL_SET), 'spec', 'updateStrategy', 'type');
}

test('the run deletes each pod itself, the meta leader last, and the controller takes over at the end', async () => {
  const before = await uids();
  const writes = await world.writesDuring(async () => {
    expect((await world.apply(RESTART)).errors).toEqual([]);
  });
  expect(writes.filter((write) => write.startsWith('DELETE') || write.includes('/statefulsets/'))).toEqual([
    `PATCH ${STATEFUL_SET}`,
    `DELETE ${PODS}/nats-2`,
    `DELETE ${PODS}/nats-1`,
    `DELETE ${PODS}/nats-0`,
    `PATCH ${STATEFUL_SET}`,
  ]);
  const after = await uids();
  expect(after.filter((uid) => before.includes(uid))).toEqual([]);
  expect(await strategy()).toBe('RollingUpdate');
  expect(await world.writesDuring(() => world.apply(RESTART))).toEqual([]);
});

test('a run that is killed between two restarts is completed by the next', async () => {
  const before = await uids();
  world.faults.add({ effect: 'hang', matches: writesTo('/pods/nats-1') });
  const inputs = { ...world.inputs, ...RESTART };
  const step = startMain(inputs);
  await world.requestTo('/pods/nats-1', step);
  step.process.kill('SIGKILL');
  await step.ended;
  world.faults.clear();
  await world.kube('DELETE', LEASE);
  expect(await strategy()).toBe('OnDelete');
  expect((await world.apply(RESTART)).errors).toEqual([]);
  expect(await strategy()).toBe('RollingUpdate');
  const after = await uids();
  expect(after).toHaveLength(3);
  expect(after.filter((uid) => before.includes(uid))).toEqual([]);
  expect(await world.writesDuring(() => world.apply(RESTART))).toEqual([]);
});

test('no server is restarted while another is not current, and the error tells why', async () => {
  world.behaviour.natsNotCurrent.set('nats-0', "JetStream stream 'DEFAULT > EVENTS' is not current");
  const before = await uids();
  const step = startMain({ ...world.inputs, ...RESTART, timeout: '30' });
  await world.printed('Rolling back', step);
  world.behaviour.natsNotCurrent.clear();
  const { errors } = await step.ended;
  expect(errors[0]).toMatch(
    /nats-2 is not restarted yet: nats-0 is not current: JetStream stream 'DEFAULT > EVENTS' is not current.*Nothing more was restarted.*\nRolled back/,
  );
  expect(await uids()).toEqual(before);
});

test('without wait the controller restarts them', async () => {
  const writes = await world.writesDuring(async () => {
    expect((await world.apply({ ...RESTART, wait: 'false' })).errors).toEqual([]);
  });
  expect(writes).toContain(`PATCH ${STATEFUL_SET}`);
  expect(writes.filter((write) => write.startsWith(`DELETE ${PODS}`))).toEqual([]);
  expect(await strategy()).toBe('RollingUpdate');
});
