import { describe, expect, test } from '@jest/globals';
import { type ModuleCluster, moduleRequests } from '../../../simulator/module-objects.ts';
import type { JsonObject } from '../../../src/json.ts';
import type { KubeObject } from '../../../src/kube/object.ts';
import { handedOver, handOver, isModuleCluster, isModuleObject } from '../../../src/reconcile/adoption/adoption.ts';
import { problemOf } from '../../fakes/problem.ts';
import { contextWith } from '../context.ts';

const cluster: ModuleCluster = {
  namespace: 'demo',
  name: 'nats-a',
  helm: { manager: 'helm', operation: 'Update' },
  image: 'docker.io/bitnamilegacy/nats:2.10.22',
  storageClassName: 'standard',
  clusterIssuer: 'internal',
  hasAutoscaler: false,
};

const entry = (manager: string, operation: string, fieldsV1: JsonObject, subresource?: string): JsonObject => ({
  manager,
  operation,
  apiVersion: 'apps/v1',
  time: '2026-11-23T02:00:00Z',
  fieldsType: 'FieldsV1',
  fieldsV1,
  ...(subresource === undefined ? {} : { subresource }),
});

/** The module's StatefulSet as it is stored, Kyverno's marks included. */
function statefulSet(changes: JsonObject = {}): KubeObject {
  const parts = moduleRequests(cluster).filter(({ body }) => body.kind === 'StatefulSet');
  const [made, marks] = parts.map(({ body }) => body);
  if (made === undefined || marks === undefined) throw new Error('the module makes a StatefulSet');
  const annotations = { ...made.metadata.annotations, ...marks.metadata.annotations };
  const managedFields = [entry('helm', 'Update', { 'f:spec': {} })];
  return { ...made, metadata: { ...made.metadata, annotations, managedFields, ...changes } };
}

const { labels = {}, annotations = {} } = statefulSet().metadata;

describe("the module's StatefulSet", () => {
  test('is known', () => {
    expect(isModuleCluster(statefulSet(), 'demo', 'nats-a')).toBe(true);
  });

  test.each<[string, JsonObject]>([
    ['is of another release', { annotations: { ...annotations, 'meta.helm.sh/release-name': 'nats-b' } }],
    [
      'is of a release in another namespace',
      { annotations: { ...annotations, 'meta.helm.sh/release-namespace': 'prod' } },
    ],
    ['is of another chart', { labels: { ...labels, 'helm.sh/chart': 'redis-20.1.0' } }],
    ['is managed by something else', { labels: { ...labels, 'app.kubernetes.io/managed-by': 'Flux' } }],
    ['is no database of the stack', { annotations: { ...annotations, 'panfactum.com/db-type': 'Redis' } }],
    ['is of a cluster of this action', { labels: { ...labels, 'applyset.kubernetes.io/part-of': 'applyset-x-v1' } }],
    ['is written by no tool of the module', { managedFields: [entry('argocd-controller', 'Apply', { 'f:spec': {} })] }],
    ['has managers of its status alone', { managedFields: [entry('helm', 'Update', { 'f:status': {} }, 'status')] }],
  ])('is not one that %s', (_, changes) => {
    expect(isModuleCluster(statefulSet(changes), 'demo', 'nats-a')).toBe(false);
  });

  test('is not one of another selector', () => {
    const other = { ...statefulSet(), spec: { selector: { matchLabels: { app: 'nats' } } } };
    expect(isModuleCluster(other, 'demo', 'nats-a')).toBe(false);
  });
});

describe("an object of a module's cluster", () => {
  const object = (labels: { [key: string]: string }, manager = 'kubectl'): KubeObject => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'nats-a', namespace: 'demo', labels, managedFields: [entry(manager, 'Apply', { 'f:data': {} })] },
  });

  test.each<[string, boolean, KubeObject]>([
    ["has the stack's labels", true, object({ 'panfactum.com/module': 'kube_nats' })],
    ["is Helm's release", true, object({ owner: 'helm', name: 'nats-a' }, 'helm')],
    ["is not another's release", false, object({ owner: 'helm', name: 'nats-b' }, 'helm')],
    ['is not what somebody applied by hand', false, object({ app: 'nats' })],
    ['is not what another tool applied', false, object({ 'panfactum.com/module': 'kube_nats' }, 'flux')],
  ])('%s', (_, expected, live) => {
    expect(isModuleObject(live, 'demo', 'nats-a')).toBe(expected);
  });
});

describe('a hand-over', () => {
  const status = entry('kube-controller-manager', 'Update', { 'f:status': {} }, 'status');
  const kyverno = entry('kyverno', 'Apply', { 'f:metadata': { 'f:annotations': { 'f:a': {} } } });

  test('has one manager hold what several did, and leaves those of others', () => {
    const managedFields = [
      entry('helm', 'Update', { 'f:spec': { '.': {}, 'f:replicas': {} } }),
      entry('terraform-provider-helm_v2.12.1_x5', 'Update', { 'f:spec': { 'f:serviceName': {} } }),
      entry('kubectl', 'Apply', { 'f:metadata': { 'f:labels': { 'f:a': {} } } }),
      entry('kube-nats-action', 'Update', { 'f:spec': { 'f:retention': { 'f:whenDeleted': {} } } }),
      kyverno,
      status,
    ];
    expect(handedOver(statefulSet({ managedFields }))).toEqual([
      entry('kube-nats-action', 'Apply', {
        'f:spec': { '.': {}, 'f:replicas': {}, 'f:serviceName': {}, 'f:retention': { 'f:whenDeleted': {} } },
        'f:metadata': { 'f:labels': { 'f:a': {} } },
      }),
      kyverno,
      status,
    ]);
  });

  test.each([
    ['others', [kyverno, status]],
    ['this action already', [entry('kube-nats-action', 'Apply', { 'f:spec': {} }), status]],
    ['the module, of the status', [entry('helm', 'Update', { 'f:status': {} }, 'status')]],
  ])('has nothing to do where the fields are held by %s', (_, managedFields) => {
    expect(handedOver(statefulSet({ managedFields }))).toBeNull();
  });

  test('reads an object again that changed meanwhile', async () => {
    const context = contextWith();
    const live = context.kube.put(statefulSet());
    const { replaceManagers } = context.kube;
    let attempts = 0;
    context.kube.replaceManagers = async (object, managers) => {
      attempts += 1;
      if (attempts === 1) context.kube.put({ ...live, spec: { replicas: 3 } });
      return replaceManagers(object, managers);
    };
    await handOver(context, live);
    expect(attempts).toBe(2);
    expect(context.kube.stored('StatefulSet', 'nats-a')).toMatchObject({
      spec: { replicas: 3 },
      metadata: { managedFields: [{ manager: 'kube-nats-action', operation: 'Apply' }] },
    });
  });

  test('of an object that changes all the time ends with what to stop', async () => {
    const context = contextWith();
    const live = context.kube.put(statefulSet());
    context.kube.replaceManagers = async () => null;
    const { details } = await problemOf(handOver(context, live));
    expect(details).toMatchObject({ kind: 'conflict', tried: 'Taking over StatefulSet demo/nats-a' });
    expect(details.next).toContain('Terraform');
  });
});
