import { describe, expect, test } from '@jest/globals';
import type { Inputs } from '../../../src/inputs/table.ts';
import type { JsonObject } from '../../../src/json.ts';
import type { KubeObject } from '../../../src/kube/object.ts';
import { inspectTarget } from '../../../src/reconcile/access/preflight.ts';
import { fakeKube } from '../../fakes/kube.ts';
import { problemOf } from '../../fakes/problem.ts';
import { inputsWith } from '../../inputs/inputs-with.ts';

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
    kube.serving.apis.delete('cert-manager.io/v1');
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

describe('the node image cache', () => {
  const cache = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'pinned-images-arm64', namespace: 'node-image-cache' },
  };

  test('is found where there is one', async () => {
    const { kube, inspect } = target();
    kube.put(clusterObject('Namespace', 'v1', 'node-image-cache'));
    kube.put(cache);
    await expect(inspect()).resolves.toMatchObject({ imageCaches: [{ metadata: { name: 'pinned-images-arm64' } }] });
  });

  test('that the identity may not write to is told as a rule, and is not asked for where it is not wanted', async () => {
    const { kube, inspect } = target();
    kube.put(clusterObject('Namespace', 'v1', 'node-image-cache'));
    kube.denies = ({ namespace }) => namespace === 'node-image-cache';
    kube.denies = ({ namespace, resource }) => namespace === 'node-image-cache' || resource === 'nodes';
    expect((await problemOf(inspect())).details.findings).toEqual([
      '{ apiGroups: [""], resources: [nodes], verbs: [list] } # ClusterRole',
      expect.stringMatching(
        /resources: \[configmaps\], .*verbs: \[get, patch\] \} # Role in namespace node-image-cache$/,
      ),
    ]);
    kube.denies = ({ namespace }) => namespace === 'node-image-cache';
    await expect(inspect({ node_image_cached_enabled: false })).resolves.toMatchObject({ imageCaches: [] });
  });

  test('asks for no permission where there is none', async () => {
    const { kube, inspect } = target();
    kube.denies = ({ namespace }) => namespace === 'node-image-cache';
    await expect(inspect()).resolves.toMatchObject({ imageCaches: [] });
  });
});

describe('the nodes', () => {
  const node = (labels: { [key: string]: string }) =>
    clusterObject('Node', 'v1', 'a', { metadata: { name: 'a', labels } });

  test.each([
    ['in zones', [node({ 'topology.kubernetes.io/zone': 'a' })], true],
    ['without zones', [node({})], false],
    ['that are still to come may be in zones', [], true],
  ])('%s', async (_, nodes, hasZones) => {
    const { kube, inspect } = target();
    for (const each of nodes) kube.put(each);
    await expect(inspect()).resolves.toMatchObject({ hasZones });
  });
});

describe('the VerticalPodAutoscaler', () => {
  const API = 'autoscaling.k8s.io/v1';
  const knowing = (requirement: JsonObject): JsonObject => {
    const updatePolicy = { properties: { evictionRequirements: { items: { properties: requirement } } } };
    const schema = { properties: { spec: { properties: { updatePolicy } } } };
    return { components: { schemas: { 'io.k8s.autoscaling.v1.VerticalPodAutoscaler': schema } } };
  };

  test.each<[string, JsonObject | undefined, boolean]>([
    ['that knows what is set in one', knowing({ resources: {}, changeRequirement: {} }), true],
    ['before 1.1', knowing({ resource: {}, changeRequirement: {} }), false],
    ['that tells no schema', undefined, false],
  ])('%s', async (_, document, hasAutoscaler) => {
    const { kube, inspect } = target();
    kube.serving.apis.add(API);
    if (document !== undefined) kube.serving.openApi.set(API, document);
    await expect(inspect()).resolves.toMatchObject({ hasAutoscaler });
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
