import { distance } from 'fastest-levenshtein';

/**
 * The candidate that was probably meant: the one with the fewest typing mistakes, case ignored.
 *
 * @returns null when none is near: more than a third of its letters (rounded up) differ, or all of what was given
 */
export function nearest(given: string, candidates: readonly string[]): string | null {
  let best: string | null = null;
  let fewest = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const mistakes = distance(given.toLowerCase(), candidate.toLowerCase());
    const isAlike = mistakes < given.length && mistakes <= Math.ceil(candidate.length / 3);
    if (mistakes < fewest && isAlike) {
      best = candidate;
      fewest = mistakes;
    }
  }
  return best;
}
