import { expect, test } from '@jest/globals';
import { canonicalQuantity } from '../../simulator/kubernetes/quantity.ts';

test.each([
  ['0.1', '100m'],
  ['1024Mi', '1Gi'],
  ['0.048828125Gi', '50Mi'],
  ['32768Ki', '32Mi'],
  ['57671680', '57671680'],
  ['55Mi', '55Mi'],
  ['1000m', '1'],
  ['1500m', '1500m'],
  ['1', '1'],
  ['0', '0'],
  ['1000M', '1G'],
  ['1.5Gi', '1536Mi'],
  ['big', 'big'],
])('the API server spells %s as %s', (given, stored) => {
  expect(canonicalQuantity(given)).toBe(stored);
});
