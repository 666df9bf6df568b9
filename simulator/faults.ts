import type { Json } from '../src/json.ts';
import type { SimulatedRequest, SimulatedResponse } from './http.ts';
import type { RecordedRequest } from './requests.ts';

export type FaultEffect =
  /** The server answers as ever: for who only wants to know of the request. */
  | { effect: 'none' }
  | { effect: 'answer'; status: number; body?: Json; headers?: { [name: string]: string } }
  /** An answer that is made from the request. */
  | { effect: 'reply'; reply: (request: SimulatedRequest) => SimulatedResponse }
  /** The connection is reset and the server did nothing. */
  | { effect: 'reset-before' }
  /** The server acted, and the connection is reset instead of an answer. */
  | { effect: 'reset-after' }
  /** No answer ever. */
  | { effect: 'hang' };

export type Fault = FaultEffect & {
  /** Which requests it is about; their status is still 0. */
  matches: (request: RecordedRequest) => boolean;
  /** The first matching request that fails, from 1; 1 by default. */
  nth?: number;
  /** How many in a row fail; 1 by default, Infinity for all. */
  times?: number;
  /** Called when it strikes, before it does anything. */
  struck?: () => void;
};

/** Makes requests fail, as a test orders it. */
export class FaultInjector {
  #faults: { fault: Fault; seen: number }[] = [];

  add(fault: Fault): void {
    this.#faults.push({ fault, seen: 0 });
  }

  clear(): void {
    this.#faults = [];
  }

  /** Counts the request for every fault it matches, and tells the first one that strikes. */
  next(request: RecordedRequest): FaultEffect | undefined {
    let striking: Fault | undefined;
    for (const entry of this.#faults) {
      if (!entry.fault.matches(request)) {
        continue;
      }
      entry.seen += 1;
      const first = entry.fault.nth ?? 1;
      if (entry.seen >= first && entry.seen < first + (entry.fault.times ?? 1)) {
        striking ??= entry.fault;
      }
    }
    striking?.struck?.();
    return striking;
  }
}
