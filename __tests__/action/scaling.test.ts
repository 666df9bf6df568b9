import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { dig } from '../../src/json.ts';
import { startWorld, type World, writesTo } from './world.ts';

let world: World;

beforeEach(async () => {
  world = await startWorld({ nodes: 5 });
});

afterEach(() => world.close());

/** Brings up so many servers, then others; resolves to what was written for the second number. */
async function scaled(from: string, to: string): Promise<string[]> {
  expect((await world.apply({ replicas: from })).errors).toEqual([]);
  return world.writesDuring(async () => {
    expect((await world.apply({ replicas: to })).errors).toEqual([]);
  });
}

/** The first and the last write there. */
function span(writes: string[], part: string): { first: number; last: number } {
  const matches = writes.flatMap((write, index) => (write.includes(part) ? [index] : []));
  expect(matches).not.toEqual([]);
  return { first: matches[0] ?? -1, last: matches.at(-1) ?? -1 };
}

test('from three servers to five: Vault, certificates, routes by a reload, then the pods', async () => {
  const writes = await scaled('3', '5');
  // What the action remembers frames the others.
  const lasting = writes.filter((write) => !/\/configmaps\/nats-/.test(write));
  const inOrder = [
    '/v1/pki/internal/roles/',
    '/certificates/nats-',
    '/configmaps/nats',
    '/pods/nats-',
    '/statefulsets/nats',
  ];
  const ends = inOrder.map((part) => span(lasting, part).last);
  expect(ends.toSorted((a, b) => a - b)).toEqual(ends);
  expect(writes.filter((write) => write.startsWith('DELETE'))).toEqual([]);
  expect(await world.writesDuring(() => world.apply({ replicas: '5' }))).toEqual([]);
});

test('from one server to three: the first restarts before the others are there', async () => {
  const writes = await scaled('1', '3');
  const restart = writes.indexOf('DELETE /api/v1/namespaces/demo/pods/nats-0');
  const { first, last } = span(writes, '/statefulsets/nats');
  expect(first).toBeLessThan(restart);
  expect(last).toBeGreaterThan(restart);
  expect(await world.writesDuring(() => world.apply({ replicas: '3' }))).toEqual([]);
});

test.each([
  ['by that alone', {}],
  ['in a run that restarts the others too', { fsync_interval_seconds: '20' }],
])('from five servers to three, %s: one that gets a stream meanwhile stays', async (_, change) => {
  expect((await world.apply({ replicas: '5' })).errors).toEqual([]);
  const store = () => world.behaviour.natsStreams.set('nats-4', ['EVENTS']);
  world.faults.add({ effect: 'none', matches: writesTo('/configmaps/nats?'), struck: store });
  const refused = await world.apply({ replicas: '3', ...change });
  expect(refused.errors[0]).toMatch(
    /from 5 to 3: nats-4 would take its replicas of streams with it: DEFAULT\/EVENTS\. No server was taken away\..*\nRolled back: /s,
  );
  const statefulSet = await world.kube('GET', '/apis/apps/v1/namespaces/demo/statefulsets/nats');
  expect(dig(statefulSet, 'spec', 'replicas')).toBe(5);
  world.behaviour.natsStreams.clear();
  expect((await world.apply({ replicas: '3', ...change })).errors).toEqual([]);
});

test('three servers of which somebody left two are three again, in a run that restarts them too', async () => {
  expect((await world.apply()).errors).toEqual([]);
  const statefulSet = '/apis/apps/v1/namespaces/demo/statefulsets/nats';
  const scale = { spec: { replicas: 2 } };
  await world.kube('PATCH', `${statefulSet}?fieldManager=kubectl-edit`, scale, 'application/merge-patch+json');
  const restarting = { fsync_interval_seconds: '20' };
  const back = await world.apply(restarting);
  expect(back.errors).toEqual([]);
  expect(back.log).toContain('Verified: ');
  expect(await world.writesDuring(() => world.apply(restarting))).toEqual([]);
});
