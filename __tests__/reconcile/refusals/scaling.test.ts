import { describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../../src/json.ts';
import { checkScaling } from '../../../src/reconcile/refusals/scaling.ts';
import { fakeKube } from '../../fakes/kube.ts';
import { problemOf } from '../../fakes/problem.ts';
import { inputsWith } from '../../inputs/inputs-with.ts';

const STREAM = { account_details: [{ name: 'DEFAULT', stream_detail: [{ name: 'EVENTS' }] }] };

/** Scales so many servers to that number; `jsz` is what each server tells. */
function scale(from: number, to: number, jsz: { [ordinal: number]: JsonObject } = {}, isRunning = true) {
  const kube = fakeKube();
  for (const [ordinal, report] of Object.entries(jsz)) kube.podAnswers.set(`nats-a-${ordinal}/jsz`, report);
  const replicas = to === 1 || to === 5 ? to : 3;
  return checkScaling(kube, inputsWith({ replicas }), { namespace: 'demo', name: 'nats-a', servers: from, isRunning });
}

/** What five servers tell, nats-a-1 as the leader of so many; those of the given ordinals are its followers. */
function led(size: number, followers: number[], stored: { [ordinal: number]: JsonObject } = {}) {
  const replicas = followers.map((ordinal) => ({ name: `nats-a-${ordinal}`, current: true }));
  const meta = { leader: 'nats-a-1', cluster_size: size };
  const follower = { meta_cluster: meta };
  return { 0: follower, 1: { meta_cluster: { ...meta, replicas } }, 2: follower, 3: follower, 4: follower, ...stored };
}

describe('is allowed', () => {
  test.each<[string, Parameters<typeof scale>]>([
    ['the first time', [0, 3, {}, false]],
    ['to the same number', [3, 3]],
    ['to the same number, where the StatefulSet is gone', [3, 3, {}, false]],
    ['from three servers to five', [3, 5]],
    ['from one that has no streams to three', [1, 3, { 0: { config: {} } }]],
    ['back from five to three, where two never joined', [5, 3, { 1: led(3, [0, 2])[1] }]],
    ['from five to three, where two store nothing', [5, 3, led(5, [0, 2, 3, 4], { 2: STREAM })]],
  ])('%s', async (_, scaling) => {
    await expect(scale(...scaling)).resolves.toBeUndefined();
  });
});

test('that is refused after a scaling by hand is not sent back to a number that no input is', async () => {
  const { details } = await problemOf(scale(2, 1));
  expect(details.tried).toContain('from 2 to 1');
  expect(details.next).toContain('Set the input replicas back to 3.');
});

describe('is refused', () => {
  const all = [0, 2, 3, 4];
  const silent = { 0: {}, 1: led(5, all)[1], 2: {}, 3: {} };
  test.each<[string, Parameters<typeof scale>, string]>([
    ['from one server with streams to three', [1, 3, { 0: STREAM }], 'It has DEFAULT/EVENTS.'],
    ['from one that does not answer', [1, 3], 'nats-a-0 does not run or answer to tell whether it has any.'],
    ['from one whose volume alone is left', [1, 3, { 0: {} }, false], 'does not run or answer'],
    ['to one', [3, 1, led(1, [])], 'A server that is left alone does not offer the streams of its cluster.'],
    ['to one, where volumes of three are left', [3, 1, {}, false], 'A server that is left alone'],
    [
      'from five to three, where one of two stores a stream',
      [5, 3, led(5, all, { 4: STREAM })],
      'nats-a-4 would take its replicas of streams with it: DEFAULT/EVENTS.',
    ],
    ['while one of two to go is silent', [5, 3, silent], 'nats-a-4 does not answer to tell what it stores.'],
    [
      'while the others have no majority',
      [5, 3, led(5, [0, 3, 4])],
      'JetStream counts 5 servers and would lose its majority.',
    ],
    ['from volumes of five to three', [5, 3, {}, false], 'JetStream has no meta leader to tell what is stored where.'],
    ['while JetStream has no leader to ask', [5, 3, {}], 'JetStream has no meta leader to tell what is stored where.'],
  ])('%s', async (_, scaling, reason) => {
    const { details } = await problemOf(scale(...scaling));
    expect(details.reason).toContain(reason);
    expect(details.next).toMatch(`. docs/life-cycle.md, "Scaling", tells how the data is moved.`);
    expect(details.next).toMatch(`Nothing was written. Set the input replicas back to ${scaling[0]}`);
    expect(details.next.includes('or delete the PersistentVolumeClaims')).toBe(scaling[3] === false);
  });
});
