import { expect, test } from '@jest/globals';
import { fileStoreBytes, memorySizes } from '../../src/nats/memory.ts';

test.each([
  [50, 55, 12],
  [256, 281, 64],
  [1000, 1100, 250],
])('%i MiB requested: limit %i, %i for streams in memory', (request, limit, store) => {
  expect(memorySizes(request)).toEqual({ request, limit, memoryStore: store * 1024 ** 2 });
});

test('the file store is a whole number of bytes within the volume', () => {
  expect(fileStoreBytes(1024 ** 3)).toBe(912_680_550);
});
