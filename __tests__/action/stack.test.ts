import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { dig, isJsonObject, type JsonObject } from '../../src/json.ts';
import { startWorld, type World } from './world.ts';

/** What a Panfactum cluster serves beside Kubernetes and cert-manager. */
const API_GROUPS = ['autoscaling.k8s.io', 'karpenter.sh', 'kyverno.io', 'monitoring.coreos.com', 'velero.io'];

const CACHE = '/api/v1/namespaces/node-image-cache/configmaps';
const MERGE = 'application/merge-patch+json';

/** Where each object that only a whole stack has is found. */
const STACK_OBJECTS = {
  VerticalPodAutoscaler: '/apis/autoscaling.k8s.io/v1/namespaces/demo/verticalpodautoscalers',
  PodMonitor: '/apis/monitoring.coreos.com/v1/namespaces/demo/podmonitors',
  PrometheusRule: '/apis/monitoring.coreos.com/v1/namespaces/demo/prometheusrules',
  CronJob: '/apis/batch/v1/namespaces/demo/cronjobs',
};

const EVERYTHING = { monitoring_enabled: 'true', voluntary_disruption_window_enabled: 'true' };

let world: World;

beforeEach(async () => {
  world = await startWorld({ apiGroups: API_GROUPS, namespaces: ['demo', 'node-image-cache'] });
  for (const name of ['pinned-images-amd64', 'pinned-images-arm64']) {
    await world.kube('POST', CACHE, { metadata: { name }, data: { others: 'docker.io/acme/app:1' } });
  }
  const marked = { metadata: { annotations: { 'resize.topolvm.io/enabled': 'true' } } };
  await world.kube('PATCH', '/apis/storage.k8s.io/v1/storageclasses/ebs-standard-retained', marked, MERGE);
});

afterEach(() => world.close());

async function counts(): Promise<{ [kind: string]: number }> {
  const lists = await Promise.all(
    Object.entries(STACK_OBJECTS).map(async ([kind, path]): Promise<[string, number]> => {
      const items = dig(await world.kube('GET', path), 'items');
      return [kind, Array.isArray(items) ? items.length : 0];
    }),
  );
  return Object.fromEntries(lists);
}

async function cached(list: string): Promise<JsonObject> {
  const data = dig(await world.kube('GET', `${CACHE}/${list}`), 'data');
  return isJsonObject(data) ? data : {};
}

test('a cluster with the whole stack gets everything, needs no adaptation, and is left alone by the next run', async () => {
  const first = await world.apply({ ...EVERYTHING, adapt: 'false' });
  expect(first.errors).toEqual([]);
  expect(first.summary).not.toContain('Adapted to this cluster');
  expect(await counts()).toEqual({ VerticalPodAutoscaler: 1, PodMonitor: 1, PrometheusRule: 1, CronJob: 2 });
  expect(Object.values(await cached('pinned-images-amd64'))).toContain('docker.io/library/nats:2.10.23-alpine');
  expect(first.log).toMatch(/the next windows open at .* 04:00/);
  const writes = await world.writesDuring(() => world.apply({ ...EVERYTHING, adapt: 'false' }));
  expect(writes).toEqual([]);
});

test('what is switched off is removed, and nothing of others with it', async () => {
  await world.apply(EVERYTHING);
  const off = await world.apply({ vpa_enabled: 'false', node_image_cached_enabled: 'false' });
  expect(off.errors).toEqual([]);
  expect(await counts()).toEqual({ VerticalPodAutoscaler: 0, PodMonitor: 0, PrometheusRule: 0, CronJob: 0 });
  expect(await cached('pinned-images-amd64')).toEqual({ others: 'docker.io/acme/app:1' });
  const budget = await world.kube('GET', '/apis/policy/v1/namespaces/demo/poddisruptionbudgets/nats');
  expect(JSON.stringify(budget)).not.toContain('voluntary-disruption-window');
  const again = await world.writesDuring(() =>
    world.apply({ vpa_enabled: 'false', node_image_cached_enabled: 'false' }),
  );
  expect(again).toEqual([]);
});

test('arm64 nodes get no images where they are not allowed', async () => {
  await world.apply();
  expect(Object.keys(await cached('pinned-images-arm64')).length).toBeGreaterThan(1);
  await world.apply({ arm_nodes_enabled: 'false' });
  expect(await cached('pinned-images-arm64')).toEqual({ others: 'docker.io/acme/app:1' });
  expect(Object.keys(await cached('pinned-images-amd64')).length).toBeGreaterThan(1);
});

test('claims are brought up to date, whoever made their metadata', async () => {
  await world.apply();
  await world.apply({ persistence_storage_limit_gb: '50', persistence_backups_enabled: 'false', labels: 'team: a' });
  const claim = await world.kube('GET', '/api/v1/namespaces/demo/persistentvolumeclaims/data-nats-0');
  expect(dig(claim, 'metadata', 'annotations', 'resize.topolvm.io/storage_limit')).toBe('50Gi');
  expect(dig(claim, 'metadata', 'labels', 'velero.io/exclude-from-backup')).toBe('true');
  expect(dig(claim, 'metadata', 'labels', 'team')).toBe('a');
});
