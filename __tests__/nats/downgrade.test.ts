import { expect, test } from '@jest/globals';
import type { JsonObject } from '../../src/json.ts';
import { assetsAbove } from '../../src/nats/downgrade.ts';

const level = (value: string) => ({ config: { metadata: { '_nats.req.level': value } } });

function report(...streams: JsonObject[]): JsonObject {
  return { account_details: [{ name: 'DEFAULT', stream_detail: streams }] };
}

const PLAIN = { name: 'PLAIN', config: {} };
const TTL = { name: 'TTL', ...level('1'), consumer_detail: [{ name: 'pinned', ...level('4') }, { name: 'old' }] };
const COUNTER = { name: 'COUNTER', ...level('2') };

test('streams and consumers above an API level are found once, wherever they are', () => {
  const reports = [report(PLAIN, TTL), report(TTL, COUNTER), {}];
  const names = (apiLevel: number) => assetsAbove(reports, apiLevel).map(({ name }) => name);
  expect(names(0)).toEqual(['consumer DEFAULT/TTL/pinned', 'stream DEFAULT/COUNTER', 'stream DEFAULT/TTL']);
  expect(names(1)).toEqual(['consumer DEFAULT/TTL/pinned', 'stream DEFAULT/COUNTER']);
  expect(names(2)).toEqual(['consumer DEFAULT/TTL/pinned']);
  expect(names(4)).toEqual([]);
  expect(assetsAbove(reports, 2)).toEqual([{ name: 'consumer DEFAULT/TTL/pinned', apiLevel: 4 }]);
});
