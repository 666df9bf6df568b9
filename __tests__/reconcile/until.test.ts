import { describe, expect, test } from '@jest/globals';
import { type Progress, until } from '../../src/reconcile/until.ts';
import { fakeClock } from '../fakes/clock.ts';
import { recordedLog } from '../fakes/log.ts';
import { problemOf } from '../fakes/problem.ts';

/** Waits for at most `seconds`, seeing these one after the other, the last for ever. */
function waitFor(seconds: number, ...missing: (string | null)[]) {
  const clock = fakeClock();
  const log = recordedLog();
  let looks = 0;
  const options = { clock, log, deadline: clock.now() + seconds * 1000, tried: 'Waiting for it', next: 'Look.' };
  const ended = until(options, async (): Promise<Progress> => {
    const phrase = missing[Math.min(looks++, missing.length - 1)] ?? null;
    return phrase === null ? { done: true } : { done: false, missing: phrase };
  });
  return { ended, clock, log, looks: () => looks };
}

describe('a wait', () => {
  test('for what is there already tells nothing and does not sleep', async () => {
    const { ended, clock, log } = waitFor(60, null);
    await ended;
    expect([clock.slept, log.lines]).toEqual([[], []]);
  });

  test('tells each change once, with the seconds that passed', async () => {
    const { ended, log } = waitFor(60, 'a missing', 'a missing', 'b missing', null);
    await ended;
    expect(log.lines).toEqual(['info     0 s  a missing', 'info     1 s  b missing']);
  });

  test('repeats every 15 s what stays', async () => {
    const { ended, log } = waitFor(40, 'all missing');
    await problemOf(ended);
    expect(log.lines.map((line) => line.slice(5, 13).trim())).toEqual(['0 s', '15 s', '30 s']);
  });

  test('ends at the deadline with what is missing last, in one line', async () => {
    const { ended, clock, looks } = waitFor(1.2, 'a\n  missing.');
    const { details } = await problemOf(ended);
    expect(details).toEqual({
      kind: 'timeout',
      tried: 'Waiting for it',
      reason: 'After 1 s: a missing.',
      next: 'Look.',
    });
    expect(clock.slept).toEqual([500, 500, 200]);
    expect(looks()).toBe(4);
  });

  test('that a look can advise on ends with that advice', async () => {
    const options = { clock: fakeClock(), log: recordedLog(), deadline: 0, tried: 'Waiting for it', next: 'Look.' };
    const { details } = await problemOf(
      until(options, async () => ({ done: false, missing: 'a room', next: 'Build.' })),
    );
    expect(details.next).toBe('Build.');
  });

  test('whose deadline has passed looks once', async () => {
    await expect(waitFor(-5, null).ended).resolves.toBeUndefined();
    expect((await problemOf(waitFor(-5, 'a missing').ended)).details.kind).toBe('timeout');
  });

  test('ends with the error of a look', async () => {
    const options = { clock: fakeClock(), log: recordedLog(), deadline: Infinity, tried: 'a', next: 'b' };
    await expect(until(options, () => Promise.reject(new Error('refused')))).rejects.toThrow('refused');
  });
});
