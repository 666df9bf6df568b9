import { digObjects, type Json, type JsonObject } from '../../src/json.ts';
import { SERVER_CONTAINER } from '../../src/nats/layout.ts';
import { type Behaviour, refusalOf } from '../behaviour.ts';
import { mapAt } from '../json-at.ts';
import type { Cluster, Target } from '../kubernetes/cluster.ts';
import { type StoredObject, timestamp } from '../kubernetes/object-store.ts';
import { resourceOf } from '../kubernetes/resources.ts';
import { type Condition, conditionsOf, isTrue, withCondition } from './conditions.ts';
import { warn } from './events.ts';
import { mountedConfig } from './nats-servers.ts';

const KUBELET = 'kubelet';
const SCHEDULER = 'default-scheduler';

/** Scheduler and kubelet: each turn brings a pod one step further, from Pending over scheduled and running to Ready. */
export function advancePods(cluster: Cluster, behaviour: Behaviour): void {
  for (const pod of cluster.store.list(resourceOf('Pod'))) {
    if (isTrue(pod, 'Ready')) {
      continue;
    }
    if (!isTrue(pod, 'PodScheduled')) {
      schedule(cluster, behaviour, pod);
    } else if (mapAt(pod, 'status').phase === 'Running') {
      becomeReady(cluster, pod);
    } else {
      start(cluster, behaviour, pod);
    }
  }
}

function schedule(cluster: Cluster, behaviour: Behaviour, pod: StoredObject): void {
  const nodes = cluster.store.list(resourceOf('Node'));
  const reason = behaviour.unschedulable ? `${nodes.length} Insufficient memory` : unboundClaim(cluster, pod);
  const node = reason === undefined ? freeNode(cluster, pod, nodes) : undefined;
  if (node === undefined) {
    const because = reason ?? `${nodes.length} node(s) didn't match pod anti-affinity rules`;
    const preemption = `preemption: 0/${nodes.length} nodes are available: ${nodes.length} No preemption victims found for incoming pod.`;
    const message = `0/${nodes.length} nodes are available: ${because}. ${preemption}`;
    setConditions(cluster, pod, { phase: 'Pending' }, [
      { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message },
    ]);
    warn(cluster, pod, SCHEDULER, 'FailedScheduling', message);
    return;
  }
  const bound = { ...pod, spec: { ...mapAt(pod, 'spec'), nodeName: node } };
  cluster.update(targetOf(pod), bound, { fieldManager: SCHEDULER, dryRun: false });
  bindClaims(cluster, pod);
  setConditions(cluster, pod, { phase: 'Pending' }, [{ type: 'PodScheduled', status: 'True' }]);
}

/** A node that no pod of the same owner is on, where anti-affinity demands it; the emptiest otherwise. */
function freeNode(cluster: Cluster, pod: StoredObject, nodes: StoredObject[]): string | undefined {
  const owner = pod.metadata.ownerReferences?.[0]?.uid;
  const siblings = cluster.store
    .list(resourceOf('Pod'), pod.metadata.namespace)
    .filter((other) => other.metadata.ownerReferences?.[0]?.uid === owner)
    .map((other) => mapAt(other, 'spec').nodeName);
  const load = (node: StoredObject): number => siblings.filter((name) => name === node.metadata.name).length;
  const affinity = mapAt(pod, 'spec', 'affinity', 'podAntiAffinity');
  const isApart = affinity.requiredDuringSchedulingIgnoredDuringExecution !== undefined;
  const [best] = nodes.toSorted((left, right) => load(left) - load(right));
  return best === undefined || (isApart && load(best) > 0) ? undefined : best.metadata.name;
}

/** Why the pod's volumes cannot be had, as the scheduler says it; also warns about the claim. */
function unboundClaim(cluster: Cluster, pod: StoredObject): string | undefined {
  for (const claim of claimsOf(cluster, pod)) {
    const className = String(mapAt(claim, 'spec').storageClassName ?? '');
    if (!cluster.store.get(resourceOf('StorageClass'), '', className)) {
      const message = `storageclass.storage.k8s.io "${className}" not found`;
      warn(cluster, claim, 'persistentvolume-controller', 'ProvisioningFailed', message);
      return 'pod has unbound immediate PersistentVolumeClaims';
    }
  }
  return undefined;
}

function bindClaims(cluster: Cluster, pod: StoredObject): void {
  for (const claim of claimsOf(cluster, pod)) {
    const spec = mapAt(claim, 'spec');
    const target = targetOf(claim);
    if (spec.volumeName === undefined) {
      const bound = { ...claim, spec: { ...spec, volumeName: `pvc-${claim.metadata.uid}` } };
      cluster.update(target, bound, { fieldManager: 'kube-controller-manager', dryRun: false });
      cluster.updateStatus(target, 'kube-controller-manager', {
        phase: 'Bound',
        accessModes: spec.accessModes,
        capacity: mapAt(spec, 'resources', 'requests'),
      });
    }
  }
}

function claimsOf(cluster: Cluster, pod: StoredObject): StoredObject[] {
  return volumesOf(pod).flatMap((volume) => {
    const name = mapAt(volume, 'persistentVolumeClaim').claimName;
    const claim = cluster.store.get(
      resourceOf('PersistentVolumeClaim'),
      pod.metadata.namespace ?? '',
      String(name ?? ''),
    );
    return claim === undefined ? [] : [claim];
  });
}

