import { IMAGE_CACHE_NAMESPACE } from '../../desired/image-cache.ts';
import { ZONE_LABEL } from '../../desired/labels.ts';
import { PRIORITY_CLASS } from '../../desired/scheduling.ts';
import { isInsistedOn } from '../../inputs/insisted.ts';
import type { InputName, Inputs } from '../../inputs/table.ts';
import type { KubeObject } from '../../kube/object.ts';
import { Problem } from '../../problem.ts';
import type { Adaptation } from '../../report/run-report.ts';
import type { Target } from './preflight.ts';

/** What the target gives the desired state, and what it gives in another's place. */
export interface Adapted {
  /** The StorageClass of the volumes: that of those that exist, else the one for new ones. */
  storageClassName: string;
  priorityClassName: string | null;
  adaptations: Adaptation[];
}

/** What an input asks for and the target does not have. */
interface Lack {
  wanted: string;
  /** Null: nothing may take its place, which is an error. */
  instead: string | null;
  reason: string;
  next: string;
}

/** An API that a feature needs, which the target may not serve. */
interface Feature {
  /** The input that asks for it; any of them insists on it by another value than its default. */
  inputs: readonly InputName[];
  isAsked: (inputs: Inputs) => boolean;
  isThere: (target: Target, storageClass: KubeObject | undefined) => boolean;
  wanted: string;
  /** Absent: nothing can take its place. */
  instead?: string;
  /** Why it is missing, where that says more than that it is; by the name of the StorageClass. */
  reason?: (storageClass: string) => string;
  next: string;
}

const serves = (api: string) => (target: Target) => target.apis.has(api);

/** topolvm's pvc-autoresizer leaves alone what is not of such a class: https://github.com/topolvm/pvc-autoresizer */
const RESIZE_ANNOTATION = 'resize.topolvm.io/enabled';

const FEATURES: readonly Feature[] = [
  {
    inputs: ['monitoring_enabled'],
    isAsked: ({ monitoring_enabled }) => monitoring_enabled,
    isThere: serves('monitoring.coreos.com/v1'),
    wanted: 'the Prometheus operator (monitoring.coreos.com/v1)',
    next: 'Install it with its CustomResourceDefinitions, or set the input monitoring_enabled: false.',
  },
  {
    inputs: ['vpa_enabled'],
    isAsked: ({ vpa_enabled }) => vpa_enabled,
    isThere: ({ hasAutoscaler }) => hasAutoscaler,
    wanted: 'the VerticalPodAutoscaler (release 1.1 or later)',
    instead: 'the memory that minimum_memory_mb asks for',
    next: 'Install it, or set the input vpa_enabled: false.',
  },
  {
    inputs: ['panfactum_scheduler_enabled'],
    isAsked: ({ panfactum_scheduler_enabled }) => panfactum_scheduler_enabled,
    isThere: serves('kyverno.io/v1'),
    wanted: "Kyverno (kyverno.io/v1) with Panfactum's policies for its scheduler",
    instead: "the cluster's own scheduler",
    next: 'Install it, or set the input panfactum_scheduler_enabled: false.',
  },
  {
    inputs: ['pull_through_cache_enabled'],
    isAsked: (inputs) => inputs.pull_through_cache_enabled && inputs.pull_through_registry === null,
    isThere: serves('kyverno.io/v1'),
    wanted: "Kyverno (kyverno.io/v1) with Panfactum's policies for its pull-through cache",
    next: 'Set the input pull_through_registry, and the images are named at that registry here.',
  },
  {
    inputs: ['persistence_backups_enabled'],
    isAsked: ({ persistence_backups_enabled }) => persistence_backups_enabled,
    isThere: serves('velero.io/v1'),
    wanted: 'Velero (velero.io/v1)',
    instead: 'no backups of the data volumes',
    next: 'Install it, or set the input persistence_backups_enabled: false.',
  },
  {
    inputs: [
      'persistence_storage_limit_gb',
      'persistence_storage_increase_gb',
      'persistence_storage_increase_threshold_percent',
    ],
    isAsked: () => true,
    isThere: (_, storageClass) =>
      storageClass?.metadata.annotations?.[RESIZE_ANNOTATION] === 'true' && storageClass.allowVolumeExpansion === true,
    wanted: 'a StorageClass whose volumes the pvc-autoresizer grows',
    instead: 'data volumes that keep their size',
    reason: (storageClass) => `StorageClass ${storageClass} is not such a one`,
    next: `Install the pvc-autoresizer and have the StorageClass allow it (allowVolumeExpansion: true, annotation ${RESIZE_ANNOTATION}: "true"), or leave the inputs persistence_storage_limit_gb and persistence_storage_increase_* at their defaults.`,
  },
  {
    inputs: ['zone_spread'],
    isAsked: ({ zone_spread, replicas }) => zone_spread === 'required' && replicas > 1,
    isThere: ({ hasZones }) => hasZones,
    wanted: `zones (label ${ZONE_LABEL} on nodes)`,
    instead: 'servers on different nodes as far as there are enough',
    next: 'Label the nodes with their zones, or set the input zone_spread: off.',
  },
  {
    inputs: ['node_image_cached_enabled'],
    isAsked: ({ node_image_cached_enabled }) => node_image_cached_enabled,
    isThere: ({ imageCaches }) => imageCaches.length > 0,
    wanted: `the node image cache (ConfigMaps in namespace ${IMAGE_CACHE_NAMESPACE})`,
    instead: 'images that nodes pull when a pod starts there',
    next: 'Install it, or set the input node_image_cached_enabled: false.',
  },
  {
    inputs: [],
    isAsked: () => true,
    isThere: ({ priorityClass }) => priorityClass !== null,
    wanted: `PriorityClass ${PRIORITY_CLASS}`,
    instead: "the cluster's default priority",
    next: `Create it (kubectl create priorityclass ${PRIORITY_CLASS} --value=100000).`,
  },
];

