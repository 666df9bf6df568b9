import { createHash } from 'node:crypto';

/** On every object of a cluster: the id of the inventory that it is a member of. */
export const MEMBER_LABEL = 'applyset.kubernetes.io/part-of';

/** On an inventory: its id. */
export const ID_LABEL = 'applyset.kubernetes.io/id';

const NAME_SUFFIX = '-inventory';

/** The name of a cluster's inventory, a ConfigMap. */
export function inventoryName(cluster: string): string {
  return `${cluster}${NAME_SUFFIX}`;
}

/** The cluster whose inventory has this name; null for a name that no inventory has. */
export function clusterOfInventory(name: string): string | null {
  return name.endsWith(NAME_SUFFIX) ? name.slice(0, -NAME_SUFFIX.length) : null;
}

/** `applyset-<base64url(sha256("<name>.<namespace>.<kind>.<group>"))>-v1` (KEP-3659) */
export function applySetId(parent: { name: string; namespace: string; kind: string; group: string }): string {
  const text = [parent.name, parent.namespace, parent.kind, parent.group].join('.');
  return `applyset-${createHash('sha256').update(text).digest('base64url')}-v1`;
}

/** The id of a cluster's inventory: the value of its ID_LABEL, and of MEMBER_LABEL on the cluster's objects. */
export function inventoryId(namespace: string, cluster: string): string {
  return applySetId({ name: inventoryName(cluster), namespace, kind: 'ConfigMap', group: '' });
}
