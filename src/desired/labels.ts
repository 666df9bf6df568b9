import type { Inputs } from '../inputs/table.ts';
import type { ObjectMeta } from '../kube/object.ts';
import { MANAGER } from '../manager.ts';
import { inventoryId, MEMBER_LABEL } from './apply-set.ts';
import type { Names } from './names.ts';

export interface Labels {
  [key: string]: string;
}

/** On nodes: the zone they are in. */
export const ZONE_LABEL = 'topology.kubernetes.io/zone';

export const MANAGED_BY = 'app.kubernetes.io/managed-by';

/** What selects the pods of one cluster; immutable in its StatefulSet. */
export function selectorLabels(cluster: string): Labels {
  return { 'app.kubernetes.io/name': 'nats', 'app.kubernetes.io/instance': cluster };
}

/** What every object carries: the labels input, under which nothing of this action's own can be replaced. */
export function commonLabels(inputs: Inputs, cluster: string): Labels {
  return { ...inputs.labels, ...selectorLabels(cluster), [MANAGED_BY]: MANAGER };
}

/** Metadata of an object of this cluster, a member of its inventory. */
export function metadata(inputs: Inputs, names: Names, name: string): ObjectMeta {
  const member = { [MEMBER_LABEL]: inventoryId(names.namespace, names.cluster) };
  return { name, namespace: names.namespace, labels: { ...commonLabels(inputs, names.cluster), ...member } };
}
