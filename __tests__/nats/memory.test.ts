import { expect, test } from '@jest/globals';
import { fileStoreBytes, memorySizes } from '../../src/nats/memory.ts';

test.each([
  [50, 55, 49, 12],
  [256, 281, 252, 64],
  [1000, 1100, 990, 250],
])('%i MiB requested: limit %i, GOMEMLIMIT %i, %i for streams in memory', (request, limit, goLimit, store) => {
  expect(memorySizes(request)).toEqual({ request, limit, goLimit, memoryStore: store * 1024 ** 2 });
});

test('the file store is a whole number of bytes within the volume', () => {
  expect(fileStoreBytes(1024 ** 3)).toBe(912_680_550);
});
