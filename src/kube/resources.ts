import type { KubeObject } from './object.ts';

/** A kind that this action handles, and where the API server serves it. */
export interface Resource {
  apiVersion: string;
  kind: string;
  plural: string;
  namespaced: boolean;
}

const namespaced = (apiVersion: string, kind: string, plural: string): Resource => ({
  apiVersion,
  kind,
  plural,
  namespaced: true,
});
const clusterScoped = (apiVersion: string, kind: string, plural: string): Resource => ({
  apiVersion,
  kind,
  plural,
  namespaced: false,
});

/** The API of VerticalPodAutoscalers. */
export const AUTOSCALING = 'autoscaling.k8s.io/v1';

/** Every kind that a run reads or writes: known here, so that no run spends requests on discovery. */
export const RESOURCES = {
  Namespace: clusterScoped('v1', 'Namespace', 'namespaces'),
  Node: clusterScoped('v1', 'Node', 'nodes'),
  StorageClass: clusterScoped('storage.k8s.io/v1', 'StorageClass', 'storageclasses'),
  PriorityClass: clusterScoped('scheduling.k8s.io/v1', 'PriorityClass', 'priorityclasses'),
  ClusterIssuer: clusterScoped('cert-manager.io/v1', 'ClusterIssuer', 'clusterissuers'),
  ConfigMap: namespaced('v1', 'ConfigMap', 'configmaps'),
  Secret: namespaced('v1', 'Secret', 'secrets'),
  Service: namespaced('v1', 'Service', 'services'),
  ServiceAccount: namespaced('v1', 'ServiceAccount', 'serviceaccounts'),
  PersistentVolumeClaim: namespaced('v1', 'PersistentVolumeClaim', 'persistentvolumeclaims'),
  Pod: namespaced('v1', 'Pod', 'pods'),
  Event: namespaced('v1', 'Event', 'events'),
  Job: namespaced('batch/v1', 'Job', 'jobs'),
  CronJob: namespaced('batch/v1', 'CronJob', 'cronjobs'),
  Deployment: namespaced('apps/v1', 'Deployment', 'deployments'),
  DaemonSet: namespaced('apps/v1', 'DaemonSet', 'daemonsets'),
  Ingress: namespaced('networking.k8s.io/v1', 'Ingress', 'ingresses'),
  StatefulSet: namespaced('apps/v1', 'StatefulSet', 'statefulsets'),
  PodDisruptionBudget: namespaced('policy/v1', 'PodDisruptionBudget', 'poddisruptionbudgets'),
  NetworkPolicy: namespaced('networking.k8s.io/v1', 'NetworkPolicy', 'networkpolicies'),
  Role: namespaced('rbac.authorization.k8s.io/v1', 'Role', 'roles'),
  RoleBinding: namespaced('rbac.authorization.k8s.io/v1', 'RoleBinding', 'rolebindings'),
  Lease: namespaced('coordination.k8s.io/v1', 'Lease', 'leases'),
  Issuer: namespaced('cert-manager.io/v1', 'Issuer', 'issuers'),
  Certificate: namespaced('cert-manager.io/v1', 'Certificate', 'certificates'),
  Policy: namespaced('kyverno.io/v1', 'Policy', 'policies'),
  VerticalPodAutoscaler: namespaced(AUTOSCALING, 'VerticalPodAutoscaler', 'verticalpodautoscalers'),
  PodMonitor: namespaced('monitoring.coreos.com/v1', 'PodMonitor', 'podmonitors'),
  PrometheusRule: namespaced('monitoring.coreos.com/v1', 'PrometheusRule', 'prometheusrules'),
} satisfies { [kind: string]: Resource };

export type Kind = keyof typeof RESOURCES;

/** Whether the kind is in the table. */
export function isKind(kind: string): kind is Kind {
  return Object.hasOwn(RESOURCES, kind);
}

/** Throws for a kind that is not in the table: a defect of this action, never of its user. */
export function kindOf({ kind }: Pick<KubeObject, 'kind'>): Kind {
  if (!isKind(kind)) throw new Error(`${kind} is not in the table of resources`);
  return kind;
}

export function resourceOf(object: Pick<KubeObject, 'kind'>): Resource {
  return RESOURCES[kindOf(object)];
}

/** The API group, '' for the core: "cert-manager.io". */
export function groupOf(resource: Resource): string {
  return resource.apiVersion.includes('/') ? (resource.apiVersion.split('/')[0] ?? '') : '';
}

/** The path of the collection, or of the object `name` in it. */
export function pathOf(resource: Resource, namespace: string | undefined, name?: string): string {
  const root = groupOf(resource) === '' ? `/api/${resource.apiVersion}` : `/apis/${resource.apiVersion}`;
  const scope = resource.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  const item = name === undefined ? '' : `/${encodeURIComponent(name)}`;
  return `${root}${scope}/${resource.plural}${item}`;
}
