import { expect, test } from '@jest/globals';
import type { Inputs } from '../../../src/inputs/table.ts';
import { checkImmutable } from '../../../src/reconcile/refusals/immutable.ts';
import { CHART_MADE } from '../../desired/fixture.ts';
import { problemOf } from '../../fakes/problem.ts';
import { inputsWith } from '../../inputs/inputs-with.ts';

const LIVE = { ...CHART_MADE, serviceName: 'nats-a-headless', selector: {} };

function check(overrides: Partial<Inputs>, live = LIVE) {
  return problemOf(Promise.resolve().then(() => checkImmutable(inputsWith(overrides), 'nats-a', live)));
}

test.each([
  [
    'the StorageClass that was asked for by name',
    { persistence_storage_class_name: 'fast' },
    LIVE,
    'persistence_storage_class_name is fast, and the volumes were made with gp3',
    'nats stream backup',
  ],
  [
    'the default StorageClass, with adapt: false',
    { adapt: false },
    LIVE,
    'persistence_storage_class_name is ebs-standard-retained, and the volumes were made with gp3',
    'nats stream restore',
  ],
  [
    'a selector of other pods',
    {},
    { ...LIVE, selector: { matchLabels: { 'app.kubernetes.io/instance': 'other' } } },
    'spec.selector selects app.kubernetes.io/instance=other, and the Services of the cluster app.kubernetes.io/instance=nats-a',
    '--cascade=orphan',
  ],
  [
    'no Service of its own',
    {},
    { ...LIVE, serviceName: 'nats-a' },
    'spec.serviceName is "nats-a", and the servers need a headless Service of their own',
    '--cascade=orphan',
  ],
])('a StatefulSet that cannot become what is wanted is refused: %s', async (_, inputs, live, finding, next) => {
  const { details } = await check(inputs, live);
  expect(details).toMatchObject({ kind: 'target', findings: [finding], next: expect.stringContaining(next) });
  expect(details.reason).toContain('nothing was written');
});

test.each([
  ['the class of the volumes', { persistence_storage_class_name: 'gp3', adapt: false }, LIVE],
  ['a default class that was not insisted on', {}, LIVE],
  ['another Service, as the chart may have named it', {}, { ...LIVE, serviceName: 'peers' }],
  ['a selector that says more', {}, { ...LIVE, selector: { matchLabels: { tier: 'bus' } } }],
])('it stays with %s', (_, inputs, live) => {
  expect(() => checkImmutable(inputsWith(inputs), 'nats-a', live)).not.toThrow();
});
