import { ID_LABEL, inventoryId, MEMBER_LABEL } from '../desired/apply-set.ts';
import { isJsonObject, type Json } from '../json.ts';
import type { KubeObject } from '../kube/object.ts';
import { MANAGER } from '../manager.ts';

/**
 * Whether an earlier run for this cluster made the object: it carries the label of the cluster's inventory; where somebody
 * took the label away, the fields that this action applied still tell. The inventory of another cluster is that one's.
 */
export function isOwn(live: KubeObject, namespace: string, cluster: string): boolean {
  const labels = live.metadata.labels ?? {};
  const member = labels[MEMBER_LABEL];
  if (member !== undefined) return member === inventoryId(namespace, cluster);
  return labels[ID_LABEL] === undefined && appliedBy(live, MANAGER) !== undefined;
}

/** The fields that a manager has applied; undefined where it has none. */
export function appliedBy({ metadata: { managedFields } }: KubeObject, manager: string): Json | undefined {
  const managers = Array.isArray(managedFields) ? managedFields.filter(isJsonObject) : [];
  return managers.find((entry) => entry.manager === manager && entry.operation === 'Apply')?.fieldsV1;
}
