import type { Inputs } from '../inputs/table.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import { selectorLabels } from './labels.ts';
import type { Names } from './names.ts';
import { quantity } from './quantity.ts';
import type { ImmutableFields, Notice } from './state.ts';

export const DATA_VOLUME = 'data';

const PVC_GROUP = 'panfactum.com/pvc-group';

/**
 * The claims of a new StatefulSet. It can never change them: so no label that an input may change, but what topolvm's
 * pvc-autoresizer needs to give a new server's volume the size that the others have grown to.
 */
export function volumeClaimTemplates(inputs: Inputs, names: Names, storageClassName: string): JsonObject[] {
  return [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: {
        name: DATA_VOLUME,
        labels: { ...selectorLabels(names.cluster), [PVC_GROUP]: pvcGroup(names) },
        annotations: { 'resize.topolvm.io/initial-resize-group-by': PVC_GROUP },
      },
      spec: {
        accessModes: ['ReadWriteOnce'],
        volumeMode: 'Filesystem',
        storageClassName,
        resources: { requests: { storage: initialSize(inputs) } },
      },
    },
  ];
}

/** What the inputs ask of volumes that exist and keep what they were made with. */
export function ignoredStorage(inputs: Inputs, storageClassName: string, live: ImmutableFields): Notice[] {
  const claim = live.volumeClaimTemplates.find((template) => at(template, 'metadata', 'name') === DATA_VOLUME);
  const comparisons = [
    {
      input: 'persistence_initial_storage_gb',
      wanted: initialSize(inputs),
      actual: at(claim, 'spec', 'resources', 'requests', 'storage'),
    },
    {
      input: 'persistence_storage_class_name',
      wanted: storageClassName,
      actual: at(claim, 'spec', 'storageClassName'),
    },
  ];
  return comparisons
    .filter(({ wanted, actual }) => actual !== undefined && actual !== wanted)
    .map(({ input, wanted, actual }) => ({
      severity: 'notice',
      input,
      message: `Ignored: the volumes were made with ${actual}, not ${wanted}, and this cannot change afterwards.`,
    }));
}

function initialSize(inputs: Inputs): string {
  return quantity(inputs.persistence_initial_storage_gb * 1024);
}

/** A label's value holds 63 characters; the end of it alone is unique within the namespace. */
function pvcGroup({ namespace, cluster }: Names): string {
  return `${namespace}.${cluster}`.slice(-63).replace(/^[^a-z0-9]+/, '');
}

/** The string at a path of keys; undefined where there is none. */
function at(object: JsonObject | undefined, ...keys: string[]): string | undefined {
  const [key = '', ...rest] = keys;
  const value = object?.[key];
  if (rest.length > 0) return isJsonObject(value) ? at(value, ...rest) : undefined;
  return typeof value === 'string' ? value : undefined;
}
