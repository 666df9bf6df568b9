const SCALE = 1_000_000_000n;
const BINARY_SUFFIXES = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const DECIMAL_SUFFIXES = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'];
const SYNTAX = /^([+-]?)(\d*)(?:\.(\d*))?(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]?)$/;

/**
 * A quantity as the API server spells it (apimachinery, api/resource): the largest suffix of the same family that leaves
 * a whole number. "0.1" is 100m, 1024Mi is 1Gi, 57671680 stays. Text that is no quantity is returned as it is.
 */
export function canonicalQuantity(text: string): string {
  const parsed = SYNTAX.exec(text);
  if (parsed === null) {
    return text;
  }
  const [, sign = '', whole = '', fraction = '', suffix = ''] = parsed;
  const digits = BigInt(`${whole}${fraction}` || '0');
  const denominator = 10n ** BigInt(fraction.length);
  const power = BINARY_SUFFIXES.indexOf(suffix);
  if (power > 0) {
    const bytes = (digits * 1024n ** BigInt(power)) / denominator;
    return sign + (bytes < 1024n ? String(bytes) : withLargest(bytes, 1024n, BINARY_SUFFIXES));
  }
  const nanos = (digits * SCALE * 1000n ** BigInt(DECIMAL_SUFFIXES.indexOf(suffix))) / denominator / SCALE;
  return nanos === 0n ? '0' : sign + withLargest(nanos, 1000n, DECIMAL_SUFFIXES);
}

function withLargest(value: bigint, base: bigint, suffixes: string[]): string {
  let rest = value;
  let index = 0;
  while (index < suffixes.length - 1 && rest % base === 0n && rest !== 0n) {
    rest /= base;
    index += 1;
  }
  return `${rest}${suffixes[index]}`;
}
