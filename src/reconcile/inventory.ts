import { createHash } from 'node:crypto';
import { type Labels, MANAGED_BY } from '../desired/labels.ts';
import { type KubeClient, labelSelector } from '../kube/client.ts';
import type { KubeObject } from '../kube/object.ts';
import { groupOf, type Kind, RESOURCES, resourceOf } from '../kube/resources.ts';
import { MANAGER } from '../manager.ts';

/**
 * The inventory is an ApplySet (KEP-3659): a ConfigMap whose labels and annotations tell which objects belong to the
 * cluster, so that `kubectl get` and `kubectl apply --prune` read it as well.
 */
const ID_LABEL = 'applyset.kubernetes.io/id';
export const MEMBER_LABEL = 'applyset.kubernetes.io/part-of';
const TOOLING_ANNOTATION = 'applyset.kubernetes.io/tooling';
const KINDS_ANNOTATION = 'applyset.kubernetes.io/contains-group-kinds';

const NAME_SUFFIX = '-inventory';

export function inventoryName(cluster: string): string {
  return `${cluster}${NAME_SUFFIX}`;
}

/** Who deployed: kept with the cluster, so that a reader at 2 a.m. finds the workflow run. */
export interface Deployment {
  actionVersion: string;
  repository: string;
  commit: string;
  runUrl: string;
}

/** `applyset-<base64url(sha256("<name>.<namespace>.<kind>.<group>"))>-v1` */
export function applySetId(parent: { name: string; namespace: string; kind: string; group: string }): string {
  const text = [parent.name, parent.namespace, parent.kind, parent.group].join('.');
  return `applyset-${createHash('sha256').update(text).digest('base64url')}-v1`;
}

export function inventoryId(namespace: string, name: string): string {
  return applySetId({ name: inventoryName(name), namespace, kind: 'ConfigMap', group: '' });
}

/** The objects with the label that makes them members of the cluster's inventory. */
export function asMembers(objects: KubeObject[], namespace: string, name: string): KubeObject[] {
  const id = inventoryId(namespace, name);
  return objects.map((object) => ({
    ...object,
    metadata: { ...object.metadata, labels: { ...object.metadata.labels, [MEMBER_LABEL]: id } },
  }));
}

/** "Certificate.cert-manager.io" for each kind among the objects, sorted: the form of the ApplySet specification. */
export function groupKindsOf(objects: KubeObject[]): string[] {
  const all = objects.map((object) => {
    const group = groupOf(resourceOf(object));
    return group === '' ? object.kind : `${object.kind}.${group}`;
  });
  return [...new Set(all)].sort();
}

/** Hold data, or other people's objects: never removed, whatever the inventory says. */
const KEPT: Kind[] = ['PersistentVolumeClaim', 'Namespace'];

/** The kinds that the last run recorded and that may be pruned; those this version does not know are left alone. */
export function recordedKinds(inventory: KubeObject | null): Kind[] {
  const recorded = inventory?.metadata.annotations?.[KINDS_ANNOTATION]?.split(',') ?? [];
  const names = recorded.map((groupKind) => groupKind.split('.')[0]);
  return Object.keys(RESOURCES)
    .filter((kind): kind is Kind => names.includes(kind))
    .filter((kind) => !KEPT.includes(kind));
}

/** The inventory object, naming the kinds and who deployed. */
export function renderInventory(
  namespace: string,
  name: string,
  labels: Labels,
  groupKinds: string[],
  deployment: Deployment,
): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: inventoryName(name),
      namespace,
      labels: { ...labels, [ID_LABEL]: inventoryId(namespace, name) },
      annotations: {
        [TOOLING_ANNOTATION]: `${MANAGER}/v${deployment.actionVersion}`,
        [KINDS_ANNOTATION]: groupKinds.join(','),
        'applyset.kubernetes.io/additional-namespaces': '',
      },
    },
    data: {
      repository: deployment.repository,
      commit: deployment.commit,
      'run-url': deployment.runUrl,
      'action-version': deployment.actionVersion,
    },
  };
}

/** Whether the inventory names exactly these kinds, so that the run has nothing to write to it. */
export function isCurrent(inventory: KubeObject | null, groupKinds: string[]): boolean {
  return inventory?.metadata.annotations?.[KINDS_ANNOTATION] === groupKinds.join(',');
}

/** The names of the clusters that this action made in the namespace, by their inventories. */
export async function clustersIn(kube: KubeClient, namespace: string): Promise<string[]> {
  const labels = `${labelSelector({ [MANAGED_BY]: MANAGER })},${ID_LABEL}`;
  const inventories = await kube.list('ConfigMap', namespace, { labels });
  return inventories
    .map(({ metadata }) => metadata.name)
    .filter((name) => name.endsWith(NAME_SUFFIX))
    .map((name) => name.slice(0, -NAME_SUFFIX.length));
}
