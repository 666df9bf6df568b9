import type { Clock } from '../clock.ts';
import { Problem } from '../problem.ts';
import type { Log } from '../report/log.ts';

const REPEAT_PROGRESS_EVERY = 15_000;

/** Where a wait stands: done, or in words what is still missing. */
export type Progress =
  | { done: true }
  | {
      done: false;
      missing: string;
      /** What to do about it, where that is known better than for the whole wait. */
      next?: string;
    };

export interface WaitOptions {
  clock: Clock;
  log: Log;
  /** Milliseconds since the epoch. */
  deadline: number;
  /** What is waited for: "Waiting for the certificates of nats-1a2b3c4d". */
  tried: string;
  /** What to do when it never comes. */
  next: string;
  /** Milliseconds between two looks; 500 by default. */
  every?: number;
}

/**
 * Looks again and again until `look` says done, and tells in the log what is missing: at each change, and every 15 s.
 * Rejects with what `look` throws, or with a Problem of kind timeout at the deadline.
 */
export async function until(options: WaitOptions, look: () => Promise<Progress>): Promise<void> {
  const { clock, log, deadline, tried, next, every = 500 } = options;
  const started = clock.now();
  let told = { missing: '', at: 0 };
  for (;;) {
    const progress = await look();
    if (progress.done) return;
    const now = clock.now();
    const missing = progress.missing.replace(/\s+/g, ' ').trim();
    if (now >= deadline) {
      throw new Problem({
        kind: 'timeout',
        tried,
        reason: `After ${seconds(now - started)}: ${missing}.`,
        next: progress.next ?? next,
      });
    }
    if (missing !== told.missing || now - told.at >= REPEAT_PROGRESS_EVERY) {
      log.info(`  ${seconds(now - started).padStart(5)}  ${missing}`);
      told = { missing, at: now };
    }
    await clock.sleep(Math.min(every, deadline - now));
  }
}

function seconds(milliseconds: number): string {
  return `${Math.round(milliseconds / 1000)} s`;
}
