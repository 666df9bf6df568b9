import { createHash } from 'node:crypto';
import { isJsonObject, type JsonObject } from '../../src/json.ts';
import { listAt, mapAt } from '../json-at.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import type { StoredObject } from '../kubernetes/object-store.ts';
import { resourceOf } from '../kubernetes/resources.ts';
import { isTrue } from './conditions.ts';
import { warn } from './events.ts';

const MANAGER = 'kube-controller-manager';
const WRITE = { fieldManager: MANAGER, dryRun: false };
const REVISION_LABEL = 'controller-revision-hash';

/** A StatefulSet taken apart. */
interface Wanted {
  statefulSet: StoredObject;
  name: string;
  namespace: string;
  replicas: number;
  isOrdered: boolean;
  /** False with OnDelete: pods are replaced by who deletes them. */
  rollsOut: boolean;
  template: JsonObject;
  claimTemplates: JsonObject[];
  revision: string;
}

/** Makes pods and volume claims, and rolls changes out from the highest ordinal, one pod at a time (apps/v1). */
export function reconcileStatefulSets(cluster: Cluster): void {
  for (const statefulSet of cluster.store.list(resourceOf('StatefulSet'))) {
    const wanted = takeApart(statefulSet);
    const isScaled = scale(cluster, wanted);
    if (isScaled && wanted.rollsOut) {
      rollOut(cluster, wanted);
    }
    writeStatus(cluster, wanted);
  }
}

function takeApart(statefulSet: StoredObject): Wanted {
  const spec = mapAt(statefulSet, 'spec');
  const { name, namespace = '' } = statefulSet.metadata;
  const template = mapAt(spec, 'template');
  const hash = createHash('sha256').update(JSON.stringify(template)).digest('hex').slice(0, 10);
  return {
    statefulSet,
    name,
    namespace,
    replicas: Number(spec.replicas),
    isOrdered: spec.podManagementPolicy === 'OrderedReady',
    rollsOut: mapAt(spec, 'updateStrategy').type !== 'OnDelete',
    template,
    claimTemplates: Array.isArray(spec.volumeClaimTemplates) ? spec.volumeClaimTemplates.filter(isJsonObject) : [],
    revision: `${name}-${hash}`,
  };
}

/** Brings the number of pods to what is wanted; true when it was already. */
function scale(cluster: Cluster, wanted: Wanted): boolean {
  const pods = podsOf(cluster, wanted);
  const surplus = pods.findLast((pod) => ordinalOf(pod) >= wanted.replicas);
  if (surplus !== undefined) {
    deletePod(cluster, surplus);
    return false;
  }
  const ordinals = Array.from({ length: wanted.replicas }, (_, ordinal) => ordinal);
  const missing = ordinals.filter((ordinal) => !pods.some((pod) => ordinalOf(pod) === ordinal));
  if (missing.length === 0) {
    return true;
  }
  const [next = 0] = missing;
  const isBlocked = wanted.isOrdered && pods.some((pod) => ordinalOf(pod) < next && !isTrue(pod, 'Ready'));
  if (!isBlocked) {
    for (const ordinal of wanted.isOrdered ? [next] : missing) {
      createPod(cluster, wanted, ordinal);
    }
  }
  return false;
}

/**
 * From the highest ordinal down: deletes the first pod of an old revision, waits for one that is not Ready. With OrderedReady
 * any pod that is not Ready holds it up, of whatever revision: https://github.com/kubernetes/kubernetes/issues/67250
 */
function rollOut(cluster: Cluster, wanted: Wanted): void {
  const pods = podsOf(cluster, wanted);
  if (wanted.isOrdered && !pods.every((pod) => isTrue(pod, 'Ready'))) return;
  for (const pod of pods.toReversed()) {
    if (pod.metadata.labels?.[REVISION_LABEL] !== wanted.revision) {
      deletePod(cluster, pod);
      return;
    }
    if (!isTrue(pod, 'Ready')) {
      return;
    }
  }
}

