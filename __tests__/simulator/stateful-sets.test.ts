import { afterEach, expect, test } from '@jest/globals';
import type { StoredObject } from '../../simulator/kubernetes/object-store.ts';
import { resourceOf } from '../../simulator/kubernetes/resources.ts';
import type { SimulatorOptions } from '../../simulator/simulator.ts';
import { dig, digObjects, digText, type JsonObject } from '../../src/json.ts';
import { configMap, createWorld, eventually, NAME, NAMESPACE, paths, statefulSet, type World } from './world.ts';

let world: World;

afterEach(() => world.close());

const list = (kind: string): StoredObject[] => world.simulator.cluster.store.list(resourceOf(kind), NAMESPACE);
const live = (): StoredObject =>
  world.simulator.cluster.get({ resource: resourceOf('StatefulSet'), namespace: NAMESPACE, name: NAME });
const readyPods = (): StoredObject[] =>
  list('Pod').filter((pod) =>
    digObjects(pod, 'status', 'conditions').some(({ type, status }) => type === 'Ready' && status === 'True'),
  );
const warnings = (): string[] =>
  list('Event').map((event) => `${digText(event, 'reason')}: ${digText(event, 'message')}`);

async function start(options: SimulatorOptions = {}, object = statefulSet()): Promise<void> {
  world = await createWorld(options);
  await world.apply(paths.configMap, configMap('first'));
  await world.apply(paths.statefulSet, object);
}

async function becomeReady(): Promise<void> {
  await eventually('three pods are Ready', () => dig(live(), 'status', 'readyReplicas') === 3);
}

async function monitoring(pod: string, page: string): Promise<JsonObject> {
  const answer = await world.kube.getFromPod(NAMESPACE, pod, 8222, `/${page}`);
  if (answer === null) throw new Error(`${pod} does not answer`);
  return answer;
}

test('a StatefulSet gets its pods, claims and status', async () => {
  await start();
  await becomeReady();
  expect(list('Pod').map(({ metadata }) => metadata.labels?.['apps.kubernetes.io/pod-index'])).toEqual(['0', '1', '2']);
  expect(new Set(list('Pod').map((pod) => digText(pod, 'spec', 'nodeName'))).size).toBe(3);
  expect(
    list('PersistentVolumeClaim').map((claim) => [
      claim.metadata.name,
      dig(claim, 'status', 'phase'),
      dig(claim, 'status', 'capacity'),
    ]),
  ).toEqual([0, 1, 2].map((ordinal) => [`data-n-${ordinal}`, 'Bound', { storage: '1Gi' }]));
  const { status } = live();
  expect(dig(status, 'currentRevision')).toBe(dig(status, 'updateRevision'));
  expect(status).toMatchObject({ replicas: 3, updatedReplicas: 3, availableReplicas: 3, observedGeneration: 1 });
});

test('a changed template rolls out from the highest ordinal, with never more than one pod away', async () => {
  await start();
  await becomeReady();
  const order: string[] = [];
  let fewest = 3;
  world.simulator.cluster.store.onChange(() => {
    fewest = Math.min(fewest, readyPods().length);
    for (const pod of readyPods()) {
      const isNew = digObjects(pod, 'spec', 'containers')[0]?.image === 'nats:2.14.7';
      if (isNew && !order.includes(pod.metadata.name)) order.push(pod.metadata.name);
    }
  });
  await world.apply(paths.statefulSet, statefulSet('nats:2.14.7'));
  await eventually('the roll-out ends', () => order.length === 3 && dig(live(), 'status', 'readyReplicas') === 3);
  expect(order).toEqual(['n-2', 'n-1', 'n-0']);
  expect(fewest).toBe(2);
  expect(list('PersistentVolumeClaim')).toHaveLength(3);
});

