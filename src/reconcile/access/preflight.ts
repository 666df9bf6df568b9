import { IMAGE_CACHE_NAMESPACE, IMAGE_CACHES } from '../../desired/image-cache.ts';
import { ZONE_LABEL } from '../../desired/labels.ts';
import { PRIORITY_CLASS } from '../../desired/scheduling.ts';
import type { Inputs } from '../../inputs/table.ts';
import { dig, isJsonObject } from '../../json.ts';
import type { Access, KubeReader } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { AUTOSCALING } from '../../kube/resources.ts';
import { Problem } from '../../problem.ts';
import { checkPermissions } from './access-check.ts';
import { imageCacheAccess, namespaceAccess, neededAccess } from './permissions.ts';

/** The oldest minor line whose API has all that is applied: unhealthyPodEvictionPolicy and StatefulSet PVC retention. */
const OLDEST_KUBERNETES = { major: 1, minor: 27 };

/** What the target cluster is like. */
export interface Target {
  kubernetesVersion: string;
  /** uid of the kube-system namespace: tells this cluster from any other. */
  clusterUid: string;
  namespaceExists: boolean;
  /** API groups with their versions: "autoscaling.k8s.io/v1". */
  apis: ReadonlySet<string>;
  /** Whether any node is in a zone: those of clouds are, those of kind and the like are not. */
  hasZones: boolean;
  /** Whether VerticalPodAutoscalers know all that is set in one; not looked at where none is wanted. */
  hasAutoscaler: boolean;
  storageClasses: KubeObject[];
  priorityClass: KubeObject | null;
  /** The ConfigMaps by which nodes hold images in advance, as far as they exist. */
  imageCaches: KubeObject[];
  /** What an apply would be refused for, and does not hinder a plan; null: nothing. */
  refusal: Problem | null;
}

/**
 * Looks at the target, side by side and without a write. Rejects with what is wrong with it.
 *
 * @param vaultAccess what reaching Vault needs, when it goes through the API server
 */
export async function inspectTarget(kube: KubeReader, inputs: Inputs, vaultAccess: Access[]): Promise<Target> {
  const { namespace } = inputs;
  const kubernetesVersion = await kube.serverVersion();
  checkKubernetesVersion(kubernetesVersion);
  const apis = await kube.servedApis();
  const hasImageCache = inputs.node_image_cached_enabled && (await isNamespace(kube, IMAGE_CACHE_NAMESPACE));
  await checkPermissions(kube, [
    ...neededAccess(inputs, apis),
    ...(hasImageCache ? imageCacheAccess(inputs) : []),
    ...vaultAccess,
  ]);
  const [kubeSystem, existing, hasZones, hasAutoscaler, storageClasses, priorityClass, imageCaches, refusal] =
    await Promise.all([
      kube.get('Namespace', undefined, 'kube-system'),
      kube.get('Namespace', undefined, namespace),
      areInZones(kube),
      inputs.vpa_enabled && apis.has(AUTOSCALING) ? canBeAskedForMore(kube) : false,
      kube.list('StorageClass', undefined),
      kube.get('PriorityClass', undefined, PRIORITY_CLASS),
      hasImageCache ? findImageCaches(kube) : [],
      lackOfIssuer(kube, inputs.certificate_issuer, apis),
    ]);
  if (refusal !== null && inputs.mode !== 'plan') throw refusal;
  checkNamespace(inputs, existing);
  return {
    kubernetesVersion,
    clusterUid: String(kubeSystem?.metadata.uid ?? ''),
    namespaceExists: existing !== null,
    apis,
    hasZones,
    hasAutoscaler,
    storageClasses,
    priorityClass,
    imageCaches,
    refusal,
  };
}

/** False also for who may not look: that he may not is told with all the other permissions that he lacks. */
async function isNamespace(kube: KubeReader, name: string): Promise<boolean> {
  return (await kube.isAllowed(namespaceAccess())) && (await kube.get('Namespace', undefined, name)) !== null;
}

/** Whether the nodes are in zones: as long as there is no node at all, they are supposed to be. */
async function areInZones(kube: KubeReader): Promise<boolean> {
  const [zoned, any] = await Promise.all([
    kube.list('Node', undefined, { labels: ZONE_LABEL, limit: 1 }),
    kube.list('Node', undefined, { limit: 1 }),
  ]);
  return zoned.length > 0 || any.length === 0;
}

/** Releases before 1.1 do not take the field by which a server is moved only to give it more. */
async function canBeAskedForMore(kube: KubeReader): Promise<boolean> {
  const schemas = dig((await kube.openApi(AUTOSCALING)) ?? undefined, 'components', 'schemas');
  const [, schema] =
    Object.entries(isJsonObject(schemas) ? schemas : {}).find(([name]) => name.endsWith('.VerticalPodAutoscaler')) ??
    [];
  const updatePolicy = ['properties', 'spec', 'properties', 'updatePolicy', 'properties'];
  return dig(schema, ...updatePolicy, 'evictionRequirements', 'items', 'properties', 'resources') !== undefined;
}

/** The ConfigMaps of the node image cache, as far as they exist. */
export async function findImageCaches(kube: KubeReader): Promise<KubeObject[]> {
  const found = await Promise.all(IMAGE_CACHES.map((name) => kube.get('ConfigMap', IMAGE_CACHE_NAMESPACE, name)));
  return found.filter((cache) => cache !== null);
}

function checkKubernetesVersion(version: string): void {
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(version) ?? [];
  const isSameMajor = Number(major) === OLDEST_KUBERNETES.major;
  if (isSameMajor ? Number(minor) >= OLDEST_KUBERNETES.minor : Number(major) > OLDEST_KUBERNETES.major) return;
  throw new Problem({
    kind: 'target',
    tried: 'Checking the version of Kubernetes',
    reason: `It is ${version}; this action needs ${OLDEST_KUBERNETES.major}.${OLDEST_KUBERNETES.minor} or later.`,
    next: 'Upgrade the cluster.',
  });
}

/** What is missing for certificates to be issued; null: nothing. */
async function lackOfIssuer(
  kube: KubeReader,
  clusterIssuer: string | null,
  apis: ReadonlySet<string>,
): Promise<Problem | null> {
  if (!apis.has('cert-manager.io/v1')) {
    return new Problem({
      kind: 'target',
      tried: 'Looking for cert-manager',
      reason: 'The cluster does not serve cert-manager.io/v1: cert-manager is not installed.',
      next: 'Install cert-manager 1.16 or later (https://cert-manager.io/docs/installation/) and run again; nothing was written.',
    });
  }
  if (clusterIssuer === null || (await kube.get('ClusterIssuer', undefined, clusterIssuer)) !== null) return null;
  return new Problem({
    kind: 'target',
    tried: `Looking for ClusterIssuer ${clusterIssuer}`,
    reason: 'It does not exist.',
    next: 'Set the input certificate_issuer to one that exists (kubectl get clusterissuers), or leave it empty: the cluster then gets Issuers of its own.',
  });
}

function checkNamespace({ namespace, create_namespace }: Inputs, existing: KubeObject | null): void {
  const terminating = dig(existing ?? undefined, 'status', 'phase') === 'Terminating';
  if (terminating || (existing === null && !create_namespace)) {
    throw new Problem({
      kind: 'target',
      tried: `Looking for namespace ${namespace}`,
      reason: terminating ? 'It is being deleted.' : 'It does not exist.',
      next: terminating
        ? 'Wait until it is gone and run again, with create_namespace: true.'
        : `Set the input create_namespace: true, or create it: kubectl create namespace ${namespace}`,
    });
  }
}
