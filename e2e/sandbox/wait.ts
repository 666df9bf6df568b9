import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Asks again every 200 ms until the condition holds. A condition that throws counts as not yet; the error of the last
 * time is told when the timeout (milliseconds) has passed.
 */
export async function waitFor(
  condition: () => boolean | Promise<boolean>,
  description: string,
  timeout: number,
): Promise<void> {
  const deadline = Date.now() + timeout;
  let cause: unknown;
  do {
    try {
      if (await condition()) return;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    await sleep(200);
  } while (Date.now() < deadline);
  const reason = cause instanceof Error ? ` (${cause.message})` : '';
  throw new Error(`Waited ${timeout / 1000} s in vain: ${description}${reason}`, { cause });
}

/** Prints what begins and how long it took. */
export async function phase<T>(name: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  console.log(`sandbox: ${name} ...`);
  const result = await work();
  console.log(`sandbox: ${name}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
  return result;
}