function createPod(cluster: Cluster, wanted: Wanted, ordinal: number): void {
  const { name, namespace, statefulSet, template } = wanted;
  const podName = `${name}-${ordinal}`;
  const spec = mapAt(template, 'spec');
  const priority = spec.priorityClassName;
  if (typeof priority === 'string' && !cluster.store.get(resourceOf('PriorityClass'), '', priority)) {
    const refusal = `pods "${podName}" is forbidden: no PriorityClass with name ${priority} was found`;
    const message = `create Pod ${podName} in StatefulSet ${name} failed error: ${refusal}`;
    warn(cluster, statefulSet, 'statefulset-controller', 'FailedCreate', message);
    return;
  }
  const metadata = mapAt(template, 'metadata');
  const pod = {
    metadata: {
      ...metadata,
      name: podName,
      namespace,
      labels: {
        ...mapAt(metadata, 'labels'),
        'apps.kubernetes.io/pod-index': String(ordinal),
        [REVISION_LABEL]: wanted.revision,
        'statefulset.kubernetes.io/pod-name': podName,
      },
      ownerReferences: [ownerReference(statefulSet)],
    },
    spec: {
      ...spec,
      hostname: podName,
      subdomain: mapAt(statefulSet, 'spec').serviceName,
      volumes: [...listAt(spec, 'volumes'), ...claimVolumes(wanted, ordinal)],
    },
  };
  createClaims(cluster, wanted, ordinal);
  cluster.create({ resource: resourceOf('Pod'), namespace, name: podName }, pod, WRITE);
}

function ownerReference(owner: StoredObject): JsonObject {
  const { name, uid } = owner.metadata;
  return { apiVersion: owner.apiVersion, kind: owner.kind, name, uid, controller: true, blockOwnerDeletion: true };
}

function claimName(wanted: Wanted, template: JsonObject, ordinal: number): string {
  return `${String(mapAt(template, 'metadata').name)}-${wanted.name}-${ordinal}`;
}

function claimVolumes(wanted: Wanted, ordinal: number): JsonObject[] {
  return wanted.claimTemplates.map((template) => ({
    name: mapAt(template, 'metadata').name,
    persistentVolumeClaim: { claimName: claimName(wanted, template, ordinal) },
  }));
}

/** Claims outlive their pods and the StatefulSet: one that is there already is used again. */
function createClaims(cluster: Cluster, wanted: Wanted, ordinal: number): void {
  const resource = resourceOf('PersistentVolumeClaim');
  const selected = mapAt(wanted.statefulSet, 'spec', 'selector', 'matchLabels');
  for (const template of wanted.claimTemplates) {
    const target = { resource, namespace: wanted.namespace, name: claimName(wanted, template, ordinal) };
    if (cluster.find(target) === undefined) {
      const metadata = mapAt(template, 'metadata');
      const labels = { ...mapAt(metadata, 'labels'), ...selected };
      const claim = { metadata: { ...metadata, name: target.name, labels }, spec: mapAt(template, 'spec') };
      cluster.create(target, claim, WRITE);
    }
  }
}

function writeStatus(cluster: Cluster, wanted: Wanted): void {
  const { statefulSet, name, namespace, revision, replicas } = wanted;
  const pods = podsOf(cluster, wanted);
  const updated = pods.filter((pod) => pod.metadata.labels?.[REVISION_LABEL] === revision).length;
  const ready = pods.filter((pod) => isTrue(pod, 'Ready')).length;
  const before = mapAt(statefulSet, 'status').currentRevision;
  const isComplete = before === undefined || (wanted.rollsOut && updated === replicas && ready === replicas);
  const currentRevision = isComplete ? revision : before;
  const current = pods.filter((pod) => pod.metadata.labels?.[REVISION_LABEL] === currentRevision).length;
  const status = {
    observedGeneration: statefulSet.metadata.generation,
    replicas: pods.length,
    ...(ready === 0 ? {} : { readyReplicas: ready }),
    ...(current === 0 ? {} : { currentReplicas: current }),
    ...(updated === 0 ? {} : { updatedReplicas: updated }),
    currentRevision,
    updateRevision: revision,
    collisionCount: 0,
    availableReplicas: ready,
  };
  cluster.updateStatus({ resource: resourceOf('StatefulSet'), namespace, name }, MANAGER, status);
}

function podsOf(cluster: Cluster, wanted: Wanted): StoredObject[] {
  const { uid } = wanted.statefulSet.metadata;
  return cluster.store
    .list(resourceOf('Pod'), wanted.namespace)
    .filter((pod) => pod.metadata.ownerReferences?.some((owner) => owner.uid === uid))
    .sort((left, right) => ordinalOf(left) - ordinalOf(right));
}

function ordinalOf(pod: StoredObject): number {
  return Number(pod.metadata.name.split('-').at(-1));
}

function deletePod(cluster: Cluster, pod: StoredObject): void {
  cluster.store.remove(resourceOf('Pod'), pod.metadata.namespace ?? '', pod.metadata.name);
}
