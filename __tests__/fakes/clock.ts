import type { Clock } from '../../src/clock.ts';

export interface FakeClock extends Clock {
  /** Milliseconds of each sleep. */
  slept: number[];
}

/** Time that passes only while somebody sleeps, from 2026-11-22 on. */
export function fakeClock(): FakeClock {
  let now = Date.UTC(2026, 10, 22);
  const slept: number[] = [];
  return {
    slept,
    now: () => now,
    async sleep(milliseconds, needless) {
      if (needless !== undefined) {
        // What needs no time is done by then.
        await new Promise(setImmediate);
        needless.throwIfAborted();
      }
      slept.push(milliseconds);
      now += milliseconds;
    },
  };
}
