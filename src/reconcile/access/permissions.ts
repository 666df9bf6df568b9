import { hasWindows } from '../../desired/disruption.ts';
import { IMAGE_CACHE_NAMESPACE, IMAGE_CACHES } from '../../desired/image-cache.ts';
import { PRIORITY_CLASS } from '../../desired/scheduling.ts';
import type { Inputs } from '../../inputs/table.ts';
import type { Access } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { groupOf, type Kind, kindOf, RESOURCES } from '../../kube/resources.ts';

/**
 * What a mode sends about objects, in verbs of the Kubernetes API; a mode that is not named sends nothing. Server-side apply is a patch, and a create as well where
 * it makes the object: https://kubernetes.io/docs/reference/using-api/server-side-apply/
 */
type Verbs = { readonly [mode in Inputs['mode']]?: readonly string[] };

/** A rule of a Role or ClusterRole: the preflight asks for it, and docs/permissions.md has it. */
export interface Rule {
  /** Of one API group. */
  kinds: readonly Kind[];
  subresource?: string;
  verbs: Verbs;
  /** The only objects that it is about, where their names are known before a run. */
  names?: (inputs: Inputs) => readonly (string | null)[];
  /** Whether the inputs ask for it; always by default. */
  isAsked?: (inputs: Inputs) => boolean;
  /** In which case alone it is needed, for docs/permissions.md. */
  when?: string;
  /** What it is for, where the kind does not tell. */
  why?: string;
}

const READ = ['get', 'list'];
const LASTING: Verbs = { apply: ['get', 'list', 'create', 'patch'], plan: READ, destroy: ['list', 'delete'] };
/** Of kinds that other inputs, or a feature that is switched off, may leave over. */
const REMOVABLE: Verbs = {
  apply: ['get', 'list', 'create', 'patch', 'delete'],
  plan: READ,
  destroy: ['list', 'delete'],
};

/** Whether the namespace is looked through for what is left in it: for these kinds, by API group, beside those of clusters. */
const LOOKED_THROUGH: Kind[][] = [['Secret'], ['Lease'], ['Deployment', 'DaemonSet'], ['Job', 'CronJob'], ['Ingress']];
const deletesNamespace = ({ delete_namespace }: Inputs) => delete_namespace;
const WITH_NAMESPACE = 'With delete_namespace only.';

/** What keeps a namespace from being deleted with a cluster, whosever it is. */
export const KEEPING_NAMESPACE: Kind[] = [
  ...(['StatefulSet', 'Pod', 'PersistentVolumeClaim', 'ConfigMap', 'Service', 'Issuer', 'Certificate'] as const),
  ...LOOKED_THROUGH.flat(),
];

/** In the cluster's namespace, of every cluster. */
export const IN_NAMESPACE: Rule[] = [
  { kinds: ['ConfigMap'], verbs: { ...REMOVABLE, destroy: ['get', 'list', 'delete'] } },
  { kinds: ['ServiceAccount'], verbs: REMOVABLE },
  { kinds: ['Service'], verbs: LASTING },
  { kinds: ['StatefulSet'], verbs: LASTING },
  { kinds: ['PodDisruptionBudget'], verbs: LASTING },
  { kinds: ['NetworkPolicy'], verbs: REMOVABLE },
  { kinds: ['Role', 'RoleBinding'], verbs: REMOVABLE },
  { kinds: ['Issuer', 'Certificate'], verbs: REMOVABLE },
  { kinds: ['Certificate'], subresource: 'status', verbs: { apply: ['patch'] }, why: 'asks again after a refusal' },
  {
    kinds: ['Lease'],
    verbs: { apply: ['get', 'create', 'update'], destroy: ['get', 'create', 'update', 'delete'] },
    why: 'the lock',
  },
  { kinds: ['Secret'], verbs: { apply: ['get'] }, why: 'certificates, to verify them' },
  { kinds: ['Secret'], verbs: { destroy: ['get', 'delete'] }, why: 'those of Certificates, which stay else' },
  {
    kinds: ['ServiceAccount'],
    subresource: 'token',
    verbs: { apply: ['create'] },
    // https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
    why: 'granted to cert-manager: nobody may grant what he does not hold',
  },
  { kinds: ['Event'], verbs: { apply: ['list'] }, why: 'tell why a pod does not start' },
  {
    kinds: ['PersistentVolumeClaim'],
    verbs: { apply: ['get', 'list', 'patch'], plan: READ },
    why: 'their labels and annotations',
  },
  { kinds: ['PersistentVolumeClaim'], verbs: { destroy: ['list'] }, why: 'tell what is kept' },
  { kinds: ['Pod'], verbs: { apply: ['list', 'patch', 'delete'] }, why: 'reload, and restart one at a time' },
  { kinds: ['Pod'], verbs: { destroy: ['list', 'delete'] }, why: 'wait for them, and those without an owner' },
  // A WebSocket begins as a GET, and takes create as well from Kubernetes 1.35 on: https://kep.k8s.io/4006
  { kinds: ['Pod'], subresource: 'portforward', verbs: { apply: ['get', 'create'] }, why: 'health of the servers' },
  { kinds: ['Pod'], subresource: 'log', verbs: { apply: ['get'] }, why: 'tell why a server does not start' },
  {
    kinds: ['PersistentVolumeClaim'],
    verbs: { destroy: ['delete'] },
    isAsked: ({ delete_data }) => delete_data,
    when: 'With delete_data only.',
  },
  ...LOOKED_THROUGH.map((kinds) => ({
    kinds,
    verbs: { destroy: ['list'] },
    isAsked: deletesNamespace,
    when: WITH_NAMESPACE,
  })),
];

