import { expect, test } from '@jest/globals';
import { fileStoreBytes, memoryFor, memorySizes } from '../../src/nats/memory.ts';

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

test.each([
  ['2.14 with the 20 streams that 448 MiB were measured to hold', 256, 20, 455],
  ['2.14 with few streams, for large messages', 256, 2, 281],
  ['2.10, whose memory does not grow by them', 50, 100, 281],
])('a limit of %s', (_, minimumMemory, streams, limit) => {
  const request = memoryFor(streams, { minimumMemory, storageLimitsReload: true, apiLevel: 4 });
  expect(memorySizes(request).limit).toBe(limit);
});
