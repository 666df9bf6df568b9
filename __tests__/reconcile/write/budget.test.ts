import { expect, test } from '@jest/globals';
import type { KubeObject } from '../../../src/kube/object.ts';
import { writeBudget } from '../../../src/reconcile/write/budget.ts';
import { contextWith } from '../context.ts';

const START = 'panfactum.com/voluntary-disruption-window-start';
const WINDOWS = { 'panfactum.com/voluntary-disruption-window-seconds': '3600' };

function budget(annotations: { [key: string]: string }, maxUnavailable: number): KubeObject {
  const metadata = { name: 'nats-a', namespace: 'demo', annotations };
  return { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata, spec: { maxUnavailable } };
}

test('a window that opened since the comparison stays open', async () => {
  const context = contextWith();
  context.kube.put(budget({ [START]: '1760000000' }, 1));
  await expect(writeBudget(context, budget(WINDOWS, 0), {})).resolves.toBe(false);
  expect(context.kube.writes).toEqual([]);
});

test('a window that closed since the comparison stays closed', async () => {
  const context = contextWith();
  context.kube.put(budget({}, 0));
  await expect(writeBudget(context, budget({ ...WINDOWS, [START]: '1760000000' }, 1), {})).resolves.toBe(false);
  expect(context.kube.writes).toEqual([]);
});

test('a window that is open ends where no windows are wanted any more', async () => {
  const context = contextWith();
  context.kube.put(budget({ ...WINDOWS, [START]: '1760000000' }, 1));
  await expect(writeBudget(context, budget({}, 0), {})).resolves.toBe(true);
  expect(context.kube.stored('PodDisruptionBudget', 'nats-a').spec).toEqual({ maxUnavailable: 0 });
});

test('a budget that changed between reading and writing is read again', async () => {
  const context = contextWith();
  const { kube } = context;
  const counted = (healthy: number) => ({ ...budget({}, 0), status: { currentHealthy: healthy } });
  kube.put(counted(2));
  const { get } = kube;
  kube.get = async (...request) => {
    const live = await get(...request);
    kube.get = get;
    kube.put(counted(3));
    return live;
  };
  await expect(writeBudget(context, budget({ a: 'b' }, 0), {})).resolves.toBe(true);
  expect(kube.writes).toEqual(['apply PodDisruptionBudget demo/nats-a']);
  expect(kube.stored('PodDisruptionBudget', 'nats-a').metadata.annotations).toEqual({ a: 'b' });
});

test('one that does not exist is made', async () => {
  const context = contextWith();
  await expect(writeBudget(context, budget({}, 1), {})).resolves.toBe(true);
  expect(context.kube.stored('PodDisruptionBudget', 'nats-a').spec).toEqual({ maxUnavailable: 1 });
});
