/**
 * The results of all, as Promise.all; but it also waits for all of them when one fails: what would still write while its run
 * ends is to be done before the next run begins.
 */
export async function together<T>(work: Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
