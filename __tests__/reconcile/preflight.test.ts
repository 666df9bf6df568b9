import { describe, expect, test } from '@jest/globals';
import type { Inputs } from '../../src/inputs/table.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import { choosePriorityClass, chooseStorageClass } from '../../src/reconcile/adaptation.ts';
import { inspectTarget } from '../../src/reconcile/preflight.ts';
import { fakeKube } from '../fakes/kube.ts';
import { problemOf } from '../fakes/problem.ts';
import { inputsWith } from '../inputs/inputs-with.ts';

function clusterObject(kind: string, apiVersion: string, name: string, more: Partial<KubeObject> = {}): KubeObject {
  return { apiVersion, kind, ...more, metadata: { name, ...more.metadata } };
}

function storageClass(name: string, isDefault = false): KubeObject {
  const annotations = { 'storageclass.kubernetes.io/is-default-class': String(isDefault) };
  return clusterObject('StorageClass', 'storage.k8s.io/v1', name, { metadata: { name, annotations } });
}

function target() {
  const kube = fakeKube();
  kube.put(clusterObject('Namespace', 'v1', 'kube-system'));
  kube.put(clusterObject('Namespace', 'v1', 'demo', { status: { phase: 'Active' } }));
  kube.put(storageClass('standard', true));
  kube.put(clusterObject('PriorityClass', 'scheduling.k8s.io/v1', 'workload-important'));
  const inspect = (inputs: Partial<Inputs> = {}) => inspectTarget(kube, inputsWith(inputs), []);
  return { kube, inspect };
}

describe('a target', () => {
  test('that is fit is described, without a write', async () => {
    const { kube, inspect } = target();
    await expect(inspect()).resolves.toMatchObject({
      kubernetesVersion: 'v1.34.4',
      clusterUid: kube.stored('Namespace', 'kube-system').metadata.uid,
      namespaceExists: true,
      storageClasses: [{ metadata: { name: 'standard' } }],
      priorityClass: { metadata: { name: 'workload-important' } },
    });
    expect(kube.writes).toEqual([]);
  });

  test.each(['v1.27.0', 'v1.30.2-gke.1587003', 'v2.0.0', 'v1.100.1+k3s1'])('of %s is new enough', async (version) => {
    const { kube, inspect } = target();
    kube.serving.version = version;
    await expect(inspect()).resolves.toMatchObject({ kubernetesVersion: version });
  });

  test.each(['v1.26.15', 'v0.99.0'])('of %s is too old', async (version) => {
    const { kube, inspect } = target();
    kube.serving.version = version;
    expect((await problemOf(inspect())).message).toBe(
      `Checking the version of Kubernetes: It is ${version}; this action needs 1.27 or later. Upgrade the cluster.`,
    );
  });

  test('without cert-manager is refused', async () => {
    const { kube, inspect } = target();
    kube.serving.certManager = false;
    const { details } = await problemOf(inspect());
    expect(details.kind).toBe('target');
    expect(details.next).toContain('Install cert-manager 1.16 or later');
  });

  test('without the ClusterIssuer that was asked for is refused', async () => {
    const { kube, inspect } = target();
    const { details } = await problemOf(inspect({ certificate_issuer: 'internal' }));
    expect(details).toMatchObject({ kind: 'target', tried: 'Looking for ClusterIssuer internal' });
    kube.put(clusterObject('ClusterIssuer', 'cert-manager.io/v1', 'internal'));
    await expect(inspect({ certificate_issuer: 'internal' })).resolves.toMatchObject({ namespaceExists: true });
  });

  test('that lacks a permission is refused, naming the one that reaching Vault needs as well', async () => {
    const { kube } = target();
    kube.denies = ({ resource }) => resource === 'services/proxy';
    const access = { verb: 'get', group: '', resource: 'services/proxy', namespace: 'vault' };
    expect((await problemOf(inspectTarget(kube, inputsWith(), [access]))).message).toContain('[services/proxy]');
  });
});

describe('a namespace', () => {
  test('that does not exist is refused, or left to be created', async () => {
    const { kube, inspect } = target();
    kube.take('Namespace', 'demo');
    expect((await problemOf(inspect({ create_namespace: false }))).message).toBe(
      'Looking for namespace demo: It does not exist. Set the input create_namespace: true, or create it: kubectl create namespace demo',
    );
    await expect(inspect({ create_namespace: true })).resolves.toMatchObject({ namespaceExists: false });
  });

  test.each([true, false])('that is being deleted is refused (create_namespace: %s)', async (create_namespace) => {
    const { kube, inspect } = target();
    kube.put(clusterObject('Namespace', 'v1', 'demo', { status: { phase: 'Terminating' } }));
    expect((await problemOf(inspect({ create_namespace }))).details.reason).toBe('It is being deleted.');
  });
});

describe('the StorageClass', () => {
  const wanted = 'ebs-standard-retained';

  test('that is wanted and exists is used', () => {
    expect(chooseStorageClass(inputsWith(), [storageClass('x', true), storageClass(wanted)])).toEqual({
      name: wanted,
      adaptation: null,
    });
  });

  test('by default gives way to the default class, which is told', () => {
    expect(chooseStorageClass(inputsWith(), [storageClass('x'), storageClass('y', true)])).toEqual({
      name: 'y',
      adaptation: { wanted: `StorageClass ${wanted}`, instead: 'the default class y' },
    });
  });

  test.each<[string, Partial<Inputs>, KubeObject[], string, string]>([
    [
      'that was chosen',
      { persistence_storage_class_name: 'fast' },
      [storageClass('y', true)],
      'It does not exist.',
      'y',
    ],
    ['under adapt: false', { adapt: false }, [storageClass('y', true)], 'It does not exist.', 'y'],
    [
      'by default, where no class is the default',
      {},
      [storageClass('x'), storageClass('y')],
      'It does not exist, and no class is marked as the default.',
      'x, y',
    ],
    [
      'by default, where there is no class',
      {},
      [],
      'It does not exist, and no class is marked as the default.',
      'has none',
    ],
  ])('%s must exist', async (_, inputs, classes, reason, next) => {
    const { details } = await problemOf(() => chooseStorageClass(inputsWith(inputs), classes));
    expect(details).toMatchObject({ kind: 'target', reason });
    expect(details.next).toContain(next);
  });
});

describe('the PriorityClass', () => {
  test('is used where it exists', () => {
    const existing = clusterObject('PriorityClass', 'scheduling.k8s.io/v1', 'workload-important');
    expect(choosePriorityClass(inputsWith({ adapt: false }), existing).name).toBe('workload-important');
  });

  test('is done without where it does not, which is told', () => {
    expect(choosePriorityClass(inputsWith(), null)).toEqual({
      name: null,
      adaptation: { wanted: 'PriorityClass workload-important', instead: "the cluster's default priority" },
    });
  });

  test('must exist under adapt: false', async () => {
    const { message } = await problemOf(() => choosePriorityClass(inputsWith({ adapt: false }), null));
    expect(message).toContain('kubectl create priorityclass workload-important --value=100000');
  });
});
