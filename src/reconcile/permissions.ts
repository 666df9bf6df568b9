import { hasWindows } from '../desired/disruption.ts';
import { IMAGE_CACHE_NAMESPACE } from '../desired/image-cache.ts';
import type { Inputs } from '../inputs/table.ts';
import type { Access, KubeClient } from '../kube/client.ts';
import { groupOf, type Kind, RESOURCES } from '../kube/resources.ts';
import { Problem } from '../problem.ts';

const VERBS = ['get', 'list', 'create', 'patch', 'delete'];

/** What a run applies and removes on every cluster. */
const APPLIED: Kind[] = [
  'ConfigMap',
  'Service',
  'ServiceAccount',
  'Role',
  'RoleBinding',
  'NetworkPolicy',
  'PodDisruptionBudget',
  'StatefulSet',
  'Issuer',
  'Certificate',
];

/** What a run does to each kind in its namespace: https://kubernetes.io/docs/reference/access-authn-authz/authorization/#review-your-request-attributes */
const NEEDED: { kinds: Kind[]; subresource?: string; verbs: string[] }[] = [
  { kinds: APPLIED, verbs: VERBS },
  { kinds: ['Lease'], verbs: ['get', 'create', 'update'] },
  { kinds: ['Secret'], verbs: ['get'] },
  // Nobody may grant what he does not hold: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
  { kinds: ['ServiceAccount'], subresource: 'token', verbs: ['create'] },
  { kinds: ['Event'], verbs: ['list'] },
  { kinds: ['PersistentVolumeClaim'], verbs: ['get', 'list', 'patch'] },
  { kinds: ['Pod'], verbs: ['list', 'patch', 'delete'] },
  { kinds: ['Pod'], subresource: 'proxy', verbs: ['get'] },
  { kinds: ['Pod'], subresource: 'log', verbs: ['get'] },
  { kinds: ['Certificate'], subresource: 'status', verbs: ['patch'] },
];

/** Read once, cluster-wide: how the target is equipped. */
const CLUSTER_WIDE: { kind: Kind; verb: string }[] = [
  { kind: 'Namespace', verb: 'get' },
  { kind: 'Node', verb: 'list' },
  { kind: 'StorageClass', verb: 'list' },
  { kind: 'PriorityClass', verb: 'get' },
];

/** What a run applies where an input asks for it and the target serves it. */
const OPTIONAL: { kinds: Kind[]; isAsked: (inputs: Inputs) => boolean }[] = [
  { kinds: ['VerticalPodAutoscaler'], isAsked: ({ vpa_enabled }) => vpa_enabled },
  { kinds: ['PodMonitor', 'PrometheusRule'], isAsked: ({ monitoring_enabled }) => monitoring_enabled },
  { kinds: ['CronJob'], isAsked: hasWindows },
];

/** Each permission that a run on the namespace needs, as an access review asks for it. */
export function neededAccess(inputs: Inputs, apis: ReadonlySet<string>): Access[] {
  const { namespace, create_namespace, certificate_issuer } = inputs;
  const optional = OPTIONAL.filter(({ isAsked }) => isAsked(inputs))
    .flatMap(({ kinds }) => kinds)
    .filter((kind) => apis.has(RESOURCES[kind].apiVersion));
  const inNamespace = [...NEEDED, { kinds: optional, verbs: VERBS, subresource: undefined }].flatMap(
    ({ kinds, subresource, verbs }) =>
      kinds.flatMap((kind) => verbs.map((verb) => ({ ...accessTo(kind, verb, subresource), namespace }))),
  );
  return [
    ...inNamespace,
    ...CLUSTER_WIDE.map(({ kind, verb }) => accessTo(kind, verb)),
    ...(create_namespace ? [accessTo('Namespace', 'create')] : []),
    ...(certificate_issuer === null ? [] : [accessTo('ClusterIssuer', 'get')]),
  ];
}

/** What removing needs that an earlier run recorded, its kinds and other namespaces, and this one does not ask for. */
export function removalAccess(inputs: Inputs, kinds: Kind[], namespaces: string[]): Access[] {
  const dropped = OPTIONAL.filter(({ isAsked }) => !isAsked(inputs))
    .flatMap((optional) => optional.kinds)
    .filter((kind) => kinds.includes(kind));
  const removal = dropped.flatMap((kind) =>
    ['list', 'delete'].map((verb) => ({ ...accessTo(kind, verb), namespace: inputs.namespace })),
  );
  const leavesCache = !inputs.node_image_cached_enabled && namespaces.includes(IMAGE_CACHE_NAMESPACE);
  return [...removal, ...(leavesCache ? imageCacheAccess() : [])];
}

/** What looking whether a namespace exists needs. */
export function namespaceAccess(): Access {
  return accessTo('Namespace', 'get');
}

/** What listing the images in the cache of the target's nodes needs. */
export function imageCacheAccess(): Access[] {
  return ['get', 'patch'].map((verb) => ({ ...accessTo('ConfigMap', verb), namespace: IMAGE_CACHE_NAMESPACE }));
}

function accessTo(kind: Kind, verb: string, subresource?: string): Access {
  const resource = RESOURCES[kind];
  return {
    verb,
    group: groupOf(resource),
    resource: subresource === undefined ? resource.plural : `${resource.plural}/${subresource}`,
  };
}

/** Rejects with all missing permissions at once, as rules of a Role, before anything is written. */
export async function checkPermissions(kube: KubeClient, accesses: Access[]): Promise<void> {
  const allowed = await Promise.all(accesses.map((access) => kube.isAllowed(access)));
  const missing = accesses.filter((_, index) => allowed[index] === false);
  if (missing.length === 0) return;
  throw new Problem({
    kind: 'permission',
    tried: "Checking the kubeconfig identity's permissions",
    reason: `${missing.length} ${missing.length === 1 ? 'is' : 'are'} missing; nothing was written.`,
    findings: rulesFor(missing),
    next: 'Add each rule to a Role in the namespace it names (to a ClusterRole where it names none), bound to that identity.',
  });
}

/** One line a resource: "apiGroups: [apps], resources: [statefulsets], verbs: [create, patch]". */
function rulesFor(accesses: Access[]): string[] {
  const verbs = new Map<string, string[]>();
  for (const { group, resource, namespace, verb } of accesses) {
    const scope = namespace === undefined ? '' : ` (namespace ${namespace})`;
    const rule = `apiGroups: ["${group}"], resources: [${resource}]${scope}`;
    verbs.set(rule, [...(verbs.get(rule) ?? []), verb]);
  }
  return [...verbs].map(([rule, list]) => `${rule}, verbs: [${list.join(', ')}]`);
}
