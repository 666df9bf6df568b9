import { mock } from 'node:test';
import type { Simulator } from '../../simulator/simulator.ts';
import type { Clock } from '../../src/clock.ts';
import type { Life } from './life.ts';

/** Milliseconds that the simulated controllers take for a turn, and most turns that they take while somebody sleeps. */
const TURN = 50;
const MOST_TURNS = 40;

/** Rounds of the event loop without a request and without a change, after which everybody waits for the time to pass. */
const QUIET_ROUNDS = 20;
/** Rounds after which the processor is left to others: what is waited for then is a timeout. */
const BUSY_ROUNDS = 400;
/** Milliseconds, in real time, after which that has taken too long. */
const PATIENCE = 60_000;

/**
 * Time for a run and the simulated world around it, that passes only while everybody waits for it: an hour of waiting
 * costs milliseconds, and each run meets the same. One for each process, as it stands in for Date: connections and their
 * timeouts live in real time.
 */
export class VirtualTime {
  readonly #simulator: Simulator;
  readonly #sleepers = new Set<{ wakes: number; wake: () => void }>();

  constructor(simulator: Simulator) {
    this.#simulator = simulator;
  }

  /** Begins in the past: OpenSSL, which looks at certificates, has a clock of its own. */
  static start(): void {
    mock.timers.enable({ apis: ['Date'], now: Date.now() - 7_200_000 });
  }

  set(milliseconds: number): void {
    this.#sleepers.clear();
    mock.timers.setTime(milliseconds);
  }

  /** Lets time pass, and the controllers work meanwhile. */
  pass(milliseconds: number): void {
    mock.timers.setTime(Date.now() + milliseconds);
    const { store } = this.#simulator.cluster;
    for (let turn = 0; turn < Math.min(milliseconds / TURN, MOST_TURNS); turn++) {
      const { version } = store;
      this.#simulator.turn();
      if (store.version === version) return;
    }
  }

  /** The clock of a process that lives this life, and is cancelled by the signal. */
  clock(life: Life, cancelled = new AbortController().signal): Clock {
    return {
      now: () => Date.now(),
      sleep: (milliseconds, needless) =>
        new Promise((resolve, reject) => {
          const signal = needless === undefined ? cancelled : AbortSignal.any([needless, cancelled]);
          signal.throwIfAborted();
          const sleeper = {
            wakes: Date.now() + milliseconds,
            wake: () => {
              this.#sleepers.delete(sleeper);
              life.goesOn().then(resolve);
            },
          };
          this.#sleepers.add(sleeper);
          signal.addEventListener('abort', () => {
            this.#sleepers.delete(sleeper);
            reject(signal.reason);
          });
        }),
    };
  }

  /** Lets time pass whenever everybody waits for it, until the work is done. */
  async during<T>(work: Promise<T>): Promise<T> {
    let done = false;
    const finish = () => {
      done = true;
    };
    work.then(finish, finish);
    for (;;) {
      await this.#quiet(() => done);
      if (done) return work;
      const [next] = [...this.#sleepers].sort((a, b) => a.wakes - b.wakes);
      if (next === undefined) continue;
      this.pass(Math.max(0, next.wakes - Date.now()));
      next.wake();
    }
  }

  /** Resolves once no request is in progress and nothing happens any more. */
  settled(): Promise<void> {
    return this.#quiet(() => false);
  }

  /** The same, or at once when `isDone`. */
  async #quiet(isDone: () => boolean): Promise<void> {
    const { requests } = this.#simulator;
    let seen = requests.length;
    let quiet = 0;
    const began = performance.now();
    for (let round = 0; quiet < QUIET_ROUNDS && !isDone(); round++) {
      await new Promise<void>((resolve) => (round < BUSY_ROUNDS ? setImmediate(resolve) : setTimeout(resolve, 2)));
      const isQuiet = this.#simulator.inProgress() === 0 && requests.length === seen;
      quiet = isQuiet ? quiet + 1 : 0;
      seen = requests.length;
      if (performance.now() - began > PATIENCE) {
        throw new Error(`No quiet for a minute, since ${requests.at(-1)?.method} ${requests.at(-1)?.path}`);
      }
    }
  }
}