function start(cluster: Cluster, behaviour: Behaviour, pod: StoredObject): void {
  const missing = missingSource(cluster, pod);
  if (missing !== undefined) {
    warn(cluster, pod, KUBELET, 'FailedMount', missing);
    const waiting = { state: { waiting: { reason: 'ContainerCreating' } } };
    setStatus(cluster, pod, { phase: 'Pending', containerStatuses: containerStatuses(pod, () => waiting) });
    return;
  }
  const refusal = refusalOf(behaviour, mountedConfig(cluster, pod));
  if (refusal !== undefined) {
    const crashing = (container: JsonObject) => (container.name === SERVER_CONTAINER ? CRASHING : running());
    setStatus(cluster, pod, { phase: 'Pending', containerStatuses: containerStatuses(pod, crashing) });
    return;
  }
  const unavailable = containersOf(pod).filter((container) => behaviour.missingImages.has(String(container.image)));
  for (const container of unavailable) {
    const image = String(container.image);
    const cause = `rpc error: code = NotFound desc = failed to pull and unpack image "${image}": failed to resolve reference "${image}": ${image}: not found`;
    warn(cluster, pod, KUBELET, 'Failed', `Failed to pull image "${image}": ${cause}`);
  }
  const status = {
    phase: unavailable.length === 0 ? 'Running' : 'Pending',
    startTime: mapAt(pod, 'status').startTime ?? timestamp(),
    podIP: podAddress(pod),
    containerStatuses: containerStatuses(pod, (container) =>
      unavailable.includes(container) ? imagePullBackOff(String(container.image)) : running(),
    ),
  };
  setConditions(cluster, pod, status, [
    { type: 'Initialized', status: 'True' },
    { type: 'ContainersReady', status: 'False', reason: 'ContainersNotReady' },
    { type: 'Ready', status: 'False', reason: 'ContainersNotReady' },
  ]);
}

function becomeReady(cluster: Cluster, pod: StoredObject): void {
  const statuses = digObjects(pod, 'status', 'containerStatuses');
  const containers = statuses.map((status) => ({ ...status, ready: true, started: true }));
  setConditions(cluster, pod, { ...mapAt(pod, 'status'), containerStatuses: containers }, [
    { type: 'ContainersReady', status: 'True' },
    { type: 'Ready', status: 'True' },
  ]);
}

/** A container that ended again and again. */
const CRASHING: JsonObject = {
  restartCount: 5,
  state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 40s restarting failed container' } },
  lastState: { terminated: { reason: 'Error', exitCode: 1 } },
};

function running(): JsonObject {
  return { state: { running: { startedAt: timestamp() } } };
}

function imagePullBackOff(image: string): JsonObject {
  const message = `Back-off pulling image "${image}": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image "${image}": failed to resolve reference "${image}": ${image}: not found`;
  return { state: { waiting: { reason: 'ImagePullBackOff', message } } };
}

/** What the kubelet says of the first mounted Secret or ConfigMap that does not exist. */
function missingSource(cluster: Cluster, pod: StoredObject): string | undefined {
  const namespace = pod.metadata.namespace ?? '';
  for (const volume of volumesOf(pod)) {
    const sources: [string, Json | undefined][] = [
      ['Secret', mapAt(volume, 'secret').secretName],
      ['ConfigMap', mapAt(volume, 'configMap').name],
    ];
    for (const [kind, name] of sources) {
      if (typeof name === 'string' && !cluster.store.get(resourceOf(kind), namespace, name)) {
        return `MountVolume.SetUp failed for volume "${String(volume.name)}" : ${kind.toLowerCase()} "${name}" not found`;
      }
    }
  }
  return undefined;
}

function containerStatuses(pod: StoredObject, statusOf: (container: JsonObject) => JsonObject): JsonObject[] {
  return containersOf(pod).map((container) => ({
    name: container.name,
    image: container.image,
    imageID: '',
    ready: false,
    started: false,
    restartCount: 0,
    lastState: {},
    ...statusOf(container),
  }));
}

function setConditions(cluster: Cluster, pod: StoredObject, status: JsonObject, conditions: Condition[]): void {
  const all = conditions.reduce<JsonObject[]>(withCondition, conditionsOf(pod));
  setStatus(cluster, pod, { ...status, conditions: all });
}

function setStatus(cluster: Cluster, pod: StoredObject, status: JsonObject): void {
  cluster.updateStatus(targetOf(pod), KUBELET, { conditions: conditionsOf(pod), ...status });
}

function targetOf(object: StoredObject): Target {
  const { namespace = '', name } = object.metadata;
  return { resource: resourceOf(object.kind), namespace, name };
}

/** An address that differs from pod to pod. */
function podAddress(pod: StoredObject): string {
  const [high = 0, low = 0] = Buffer.from(pod.metadata.uid.replaceAll('-', ''), 'hex');
  return `10.244.${high}.${low}`;
}

function containersOf(pod: StoredObject): JsonObject[] {
  return digObjects(pod, 'spec', 'containers');
}

function volumesOf(pod: StoredObject): JsonObject[] {
  return digObjects(pod, 'spec', 'volumes');
}