/**
 * Settles what takes the place of what the target lacks. Throws, naming everything at once, where something is missing
 * that was insisted on or that nothing can take the place of.
 *
 * @param volumesClass the StorageClass of volumes that exist; null before the first install
 */
export function adapt(inputs: Inputs, target: Target, volumesClass: string | null): Adapted {
  const storage: Choice =
    volumesClass === null ? chooseStorageClass(inputs, target.storageClasses) : { name: volumesClass };
  const chosen = target.storageClasses.find(({ metadata }) => metadata.name === storage.name);
  const lacks = [
    ...(storage.lack ? [storage.lack] : []),
    ...FEATURES.filter((feature) => feature.isAsked(inputs) && !feature.isThere(target, chosen)).map(
      (feature): Lack => ({
        ...feature,
        instead: isReplaceable(inputs, feature) ? (feature.instead ?? null) : null,
        reason: `${feature.reason?.(storage.name) ?? 'The cluster does not have it'}${inputs.adapt ? '' : ', and adapt is false'}.`,
        next: `${feature.next}${inputs.adapt ? '' : ' Or set the input adapt: true.'}`,
      }),
    ),
  ];
  const missing = lacks.filter(({ instead }) => instead === null);
  if (missing.length > 0) throw missingProblem(missing);
  return {
    storageClassName: storage.name,
    priorityClassName: target.priorityClass === null ? null : PRIORITY_CLASS,
    adaptations: lacks.flatMap(({ wanted, instead }) => (instead === null ? [] : { wanted, instead })),
  };
}

function isReplaceable(inputs: Inputs, feature: Feature): boolean {
  return inputs.adapt && !feature.inputs.some((input) => isInsistedOn(inputs, input));
}

function missingProblem(missing: Lack[]): Problem {
  const [only, ...others] = missing;
  if (only !== undefined && others.length === 0) {
    return new Problem({ kind: 'target', tried: `Looking for ${only.wanted}`, reason: only.reason, next: only.next });
  }
  return new Problem({
    kind: 'target',
    tried: 'Looking for what the inputs ask of the cluster',
    reason: `${missing.length} things are missing; nothing was written.`,
    findings: missing.map(({ wanted, next }) => `${wanted}: ${next}`),
    next: 'Do what each line says, or leave these inputs at their defaults with adapt: true: the cluster then does without.',
  });
}

interface Choice {
  name: string;
  lack?: Lack;
}

/** The wanted class, or the default class in its place where it was not insisted on. */
function chooseStorageClass(inputs: Inputs, classes: KubeObject[]): Choice {
  const wanted = inputs.persistence_storage_class_name;
  const names = classes.map(({ metadata }) => metadata.name);
  if (names.includes(wanted)) return { name: wanted };
  const standard = classes.find(
    ({ metadata }) => metadata.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true',
  )?.metadata.name;
  const insisted = isInsistedOn(inputs, 'persistence_storage_class_name');
  const lack: Lack = {
    wanted: `StorageClass ${wanted}`,
    instead: insisted || standard === undefined ? null : `the default class ${standard}`,
    reason: `It does not exist${insisted ? '' : ', and no class is marked as the default'}.`,
    next: `Set the input persistence_storage_class_name to one that exists: ${names.join(', ') || 'the cluster has none'}. It cannot be changed later.`,
  };
  return { name: standard ?? wanted, lack };
}
