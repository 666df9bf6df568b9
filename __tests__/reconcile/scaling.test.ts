import { describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../src/json.ts';
import { checkScaling } from '../../src/reconcile/scaling.ts';
import { fakeKube } from '../fakes/kube.ts';
import { problemOf } from '../fakes/problem.ts';
import { inputsWith } from '../inputs/inputs-with.ts';

const STREAM = { account_details: [{ name: 'DEFAULT', stream_detail: [{ name: 'EVENTS' }] }] };

/** Scales so many servers to that number; `jsz` is what each server tells. */
function scale(from: number, to: number, jsz: { [ordinal: number]: JsonObject } = {}, isRunning = true) {
  const kube = fakeKube();
  for (const [ordinal, report] of Object.entries(jsz)) kube.podAnswers.set(`nats-a-${ordinal}/jsz`, report);
  const replicas = to === 1 || to === 5 ? to : 3;
  return checkScaling(kube, inputsWith({ replicas }), { namespace: 'demo', name: 'nats-a', servers: from, isRunning });
}

/** What the meta leader nats-a-1 tells of its group. */
function leader(size: number, ...peers: number[]): { [ordinal: number]: JsonObject } {
  const replicas = peers.map((ordinal) => ({ name: `nats-a-${ordinal}`, current: true }));
  const meta = { leader: 'nats-a-1', cluster_size: size };
  return { 0: { meta_cluster: meta }, 1: { meta_cluster: { ...meta, replicas } }, 2: { meta_cluster: meta } };
}

describe('is allowed', () => {
  test.each<[string, Parameters<typeof scale>]>([
    ['the first time', [0, 3, {}, false]],
    ['to the same number', [3, 3]],
    ['to the same number, where the StatefulSet is gone', [3, 3, {}, false]],
    ['from three servers to five', [3, 5]],
    ['from one that has no streams to three', [1, 3, { 0: { config: {} } }]],
    ['back from five to three, where two never joined', [5, 3, leader(3, 0, 2)]],
  ])('%s', async (_, scaling) => {
    await expect(scale(...scaling)).resolves.toBeUndefined();
  });
});

describe('is refused', () => {
  const LOST = 'The streams on the servers that would go could lose their data';
  test.each<[string, Parameters<typeof scale>, string]>([
    ['from one server with streams to three', [1, 3, { 0: STREAM }], 'It has DEFAULT/EVENTS.'],
    ['from one that does not answer', [1, 3], 'nats-a-0 does not run or answer to tell whether it has any.'],
    ['from one whose volume alone is left', [1, 3, { 0: {} }, false], 'does not run or answer'],
    ['to one', [3, 1, leader(1)], `${LOST}.`],
    ['to one, where volumes of three are left', [3, 1, {}, false], `${LOST}.`],
    [
      'from five to three',
      [5, 3, leader(5, 0, 2, 3, 4)],
      `${LOST}: JetStream counts nats-a-3, nats-a-4 among its servers.`,
    ],
    ['while one of two to go is counted', [5, 3, leader(4, 0, 2, 4)], 'counts nats-a-4 among'],
    [
      'while JetStream counts more servers than it names',
      [5, 3, leader(5, 0, 2)],
      `${LOST}: JetStream counts 5 servers.`,
    ],
    ['while JetStream has no leader to ask', [5, 3, {}], `${LOST}.`],
    [
      'where the leader itself would go',
      [5, 3, { 4: { meta_cluster: { leader: 'nats-a-4', cluster_size: 3 } } }],
      'nats-a-4 among',
    ],
  ])('%s', async (_, scaling, reason) => {
    const { details } = await problemOf(scale(...scaling));
    expect(details.reason).toContain(reason);
    expect(details.next).toBe(
      `Nothing was written. Set the input replicas back to ${scaling[0]}. docs/life-cycle.md, "Scaling", tells how the data is moved.`,
    );
  });
});