/** In the cluster's namespace, where inputs ask for it and the target serves the kinds. */
export const OPTIONAL: (Rule & Required<Pick<Rule, 'isAsked'>>)[] = [
  {
    kinds: ['VerticalPodAutoscaler'],
    verbs: REMOVABLE,
    isAsked: ({ vpa_enabled }) => vpa_enabled,
    when: 'Where the cluster has VerticalPodAutoscalers, unless vpa_enabled is false.',
  },
  {
    kinds: ['PodMonitor', 'PrometheusRule'],
    verbs: REMOVABLE,
    isAsked: ({ monitoring_enabled }) => monitoring_enabled,
    when: 'Where the cluster has the Prometheus operator, with monitoring_enabled only.',
  },
  {
    kinds: ['CronJob'],
    verbs: REMOVABLE,
    isAsked: hasWindows,
    when: 'With voluntary_disruption_window_enabled only.',
  },
];

/** In the cluster's namespace, of a cluster that the Terraform module made, until nothing is left of the module's. */
export const OF_MODULE: Rule[] = [
  {
    kinds: ['Secret'],
    verbs: { apply: ['list'] },
    why: "Helm's releases, by their labels",
  },
  ...(['CronJob', 'VerticalPodAutoscaler', 'Policy'] as const).map((kind) => ({
    kinds: [kind],
    verbs: { apply: ['get'] },
  })),
  ...(['Secret', 'PodDisruptionBudget', 'CronJob', 'VerticalPodAutoscaler', 'Policy'] as const).map((kind) => ({
    kinds: [kind],
    verbs: { apply: ['delete'] },
    isAsked: ({ remove_module_leftovers }: Inputs) => remove_module_leftovers,
    why: 'with remove_module_leftovers only',
  })),
];

/** How the target is equipped. */
export const CLUSTER_WIDE: Rule[] = [
  { kinds: ['Namespace'], verbs: { apply: ['get'], plan: ['get'], destroy: ['get'] } },
  { kinds: ['Node'], verbs: { apply: ['list'], plan: ['list'] }, why: 'whether any has a zone' },
  { kinds: ['StorageClass'], verbs: { apply: ['list'], plan: ['list'] } },
  { kinds: ['PriorityClass'], verbs: { apply: ['get'], plan: ['get'] }, names: () => [PRIORITY_CLASS] },
  {
    kinds: ['ClusterIssuer'],
    verbs: { apply: ['get'], plan: ['get'] },
    names: ({ certificate_issuer }) => [certificate_issuer],
    isAsked: ({ certificate_issuer }) => certificate_issuer !== null,
    when: 'With certificate_issuer only, here "internal".',
  },
  {
    kinds: ['Namespace'],
    verbs: { apply: ['create'] },
    isAsked: ({ create_namespace }) => create_namespace,
    when: 'With create_namespace only.',
  },
  {
    kinds: ['Namespace'],
    verbs: { destroy: ['delete'] },
    isAsked: deletesNamespace,
    when: WITH_NAMESPACE,
  },
];

/** In the namespace of the node image cache. */
export const IN_IMAGE_CACHE: Rule[] = [
  {
    kinds: ['ConfigMap'],
    verbs: { apply: ['get', 'patch'], plan: ['get'], destroy: ['get', 'patch'] },
    names: () => IMAGE_CACHES,
  },
];

