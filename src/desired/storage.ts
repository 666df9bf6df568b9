import { isInsistedOn } from '../inputs/insisted.ts';
import type { Inputs } from '../inputs/table.ts';
import { digText, type JsonObject } from '../json.ts';
import type { KubeObject } from '../kube/object.ts';
import { bytesOf } from '../kube/quantity.ts';
import { EDITS_BY_HAND, MANAGER } from '../manager.ts';
import { commonLabels, type Labels, selectorLabels } from './labels.ts';
import type { Names } from './names.ts';
import { quantity } from './quantity.ts';
import { panfactumPodLabels } from './scheduling.ts';
import type { ImmutableFields, LiveObject, Notice, Share, TargetFacts } from './state.ts';

/** The name of the data volume in a pod and of its claim template: the claims are `data-<pod>`. */
export const DATA_VOLUME = 'data';

const PVC_GROUP = 'panfactum.com/pvc-group';

const GIB = 1024 ** 3;

/** How many times its initial size a volume may have, where no limit is set: as in the module. */
const GROWTH = 10;

/**
 * Who makes claims from a StatefulSet's template, by the names that its controller has as a field manager: that of its
 * own program, or of the one that k3s and MicroK8s run it in.
 */
const CLAIM_MAKERS = ['kube-controller-manager', 'k3s', 'kubelite'];

/** Who gives the claims of the Terraform module's clusters their metadata, by its policies. */
const KYVERNO = ['kyverno', 'background-controller'];

/**
 * The claims of a new StatefulSet. It can never change them: so no label that an input may change, as a label could not
 * be taken back from a claim that is made anew. The annotations are what is right now; the next run corrects them.
 */
export function volumeClaimTemplates(inputs: Inputs, names: Names, storageClassName: string): JsonObject[] {
  return [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: {
        name: DATA_VOLUME,
        labels: { ...selectorLabels(names.cluster), [PVC_GROUP]: pvcGroup(names) },
        annotations: claimAnnotations(inputs, inputs.persistence_initial_storage_gb * GIB),
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
export function claimMetadata(inputs: Inputs, names: Names, facts: TargetFacts): Share[] {
  const labels = claimLabels(inputs, names);
  const annotations = claimAnnotations(inputs, bytesAtCreation(inputs, facts.immutable));
  const takesFrom = [...CLAIM_MAKERS, ...EDITS_BY_HAND, ...(facts.adopted ? KYVERNO : [])];
  return facts.claims.map((claim) => claimShare(names, claim, labels, annotations, takesFrom));
}

/** No member of the inventory, as `kubectl apply --prune` would delete it with the data. */
function claimShare(
  { namespace }: Names,
  claim: LiveObject,
  labels: Labels,
  annotations: Labels,
  takesFrom: string[],
): Share {
  return {
    object: {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { ...claim, namespace, labels, annotations },
    },
    manager: MANAGER,
    takesFrom,
  };
}

/** Velero goes by a label, and only by its value "true": https://velero.io/docs/v1.18/resource-filtering/ */
function claimLabels(inputs: Inputs, names: Names): Labels {
  return {
    ...commonLabels(inputs, names.cluster),
    ...panfactumPodLabels(inputs, names.cluster),
    [PVC_GROUP]: pvcGroup(names),
    ...(inputs.persistence_backups_enabled ? {} : { 'velero.io/exclude-from-backup': 'true' }),
  };
}

/**
 * What topolvm's pvc-autoresizer goes by (https://github.com/topolvm/pvc-autoresizer#how-to-use), also to give a new
 * server's volume the size that the others have grown to; and the mark by which Panfactum tells what is backed up.
 *
 * @param initialBytes what the volumes are or were made with
 */
function claimAnnotations(inputs: Inputs, initialBytes: number): Labels {
  const limit = inputs.persistence_storage_limit_gb ?? Math.ceil((initialBytes * GROWTH) / GIB);
  return {
    'resize.topolvm.io/initial-resize-group-by': PVC_GROUP,
    'resize.topolvm.io/storage_limit': `${limit}Gi`,
    'resize.topolvm.io/increase': `${inputs.persistence_storage_increase_gb}Gi`,
    'resize.topolvm.io/threshold': `${inputs.persistence_storage_increase_threshold_percent}%`,
    'velero.io/exclude-from-backups': `${!inputs.persistence_backups_enabled}`,
  };
}

/** What the inputs insist on for volumes that exist already and keep the size they were made with. */
export function ignoredStorage(inputs: Inputs, live: ImmutableFields): Notice[] {
  const input = 'persistence_initial_storage_gb';
  const [wanted, actual] = [initialSize(inputs), sizeAtCreation(live)];
  if (actual === '' || actual === wanted || !isInsistedOn(inputs, input)) return [];
  const message = `Ignored: the volumes were made with ${actual}, not ${wanted}, and this cannot change afterwards.`;
  return [{ severity: 'notice', input, message }];
}

/**
 * The claims that a StatefulSet's controller is about to make, as this action will leave them: for a plan, as an apply gives
 * them their labels only once they exist.
 */
export function comingClaims(inputs: Inputs, names: Names, facts: TargetFacts): KubeObject[] {
  const templates =
    facts.immutable?.volumeClaimTemplates ?? volumeClaimTemplates(inputs, names, facts.storageClassName);
  const spec = templates.find((template) => digText(template, 'metadata', 'name') === DATA_VOLUME)?.spec;
  if (spec === undefined) return [];
  const existing = facts.claims.map(({ name }) => name);
  const all = Array.from({ length: inputs.replicas }, (_, ordinal) => `${DATA_VOLUME}-${names.cluster}-${ordinal}`);
  const claims = all.filter((name) => !existing.includes(name)).map((name) => ({ name, uid: '' }));
  return claimMetadata(inputs, names, { ...facts, claims }).map(
    ({
      object: {
        metadata: { uid: _, ...metadata },
        ...object
      },
    }) => ({
      ...object,
      metadata,
      spec,
    }),
  );
}

/** The claim template of the data volumes. */
export function dataTemplate({ volumeClaimTemplates }: ImmutableFields): JsonObject | undefined {
  return volumeClaimTemplates.find((template) => digText(template, 'metadata', 'name') === DATA_VOLUME);
}

/** "1Gi"; '' where the StatefulSet has no data volumes. */
function sizeAtCreation(live: ImmutableFields): string {
  return digText(dataTemplate(live), 'spec', 'resources', 'requests', 'storage');
}

/** Bytes that the data volumes were made with, or will be: the input tells it of new ones only. */
export function bytesAtCreation(inputs: Inputs, live: ImmutableFields | null): number {
  const size = live === null ? '' : sizeAtCreation(live);
  return size === '' ? inputs.persistence_initial_storage_gb * GIB : bytesOf(size);
}

function initialSize(inputs: Inputs): string {
  return quantity(inputs.persistence_initial_storage_gb * 1024);
}

/** The label by which the volumes of one cluster are told, on claims of any age. */
export function claimGroup(namespace: string, cluster: string): Labels {
  return { [PVC_GROUP]: pvcGroup({ namespace, cluster }) };
}

/** A label's value holds 63 characters; the end of it alone is unique within the namespace. */
function pvcGroup({ namespace, cluster }: Pick<Names, 'namespace' | 'cluster'>): string {
  return `${namespace}.${cluster}`.slice(-63).replace(/^[^a-z0-9]+/, '');
}
