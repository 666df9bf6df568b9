import { describe, expect, test } from '@jest/globals';
import { applySetId, inventoryId } from '../../src/desired/apply-set.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import {
  clustersIn,
  groupKindsOf,
  isCurrent,
  recordedKinds,
  recordedNamespaces,
  recordedVault,
  renderInventory,
  unknownKinds,
} from '../../src/reconcile/inventory.ts';
import { fakeKube } from '../fakes/kube.ts';

const DEPLOYMENT = { actionVersion: '1.2.3', repository: 'org/repo', commit: 'abc', runUrl: 'https://ci.example/1' };
const LABELS = { 'app.kubernetes.io/managed-by': 'kube-nats-action' };

const VAULT = { pkiMounts: ['pki/internal'], authPaths: ['kubernetes', 'k8s/b'] };

function inventory(groupKinds: string[], name = 'nats-a', namespaces: string[] = []): KubeObject {
  return renderInventory('demo', name, LABELS, { groupKinds, namespaces, vault: VAULT }, DEPLOYMENT);
}

function object(kind: string, apiVersion: string): KubeObject {
  return { apiVersion, kind, metadata: { name: 'x', namespace: 'demo', labels: { a: 'b' } } };
}

test("the id is that of KEP-3659's own example", () => {
  expect(applySetId({ name: 'my-set', namespace: 'test', kind: 'Secret', group: '' })).toBe(
    'applyset-0eFHV8ySqp7XoShsGvyWFQD3s96yqwHmzc4e0HR1dsY-v1',
  );
});

test('an inventory names its id, its tool, the kinds and who deployed', () => {
  expect(inventory(['ConfigMap', 'StatefulSet.apps'])).toEqual({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: 'nats-a-inventory',
      namespace: 'demo',
      labels: { ...LABELS, 'applyset.kubernetes.io/id': inventoryId('demo', 'nats-a') },
      annotations: {
        'applyset.kubernetes.io/tooling': 'kube-nats-action/v1.2.3',
        'applyset.kubernetes.io/contains-group-kinds': 'ConfigMap,StatefulSet.apps',
        'applyset.kubernetes.io/additional-namespaces': '',
      },
    },
    data: {
      repository: 'org/repo',
      commit: 'abc',
      'run-url': 'https://ci.example/1',
      'action-version': '1.2.3',
      'vault-pki-mounts': 'pki/internal',
      'vault-auth-paths': 'kubernetes\nk8s/b',
    },
  });
});

test('other namespaces are recorded and read back', () => {
  const written = inventory(['A'], 'nats-a', ['images', 'others']);
  expect(written.metadata.annotations).toMatchObject({
    'applyset.kubernetes.io/additional-namespaces': 'images,others',
  });
  expect(recordedNamespaces(written)).toEqual(['images', 'others']);
  expect(recordedNamespaces(inventory(['A']))).toEqual([]);
  expect(recordedNamespaces(null)).toEqual([]);
});

test('where the cluster is in Vault is recorded and read back', () => {
  expect(recordedVault(inventory(['A']))).toEqual(VAULT);
  expect(recordedVault(null)).toEqual({ pkiMounts: [], authPaths: [] });
});

test('kinds of a later version are told', () => {
  expect(unknownKinds(inventory(['Certificate.cert-manager.io', 'Gateway.x.io', 'Service']))).toEqual(['Gateway.x.io']);
  expect(unknownKinds(inventory([]))).toEqual([]);
  expect(unknownKinds(null)).toEqual([]);
});

describe('the kinds', () => {
  test('are written sorted, with their group, each once', () => {
    const objects = [object('StatefulSet', 'apps/v1'), object('Service', 'v1'), object('Service', 'v1')];
    expect(groupKindsOf(objects)).toEqual(['Service', 'StatefulSet.apps']);
  });

  test('are read back, but for those that are unknown and those that are never pruned', () => {
    const kinds = ['Certificate.cert-manager.io', 'Gateway.x.io', 'Namespace', 'PersistentVolumeClaim', 'Service'];
    expect(recordedKinds(inventory(kinds))).toEqual(['Service', 'Certificate']);
  });

  test.each([
    ['no inventory', null],
    ['an empty one', inventory([])],
    ['one without annotations', { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'nats-a-inventory' } }],
  ])('of %s are none', (_, found) => {
    expect(recordedKinds(found)).toEqual([]);
  });

  test('tell whether the inventory has to be written', () => {
    const scope = { groupKinds: ['A', 'B'], namespaces: [], vault: VAULT };
    expect(isCurrent(inventory(['A', 'B']), scope)).toBe(true);
    expect(isCurrent(inventory(['A', 'B']), { ...scope, groupKinds: ['A'] })).toBe(false);
    expect(isCurrent(inventory(['A', 'B']), { ...scope, namespaces: ['images'] })).toBe(false);
    expect(isCurrent(inventory(['A', 'B']), { ...scope, vault: { ...VAULT, authPaths: [] } })).toBe(false);
    expect(isCurrent(null, { ...scope, groupKinds: [] })).toBe(false);
  });
});

test('the clusters of a namespace are found by their inventories alone', async () => {
  const kube = fakeKube();
  kube.put(inventory(['A'], 'nats-a'));
  kube.put(inventory(['A'], 'other'));
  kube.put({ ...inventory(['A'], 'elsewhere'), metadata: { ...inventory([]).metadata, namespace: 'b' } });
  kube.put({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'x-inventory', namespace: 'demo', labels: LABELS },
  });
  const renamed = inventory([]);
  kube.put({ ...renamed, metadata: { ...renamed.metadata, name: 'a-copy' } });
  await expect(clustersIn(kube, 'demo')).resolves.toEqual(['nats-a', 'other']);
});
