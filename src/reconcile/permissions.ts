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
export async function checkPermissions(
  kube: KubeClient,
  accesses: Access[],
  tried = "Checking the kubeconfig identity's permissions",
): Promise<void> {
  const allowed = await Promise.all(accesses.map((access) => kube.isAllowed(access)));
  const missing = accesses.filter((_, index) => allowed[index] === false);
  if (missing.length === 0) return;
  throw new Problem({
    kind: 'permission',
    tried,
    reason: `${missing.length} ${missing.length === 1 ? 'is' : 'are'} missing; nothing was written.`,
    findings: rulesFor(missing),
    next: [GRANT, ...(missing.some(isOptional) ? [SPARE] : [])].join(' '),
  });
}

const GRANT =
  'Add each rule to a Role in the namespace it names (to a ClusterRole where it names none), bound to the identity of the kubeconfig: see docs/permissions.md.';

const SPARE =
  'What a feature alone needs is spared by switching it off: vpa_enabled, monitoring_enabled, voluntary_disruption_window_enabled, node_image_cached_enabled.';

/** Whether a feature needs it that an input can switch off. */
function isOptional({ group, resource, namespace }: Access): boolean {
  const kinds = OPTIONAL.flatMap((optional) => optional.kinds);
  const isKind = kinds.some((kind) => RESOURCES[kind].plural === resource && groupOf(RESOURCES[kind]) === group);
  return isKind || namespace === IMAGE_CACHE_NAMESPACE;
}

/** One line a resource, in YAML: { apiGroups: ["apps"], resources: [statefulsets], verbs: [create, patch] } # namespace demo */
function rulesFor(accesses: Access[]): string[] {
  const rules = new Map<string, { rule: string; scope: string; verbs: string[] }>();
  for (const { group, resource, namespace, name, verb } of accesses) {
    const names = name === undefined ? '' : `, resourceNames: ["${name}"]`;
    const rule = `apiGroups: ["${group}"], resources: [${resource}]${names}`;
    const scope = namespace === undefined ? '' : ` # namespace ${namespace}`;
    const { verbs } = rules.get(rule + scope) ?? { verbs: [] };
    rules.set(rule + scope, { rule, scope, verbs: [...verbs, verb] });
  }
  return [...rules.values()].map(({ rule, scope, verbs }) => `{ ${rule}, verbs: [${verbs.join(', ')}] }${scope}`);
}
