import { isInsistedOn } from '../inputs/insisted.ts';
import type { Inputs } from '../inputs/table.ts';
import { digText, type JsonObject } from '../json.ts';
import { selectorLabels } from './labels.ts';
import type { Names } from './names.ts';
import { quantity } from './quantity.ts';
import type { ImmutableFields, Notice, Share, TargetFacts } from './state.ts';

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

/** The metadata of the claims that exist: what the autoresizer and Velero go by, as the inputs say it now. */
export function claimMetadata(_inputs: Inputs, _names: Names, _facts: TargetFacts): Share[] {
  return [];
}

/** What the inputs insist on for volumes that exist already and keep what they were made with. */
export function ignoredStorage(inputs: Inputs, live: ImmutableFields): Notice[] {
  const claim = live.volumeClaimTemplates.find((template) => digText(template, 'metadata', 'name') === DATA_VOLUME);
  const fixed = [
    {
      input: 'persistence_initial_storage_gb',
      wanted: initialSize(inputs),
      actual: digText(claim, 'spec', 'resources', 'requests', 'storage'),
    },
    {
      input: 'persistence_storage_class_name',
      wanted: inputs.persistence_storage_class_name,
      actual: digText(claim, 'spec', 'storageClassName'),
    },
  ] as const;
  return fixed
    .filter(({ input, wanted, actual }) => actual !== '' && actual !== wanted && isInsistedOn(inputs, input))
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
