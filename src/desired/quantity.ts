const UNITS = ['Mi', 'Gi', 'Ti'];

/**
 * A number of MiB in the form that the API server gives it: 1024 is "1Gi". Another form of the same number would be
 * rewritten there and look changed.
 */
export function quantity(mebibytes: number): string {
  let count = mebibytes;
  let unit = 0;
  while (count > 0 && count % 1024 === 0 && unit < UNITS.length - 1) {
    count /= 1024;
    unit += 1;
  }
  return `${count}${UNITS[unit]}`;
}
