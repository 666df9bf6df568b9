import { expect, test } from '@jest/globals';
import { inventoryId, MEMBER_LABEL } from '../../../src/desired/apply-set.ts';
import { prune } from '../../../src/reconcile/write/prune.ts';
import { problemOf } from '../../fakes/problem.ts';
import { contextWith } from '../context.ts';

const MEMBER = { [MEMBER_LABEL]: inventoryId('demo', 'nats-a') };

/** A member that is to go, as it was read; then it changes. */
function world() {
  const context = contextWith();
  const put = (labels: { [key: string]: string }, data = {}) =>
    context.kube.put({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'old', namespace: 'demo', labels },
      data,
    });
  return { context, put, read: put(MEMBER) };
}

test('what is not wanted any more is deleted, and told', async () => {
  const { context, read } = world();
  await prune(context, [read]);
  expect(context.kube.all('ConfigMap')).toEqual([]);
  expect(context.report.changes).toEqual([{ action: 'delete', object: 'ConfigMap demo/old', fields: [] }]);
});

test('what changed meanwhile is read again, and goes if it is a member still', async () => {
  const { context, put, read } = world();
  put(MEMBER, { another: 'value' });
  await prune(context, [read]);
  expect(context.kube.all('ConfigMap')).toEqual([]);
});

test('what somebody took out of the inventory, or made anew, stays', async () => {
  const taken = world();
  taken.put({});
  await prune(taken.context, [taken.read]);
  expect(taken.context.kube.all('ConfigMap')).toHaveLength(1);
  expect(taken.context.log.lines.join()).toContain('ConfigMap demo/old is kept');

  const anew = world();
  anew.context.kube.take('ConfigMap', 'old');
  anew.put({});
  await prune(anew.context, [anew.read]);
  expect(anew.context.kube.all('ConfigMap')).toHaveLength(1);
  expect(anew.context.report.changes).toEqual([]);
});

test("what is left of the Terraform module goes although it changed, unless it is somebody else's now", async () => {
  const context = contextWith();
  const policy = (manager: string, labels = { 'panfactum.com/module': 'kube_nats' }) =>
    context.kube.put({
      apiVersion: 'kyverno.io/v1',
      kind: 'Policy',
      metadata: {
        name: 'nats-a-fixup',
        namespace: 'demo',
        labels,
        managedFields: [{ manager, operation: 'Apply', fieldsV1: {} }],
      },
    });
  const read = policy('kubectl');
  policy('kubectl', { 'panfactum.com/module': 'changed' });
  await prune(context, [read]);
  expect(context.kube.all('Policy')).toEqual([]);

  const again = policy('kubectl');
  policy('flux');
  await prune(context, [again]);
  expect(context.kube.all('Policy')).toHaveLength(1);
});

test('what never stands still is an error after a while', async () => {
  const { context, put, read } = world();
  let count = 0;
  const { removeUnchanged } = context.kube;
  context.kube.removeUnchanged = (object) => {
    put(MEMBER, { count: `${++count}` });
    return removeUnchanged(object);
  };
  const { details } = await problemOf(prune(context, [read]));
  expect(details).toMatchObject({ kind: 'conflict', reason: 'It was changed 5 times meanwhile.' });
});
