import { describe, expect, test } from '@jest/globals';
import type { Inputs } from '../../../src/inputs/table.ts';
import type { KubeObject } from '../../../src/kube/object.ts';
import { adapt } from '../../../src/reconcile/access/adaptation.ts';
import type { Target } from '../../../src/reconcile/access/preflight.ts';
import { problemOf } from '../../fakes/problem.ts';
import { inputsWith } from '../../inputs/inputs-with.ts';

const WANTED = 'ebs-standard-retained';

function storageClass(name: string, annotations: { [key: string]: string } = {}): KubeObject {
  return { apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass', metadata: { name, annotations } };
}

const usual = (name: string) => storageClass(name, { 'storageclass.kubernetes.io/is-default-class': 'true' });
const growing = (name: string) => ({
  ...storageClass(name, { 'resize.topolvm.io/enabled': 'true' }),
  allowVolumeExpansion: true,
});

/** A cluster with the whole stack. */
const FULL: Target = {
  kubernetesVersion: 'v1.34.4',
  clusterUid: 'uid',
  namespaceExists: true,
  hasZones: true,
  hasAutoscaler: true,
  apis: new Set(['monitoring.coreos.com/v1', 'autoscaling.k8s.io/v1', 'kyverno.io/v1', 'velero.io/v1']),
  storageClasses: [growing(WANTED)],
  priorityClass: {
    apiVersion: 'scheduling.k8s.io/v1',
    kind: 'PriorityClass',
    metadata: { name: 'workload-important' },
  },
  imageCaches: [{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'pinned-images-amd64' } }],
  refusal: null,
};

/** One with nothing but a default StorageClass. */
const PLAIN: Target = {
  ...FULL,
  apis: new Set(),
  hasZones: false,
  hasAutoscaler: false,
  storageClasses: [usual('gp3')],
  priorityClass: null,
  imageCaches: [],
};

const adapted = (inputs: Partial<Inputs>, target: Target, volumesClass: string | null = null) =>
  adapt(inputsWith(inputs), target, volumesClass);

const wantedOf = (inputs: Partial<Inputs>, target: Target) =>
  adapted(inputs, target).adaptations.map(({ wanted }) => wanted);

describe('a cluster with the whole stack', () => {
  test('needs no adaptation, even under adapt: false and with every feature on', () => {
    const all = {
      adapt: false,
      monitoring_enabled: true,
      pull_through_cache_enabled: true,
      persistence_storage_limit_gb: 20,
    };
    expect(adapted(all, FULL)).toEqual({
      storageClassName: WANTED,
      priorityClassName: 'workload-important',
      adaptations: [],
    });
  });
});

describe('a plain cluster', () => {
  test('runs the defaults, and everything that they do without is told', () => {
    const { adaptations, ...chosen } = adapted({}, PLAIN);
    expect(chosen).toEqual({ storageClassName: 'gp3', priorityClassName: null });
    expect(adaptations).toHaveLength(8);
    expect(adaptations).toContainEqual({ wanted: `StorageClass ${WANTED}`, instead: 'the default class gp3' });
    expect(adaptations).toContainEqual({
      wanted: 'PriorityClass workload-important',
      instead: "the cluster's default priority",
    });
  });

  test('is not asked for what is switched off', () => {
    const off = {
      vpa_enabled: false,
      panfactum_scheduler_enabled: false,
      persistence_backups_enabled: false,
      node_image_cached_enabled: false,
    };
    expect(wantedOf(off, PLAIN).filter((wanted) => /Kyverno|Vertical|Velero|cache/.test(wanted))).toEqual([]);
  });

  test('under adapt: false lacks everything at once', async () => {
    const problem = await problemOf(() => adapted({ adapt: false }, PLAIN));
    expect(problem.details.kind).toBe('target');
    expect(problem.details.findings).toHaveLength(8);
    expect(problem.message).toContain('8 things are missing; nothing was written.');
    expect(problem.message).toContain('vpa_enabled: false');
  });

  test.each<[string, Partial<Inputs>, string]>([
    ['monitoring', { monitoring_enabled: true }, 'Prometheus operator'],
    ['the pull-through cache', { pull_through_cache_enabled: true }, 'pull_through_registry'],
    ['a limit of growth', { persistence_storage_limit_gb: 20 }, 'pvc-autoresizer'],
    ['a step of growth', { persistence_storage_increase_gb: 2 }, 'pvc-autoresizer'],
    ['a threshold of growth', { persistence_storage_increase_threshold_percent: 30 }, 'pvc-autoresizer'],
  ])('refuses %s, as it was asked for by name', async (_, inputs, words) => {
    expect((await problemOf(() => adapted(inputs, PLAIN))).message).toContain(words);
  });

  test('needs no Kyverno where the pull-through registry is named', () => {
    const inputs = { pull_through_cache_enabled: true, pull_through_registry: 'registry.example' };
    expect(() => adapted(inputs, PLAIN)).not.toThrow();
  });
});

describe('the StorageClass', () => {
  test('of volumes that exist is theirs, whatever the inputs say', () => {
    expect(adapted({ persistence_storage_class_name: 'gone' }, FULL, 'older').storageClassName).toBe('older');
  });

  test('of volumes that exist decides whether they grow', () => {
    const target = { ...FULL, storageClasses: [growing(WANTED), storageClass('fixed')] };
    expect(adapted({}, target, 'fixed').adaptations.map(({ instead }) => instead)).toEqual([
      'data volumes that keep their size',
    ]);
    expect(adapted({}, target, WANTED).adaptations).toEqual([]);
  });

  test.each<[string, Partial<Inputs>, KubeObject[], string, string]>([
    ['that was chosen', { persistence_storage_class_name: 'fast' }, [usual('y')], 'It does not exist.', 'y'],
    [
      'by default, where no class is the default',
      {},
      [storageClass('x'), storageClass('y')],
      'It does not exist, and no class is marked as the default.',
      'x, y',
    ],
    ['by default, where there is no class', {}, [], 'no class is marked as the default.', 'has none'],
  ])('%s must exist', async (_, inputs, storageClasses, reason, next) => {
    const { details } = await problemOf(() => adapted(inputs, { ...FULL, storageClasses }));
    expect(details.kind).toBe('target');
    expect(details.reason).toContain(reason);
    expect(details.next).toContain(next);
  });
});

test('a StorageClass that allows no expansion does not grow, whatever its annotation says', async () => {
  const target = { ...FULL, storageClasses: [{ ...growing(WANTED), allowVolumeExpansion: false }] };
  expect(adapted({}, target).adaptations).toHaveLength(1);
  expect((await problemOf(() => adapted({ persistence_storage_limit_gb: 20 }, target))).message).toContain(
    'allowVolumeExpansion: true',
  );
});

test('one server needs no zones', () => {
  expect(() => adapted({ adapt: false, replicas: 1 }, { ...FULL, hasZones: false })).not.toThrow();
});

test('the PriorityClass must exist under adapt: false', async () => {
  const { message } = await problemOf(() => adapted({ adapt: false }, { ...FULL, priorityClass: null }));
  expect(message).toContain('kubectl create priorityclass workload-important --value=100000');
});