test('NATS tells one meta leader with two current peers, and routes to both', async () => {
  await start();
  await becomeReady();
  const pages = await Promise.all(['n-0', 'n-1', 'n-2'].map((pod) => monitoring(pod, 'jsz?acc=x')));
  expect(pages.map((page) => digText(page, 'meta_cluster', 'leader'))).toEqual(['n-0', 'n-0', 'n-0']);
  expect(
    pages.map((page) => digObjects(page, 'meta_cluster', 'replicas').map(({ name, current }) => [name, current])),
  ).toEqual([
    [
      ['n-1', true],
      ['n-2', true],
    ],
    [],
    [],
  ]);
  const routes = digObjects(await monitoring('n-1', 'routez'), 'routes');
  expect(new Set(routes.map((route) => route.remote_name))).toEqual(new Set(['n-0', 'n-2']));
  expect(await monitoring('n-1', 'varz')).toMatchObject({ server_name: 'n-1', version: '2.14.6' });
});

test('a changed configuration is loaded at once by a pod that is touched, later by the others', async () => {
  await start({ speed: 1 });
  await becomeReady();
  const before = digText(await monitoring('n-1', 'varz'), 'config_load_time');
  await world.apply(paths.configMap, configMap('second'));
  const body = { metadata: { annotations: { touched: 'now' } } };
  const headers = { 'content-type': 'application/merge-patch+json' };
  await world.kubernetes({ method: 'PATCH', path: `/api/v1/namespaces/${NAMESPACE}/pods/n-1`, headers, body });
  await eventually('n-1 loads it', () => world.simulator.nats.configOf('n-1') === 'second');
  expect(world.simulator.nats.configOf('n-0')).toBe('first');
  expect(digText(await monitoring('n-1', 'varz'), 'config_load_time') > before).toBe(true);
  await eventually('n-0 loads it', () => world.simulator.nats.configOf('n-0') === 'second');
  expect(dig(live(), 'status', 'updatedReplicas')).toBe(3);
});

test('an image that is not there', async () => {
  await start({}, statefulSet('nats:2.99.0'));
  world.simulator.behaviour.missingImages.add('nats:2.99.0');
  await eventually('the kubelet warns', () =>
    warnings().some((text) => text.startsWith('Failed: Failed to pull image "nats:2.99.0"')),
  );
  const [status] = digObjects(list('Pod')[0], 'status', 'containerStatuses');
  expect(dig(status, 'state', 'waiting', 'reason')).toBe('ImagePullBackOff');
  world.simulator.behaviour.missingImages.clear();
  await becomeReady();
});

test('no room on any node', async () => {
  world = await createWorld();
  world.simulator.behaviour.unschedulable = true;
  await world.apply(paths.configMap, configMap('first'));
  await world.apply(paths.statefulSet, statefulSet());
  await eventually('the scheduler warns', () =>
    warnings().some((text) => text.startsWith('FailedScheduling: 0/3 nodes are available: 3 Insufficient memory.')),
  );
  expect(readyPods()).toEqual([]);
});

test('fewer nodes than pods that must be apart', async () => {
  const apart = { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'kubernetes.io/hostname' }] };
  await start({ nodes: 2 }, statefulSet('nats:2.14.6', { affinity: { podAntiAffinity: apart } }));
  await eventually('the scheduler warns', () =>
    warnings().some((text) => text.includes("didn't match pod anti-affinity rules")),
  );
  await eventually('two pods are Ready', () => readyPods().length === 2);
});

test('a PriorityClass, a StorageClass, a ConfigMap that do not exist', async () => {
  await start({ storageClasses: [] }, statefulSet('nats:2.14.6', { priorityClassName: 'nobody' }));
  await eventually('the controller warns', () =>
    warnings().includes(
      'FailedCreate: create Pod n-0 in StatefulSet n failed error: pods "n-0" is forbidden: no PriorityClass with name nobody was found',
    ),
  );
  await world.apply(
    paths.statefulSet,
    statefulSet('nats:2.14.6', { volumes: [{ name: 'config', configMap: { name: 'nothing' } }] }),
  );
  await eventually('provisioning fails', () =>
    warnings().includes('ProvisioningFailed: storageclass.storage.k8s.io "standard" not found'),
  );
  world.simulator.cluster.create(
    { resource: resourceOf('StorageClass'), namespace: '', name: 'standard' },
    { provisioner: 'late' },
    { fieldManager: 'test', dryRun: false },
  );
  await eventually('the kubelet warns', () =>
    warnings().includes('FailedMount: MountVolume.SetUp failed for volume "config" : configmap "nothing" not found'),
  );
});
