import { isJsonObject, type Json, type JsonObject } from '../../src/json.ts';

/**
 * How server-side apply merges lists and maps, by field name: what the kinds that this simulator knows declare as
 * x-kubernetes-list-type and x-kubernetes-map-type (from k8s.io/client-go 0.34.4, applyconfigurations/internal, and the
 * CRDs of cert-manager 1.21.2). Lists that are not named here are atomic, maps are granular.
 */
const LIST_KEYS: { [field: string]: string[] } = {
  conditions: ['type'],
  containers: ['name'],
  env: ['name'],
  ephemeralContainers: ['name'],
  hostAliases: ['ip'],
  imagePullSecrets: ['name'],
  initContainers: ['name'],
  ownerReferences: ['uid'],
  secrets: ['name'],
  topologySpreadConstraints: ['topologyKey', 'whenUnsatisfiable'],
  volumeDevices: ['devicePath'],
  volumeMounts: ['mountPath'],
  volumes: ['name'],
};
const CONTAINER_PORT_KEYS = ['containerPort', 'protocol'];
const SERVICE_PORT_KEYS = ['port', 'protocol'];
const SETS = new Set(['finalizers']);
const ATOMIC_MAPS = new Set([
  'configMapKeyRef',
  'dataSource',
  'fieldRef',
  'labelSelector',
  'nodeSelector',
  'podSelector',
  'requiredDuringSchedulingIgnoredDuringExecution',
  'resourceFieldRef',
  'roleRef',
  'secretKeyRef',
  'secretRef',
  'selector',
]);
/** Stands for the field name of an item of a list whose items are atomic. */
export const ATOMIC_ITEM = '[atomic]';
const LISTS_OF_ATOMIC_MAPS = new Set(['imagePullSecrets', 'ownerReferences', 'secrets']);
/** A key field that is left out of a list item counts with this value. */
const KEY_DEFAULTS: { [field: string]: Json } = { protocol: 'TCP' };

export type ListType = { type: 'atomic' } | { type: 'set' } | { type: 'map'; keys: string[] };

/** The merge type of the list in the field `name`; `items` tells container ports from Service ports. */
export function listType(name: string, items: Json[]): ListType {
  if (SETS.has(name)) {
    return { type: 'set' };
  }
  const keys = name === 'ports' ? portKeys(items) : LIST_KEYS[name];
  return keys === undefined || !items.every(isJsonObject) ? { type: 'atomic' } : { type: 'map', keys };
}

/** Whether the map in the field `name` is replaced as a whole. */
export function isAtomicMap(name: string): boolean {
  return name === ATOMIC_ITEM || ATOMIC_MAPS.has(name);
}

/** Whether the items of the associative list `name` are replaced as a whole. */
export function hasAtomicItems(name: string): boolean {
  return LISTS_OF_ATOMIC_MAPS.has(name);
}

/** The item's path element as managedFields spells it: k:{"containerPort":4222,"protocol":"TCP"} or v:"a". */
export function itemElement(type: ListType, item: Json): string {
  if (type.type !== 'map' || !isJsonObject(item)) {
    return `v:${JSON.stringify(item)}`;
  }
  const keys: JsonObject = {};
  for (const key of type.keys) {
    const value = item[key] ?? KEY_DEFAULTS[key];
    if (value !== undefined) {
      keys[key] = value;
    }
  }
  return `k:${JSON.stringify(keys)}`;
}

function portKeys(items: Json[]): string[] {
  const first = items[0];
  return isJsonObject(first) && 'containerPort' in first ? CONTAINER_PORT_KEYS : SERVICE_PORT_KEYS;
}
