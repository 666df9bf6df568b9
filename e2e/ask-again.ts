import { setTimeout as sleep } from 'node:timers/promises';
import { RequestError, TimeoutError } from '@nats-io/transport-node';

/** Milliseconds in which a server is through with its imports. */
const PAUSE = 100;

/** Asks once more where a server that reloads had nobody to answer or lost the answer, and notes that. */
export async function askAgain<T>(ask: () => Promise<T>, unanswered: string[]): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!isUnanswered(error)) throw error;
    unanswered.push(error.message);
    await sleep(PAUSE);
    return ask();
  }
}

function isUnanswered(error: unknown): error is Error {
  if (error instanceof RequestError) return error.isNoResponders();
  // The latter is how @nats-io/jetstream says "no responders" of JetStream's API; it does not export the class.
  return error instanceof TimeoutError || (error instanceof Error && error.name === 'JetStreamNotEnabled');
}
