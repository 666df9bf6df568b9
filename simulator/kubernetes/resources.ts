/** A kind of object that the simulated API server knows. */
export interface Resource {
  kind: string;
  group: string;
  version: string;
  plural: string;
  namespaced: boolean;
  /** Whether metadata.generation counts changes outside metadata and status. */
  generation: boolean;
}

const NAMESPACED: [group: string, version: string, kind: string, plural: string, generation: boolean][] = [
  ['', 'v1', 'ConfigMap', 'configmaps', false],
  ['', 'v1', 'Event', 'events', false],
  ['', 'v1', 'PersistentVolumeClaim', 'persistentvolumeclaims', false],
  ['', 'v1', 'Pod', 'pods', true],
  ['', 'v1', 'Secret', 'secrets', false],
  ['', 'v1', 'Service', 'services', false],
  ['', 'v1', 'ServiceAccount', 'serviceaccounts', false],
  ['apps', 'v1', 'DaemonSet', 'daemonsets', true],
  ['apps', 'v1', 'Deployment', 'deployments', true],
  ['apps', 'v1', 'StatefulSet', 'statefulsets', true],
  ['autoscaling.k8s.io', 'v1', 'VerticalPodAutoscaler', 'verticalpodautoscalers', true],
  ['batch', 'v1', 'CronJob', 'cronjobs', true],
  ['batch', 'v1', 'Job', 'jobs', true],
  ['cert-manager.io', 'v1', 'Certificate', 'certificates', true],
  ['cert-manager.io', 'v1', 'CertificateRequest', 'certificaterequests', true],
  ['cert-manager.io', 'v1', 'Issuer', 'issuers', true],
  ['coordination.k8s.io', 'v1', 'Lease', 'leases', false],
  ['kyverno.io', 'v1', 'Policy', 'policies', true],
  ['monitoring.coreos.com', 'v1', 'PodMonitor', 'podmonitors', true],
  ['monitoring.coreos.com', 'v1', 'PrometheusRule', 'prometheusrules', true],
  ['networking.k8s.io', 'v1', 'Ingress', 'ingresses', true],
  ['networking.k8s.io', 'v1', 'NetworkPolicy', 'networkpolicies', true],
  ['policy', 'v1', 'PodDisruptionBudget', 'poddisruptionbudgets', true],
  ['rbac.authorization.k8s.io', 'v1', 'Role', 'roles', false],
  ['rbac.authorization.k8s.io', 'v1', 'RoleBinding', 'rolebindings', false],
];
const CLUSTER_SCOPED: typeof NAMESPACED = [
  ['', 'v1', 'Namespace', 'namespaces', false],
  ['', 'v1', 'Node', 'nodes', false],
  ['cert-manager.io', 'v1', 'ClusterIssuer', 'clusterissuers', true],
  ['scheduling.k8s.io', 'v1', 'PriorityClass', 'priorityclasses', true],
  ['storage.k8s.io', 'v1', 'StorageClass', 'storageclasses', false],
];

export const RESOURCES: Resource[] = [
  ...NAMESPACED.map((row) => toResource(row, true)),
  ...CLUSTER_SCOPED.map((row) => toResource(row, false)),
];

export const CERT_MANAGER_GROUP = 'cert-manager.io';

/** API groups that a cluster serves only where somebody has installed them. */
const ADDED_GROUPS = [CERT_MANAGER_GROUP, 'autoscaling.k8s.io', 'kyverno.io', 'monitoring.coreos.com'];

/** Whether it is defined by a CustomResourceDefinition. */
export function isCustom({ group }: Resource): boolean {
  return ADDED_GROUPS.includes(group);
}

/** The resources that a cluster with these added API groups serves. */
export function servedResources(addedGroups: readonly string[]): Resource[] {
  return RESOURCES.filter(({ group }) => !ADDED_GROUPS.includes(group) || addedGroups.includes(group));
}

function toResource(
  [group, version, kind, plural, generation]: (typeof NAMESPACED)[number],
  namespaced: boolean,
): Resource {
  return { group, version, kind, plural, namespaced, generation };
}

/** The resource of a kind in the table; asking for another kind is a defect of the simulator. */
export function resourceOf(kind: string): Resource {
  const resource = RESOURCES.find((candidate) => candidate.kind === kind);
  if (resource === undefined) {
    throw new Error(`the simulator knows no kind ${kind}`);
  }
  return resource;
}

export function apiVersionOf(resource: Resource): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

/** "statefulsets.apps", "configmaps": how API errors name a resource. */
export function qualifiedName(resource: Resource): string {
  return resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`;
}