/** Each permission that a run on the namespace needs, as an access review asks for it. */
export function neededAccess(inputs: Inputs, apis: ReadonlySet<string>): Access[] {
  const optional = OPTIONAL.map(({ kinds, ...rule }) => ({
    ...rule,
    kinds: kinds.filter((kind) => isServed(kind, apis)),
  }));
  return [...accessesOf([...IN_NAMESPACE, ...optional], inputs, inputs.namespace), ...clusterWideAccess(inputs)];
}

/** What looking for the Terraform module's leftovers needs, and removing them. */
export function adoptionAccess(inputs: Inputs, apis: ReadonlySet<string>): Access[] {
  const served = OF_MODULE.map(({ kinds, ...rule }) => ({
    ...rule,
    kinds: kinds.filter((kind) => isServed(kind, apis)),
  }));
  return accessesOf(served, inputs, inputs.namespace);
}

/** How what is wanted no more is found and removed. */
const REMOVAL: Verbs = { apply: ['list', 'delete'], plan: ['list'] };

/** What removing needs that an earlier run recorded, its kinds and other namespaces, and this one does not ask for. */
export function removalAccess(inputs: Inputs, kinds: Kind[], namespaces: string[]): Access[] {
  const dropped = OPTIONAL.filter(({ isAsked }) => !isAsked(inputs))
    .flatMap((optional) => optional.kinds)
    .filter((kind) => kinds.includes(kind));
  const removal = dropped.flatMap((kind) =>
    (REMOVAL[inputs.mode] ?? []).map((verb) => accessTo(kind, verb, inputs.namespace)),
  );
  const leavesCache = !inputs.node_image_cached_enabled && namespaces.includes(IMAGE_CACHE_NAMESPACE);
  return [...removal, ...(leavesCache ? imageCacheAccess(inputs) : [])];
}

/** What removing any cluster needs in its namespace. */
export function destroyAccess(inputs: Inputs): Access[] {
  return accessesOf(IN_NAMESPACE, inputs, inputs.namespace);
}

/** What removing objects of these kinds needs. */
export function kindAccess(inputs: Inputs, kinds: Kind[]): Access[] {
  return accessesOf([{ kinds, verbs: LASTING }], inputs, inputs.namespace);
}

/** What a look at the target as a whole needs. */
export function clusterWideAccess(inputs: Inputs): Access[] {
  return accessesOf(CLUSTER_WIDE, inputs);
}

/** What removing these objects needs: that of another release may be of a kind that this one never removes. */
export function removalOf(objects: KubeObject[]): Access[] {
  const accesses = objects.map((object) => accessTo(kindOf(object), 'delete', object.metadata.namespace));
  return [...new Map(accesses.map((access) => [`${access.group}/${access.resource}`, access])).values()];
}

/** What looking whether a namespace exists needs. */
export function namespaceAccess(): Access {
  return accessTo('Namespace', 'get');
}

/** What listing the images in the cache of the target's nodes needs. */
export function imageCacheAccess(inputs: Inputs): Access[] {
  return accessesOf(IN_IMAGE_CACHE, inputs, IMAGE_CACHE_NAMESPACE);
}

/** Whether a feature needs it that an input can switch off. */
export function isOptional({ group, resource, namespace }: Access): boolean {
  const kinds = OPTIONAL.flatMap((optional) => optional.kinds);
  const isKind = kinds.some((kind) => RESOURCES[kind].plural === resource && groupOf(RESOURCES[kind]) === group);
  return isKind || namespace === IMAGE_CACHE_NAMESPACE;
}

function isServed(kind: Kind, apis: ReadonlySet<string>): boolean {
  return groupOf(RESOURCES[kind]) === '' || apis.has(RESOURCES[kind].apiVersion);
}

function accessesOf(rules: Rule[], inputs: Inputs, namespace?: string): Access[] {
  return rules
    .filter(({ isAsked }) => isAsked?.(inputs) ?? true)
    .flatMap(({ kinds, subresource, verbs, names }) =>
      kinds.flatMap((kind) =>
        (verbs[inputs.mode] ?? []).flatMap((verb) =>
          (names?.(inputs) ?? [null]).map((name) => accessTo(kind, verb, namespace, subresource, name)),
        ),
      ),
    );
}

function accessTo(
  kind: Kind,
  verb: string,
  namespace?: string,
  subresource?: string,
  name: string | null = null,
): Access {
  return {
    verb,
    group: groupOf(RESOURCES[kind]),
    resource: resourceText(kind, subresource),
    ...(namespace === undefined ? {} : { namespace }),
    ...(name === null ? {} : { name }),
  };
}

/** As RBAC names it: "pods", "pods/log". */
export function resourceText(kind: Kind, subresource?: string): string {
  const { plural } = RESOURCES[kind];
  return subresource === undefined ? plural : `${plural}/${subresource}`;
}
