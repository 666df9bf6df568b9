const FACTORS: { [suffix: string]: number } = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/**
 * Whole bytes of a quantity such as "1Gi", "500M" or "5e9":
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/. Throws for what is none.
 */
export function bytesOf(quantity: string): number {
  const [, digits, exponent = '0', suffix = ''] =
    /^(\d+(?:\.\d*)?|\.\d+)(?:[eE]([+-]?\d+)|([A-Za-z]*))$/.exec(quantity) ?? [];
  const factor = FACTORS[suffix];
  if (digits === undefined || factor === undefined) throw new Error(`${quantity} is no quantity of bytes`);
  return Math.floor(Number(`${digits}e${exponent}`) * factor);
}
