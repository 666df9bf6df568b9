import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bytesOf } from '../../src/kube/quantity.ts';

describe('bytes of a quantity', () => {
  test.each([
    ['0', 0],
    ['1073741824', 1_073_741_824],
    ['1Gi', 1_073_741_824],
    ['1.5Ki', 1536],
    ['.5Ki', 512],
    ['1.Ki', 1024],
    ['500M', 500_000_000],
    ['5e9', 5_000_000_000],
    ['12E2', 1200],
    ['1E', 1e18],
    ['1Ei', 2 ** 60],
    ['1500m', 1],
    ['128974848000m', 128_974_848],
  ])('%s is %d', (quantity, bytes) => {
    expect(bytesOf(quantity)).toBe(bytes);
  });

  test.each(['', 'Gi', '1GB', '1 Gi', '-1', '1e', '1.2.3', '1Gi ', '1eGi'])('%j is none', (text) => {
    expect(() => bytesOf(text)).toThrow('is no quantity');
  });

  test('is what a binary suffix multiplies to, and bigger with a bigger suffix', () => {
    const suffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti'];
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2000 }), fc.integer({ min: 0, max: 3 }), (count, power) => {
        const bytes = bytesOf(`${count}${suffixes[power]}`);
        expect(bytes).toBe(count * 1024 ** power);
        expect(bytesOf(`${count}${suffixes[power + 1]}`)).toBe(bytes * 1024);
      }),
    );
  });

  test('of any plain number is the number itself', () => {
    fc.assert(fc.property(fc.maxSafeNat(), (bytes) => bytesOf(String(bytes)) === bytes));
  });
});
