/**
 * The results of all, as Promise.all; but it also waits for all of them when one fails: what the others did must be known
 * before the run ends, and what would still write is to be done before the next run begins.
 */
export async function together<Work extends readonly unknown[] | []>(
  work: Work,
): Promise<{ -readonly [Index in keyof Work]: Awaited<Work[Index]> }> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
