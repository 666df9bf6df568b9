import { WINDOW_START } from '../../desired/disruption.ts';
import { IMAGE_CACHE_NAMESPACE } from '../../desired/image-cache.ts';
import { images } from '../../desired/images.ts';
import { selectorLabels } from '../../desired/labels.ts';
import { issuerName } from '../../desired/names.ts';
import { type ImmutableFields, liveObject, type TargetFacts } from '../../desired/state.ts';
import { RESTART_HASH } from '../../desired/statefulset.ts';
import { dataTemplate } from '../../desired/storage.ts';
import type { Inputs } from '../../inputs/table.ts';
import { dig, digObjects, digText, isJsonObject } from '../../json.ts';
import { type KubeReader, labelSelector } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { bytesOf } from '../../kube/quantity.ts';
import { REPORT_PATHS } from '../../nats/health.ts';
import { CONFIG_FILE, PORTS } from '../../nats/layout.ts';
import type { RunningServers } from '../../nats/restart.ts';
import { resolveVersions } from '../../nats/versions.ts';
import { Problem } from '../../problem.ts';
import type { Adaptation } from '../../report/run-report.ts';
import { adapt } from '../access/adaptation.ts';
import { findImageCaches, type Target } from '../access/preflight.ts';
import { isModuleCluster } from '../adoption/adoption.ts';
import { boundVolumes, dataClaims } from '../claims.ts';
import { recordedLeftovers, recordedNamespaces } from '../inventory.ts';
import { lastGoodOf } from '../last-good.ts';
import { isOwn } from '../ownership.ts';
import { checkDowngrade } from '../refusals/downgrade.ts';
import { checkImmutable } from '../refusals/immutable.ts';
import { checkLastServer, checkScaling, type Scaled, serversOf } from '../refusals/scaling.ts';

/** What was read, and what takes the place of what is missing. */
export interface Findings {
  facts: TargetFacts;
  adaptations: Adaptation[];
}

/**
 * Reads what the desired state of the cluster `name` depends on. Throws where the target lacks what was insisted on.
 *
 * @param inventory what the last run recorded; null before the first
 */
export async function gatherFacts(
  kube: KubeReader,
  inputs: Inputs,
  target: Target,
  name: string,
  inventory: KubeObject | null,
): Promise<Findings> {
  const { namespace } = inputs;
  const wasCached = recordedNamespaces(inventory).includes(IMAGE_CACHE_NAMESPACE);
  const [statefulSet, issuer, claims, budget, imageCaches] = await Promise.all([
    kube.get('StatefulSet', namespace, name),
    kube.get('Issuer', namespace, issuerName(name, 'admin')),
    dataClaims(kube, namespace, name),
    kube.get('PodDisruptionBudget', namespace, name),
    wasCached && target.imageCaches.length === 0 ? findImageCaches(kube) : target.imageCaches,
  ]);
  const adopted =
    recordedLeftovers(inventory) !== null ||
    // Whoever names it asks for it: no name that is found or derived is one of the module's.
    (statefulSet !== null && isModuleCluster(statefulSet, namespace, name));
  const isKnown = statefulSet !== null && (adopted || isOwn(statefulSet, namespace, name));
  const own = isKnown ? statefulSet : null;
  // Only a connection to the servers could ask them, which is more than a plan may do.
  const asksServers = inputs.mode !== 'plan';
  let downgradeFrom: string | null = null;
  if (own !== null || statefulSet === null) {
    const cluster = scaled(inputs, name, own, claims);
    await (asksServers ? checkScaling(kube, inputs, cluster) : checkLastServer(inputs, cluster));
    const lastGood = lastGoodOf(inventory)?.inputs ?? null;
    const wanted = { ...inputs, image: images(inputs, resolveVersions(inputs)).nats };
    if (asksServers)
      downgradeFrom = await checkDowngrade(kube, { namespace, name, statefulSet: own, lastGood }, wanted);
  }
  if (issuer !== null) checkMount(inputs, issuer);
  const immutable = statefulSet === null ? null : immutableFields(statefulSet);
  if (own !== null && immutable !== null) checkImmutable(inputs, name, immutable);
  const volumesClass = immutable === null ? null : digText(dataTemplate(immutable), 'spec', 'storageClassName');
  const { adaptations, ...adapted } = adapt(inputs, target, volumesClass);
  return {
    facts: {
      name,
      ...adapted,
      verticalPodAutoscaler: target.hasAutoscaler,
      hasKarpenter: target.apis.has('karpenter.sh/v1'),
      hasZones: target.hasZones,
      immutable,
      claims: claims.map(liveObject),
      running:
        statefulSet === null ? null : await (asksServers ? runningServers : configuredServers)(kube, statefulSet),
      imageCaches: imageCaches.map(liveObject),
      windowStart: budget?.metadata.annotations?.[WINDOW_START] ?? null,
      downgradeFrom,
      volumeBytes: smallestVolume(claims),
      adopted,
      clusterUid: target.clusterUid,
    },
    adaptations,
  };
}

function scaled(inputs: Inputs, name: string, statefulSet: KubeObject | null, claims: KubeObject[]): Scaled {
  const live = Number(dig(statefulSet?.spec, 'replicas') ?? 0);
  const servers = serversOf(live, boundVolumes(claims), inputs.replicas);
  return { namespace: inputs.namespace, name, servers, isRunning: live > 0 };
}

/** cert-manager would go on with the old CA's certificates until each is renewed: clients and servers would part. */
function checkMount({ vault_internal_pki_backend_mount_path: wanted, namespace }: Inputs, issuer: KubeObject): void {
  const [live = ''] = digText(issuer.spec, 'vault', 'path').split('/sign/');
  if (live === wanted) return;
  throw new Problem({
    kind: 'target',
    tried: `Changing the PKI mount of Issuer ${namespace}/${issuer.metadata.name} from ${live} to ${wanted}`,
    reason: 'Clients and servers would trust different CAs until all their certificates are renewed.',
    next: `Nothing was written. Set the input vault_internal_pki_backend_mount_path back to ${live}, or make a cluster of another name at the new mount.`,
  });
}

/** What the API server lets nobody change, without what it added itself to the claim templates. */
export function immutableFields({ spec }: KubeObject): ImmutableFields {
  const selector = dig(spec, 'selector');
  return {
    podManagementPolicy: digText(spec, 'podManagementPolicy'),
    serviceName: digText(spec, 'serviceName'),
    selector: isJsonObject(selector) ? selector : {},
    volumeClaimTemplates: digObjects(spec, 'volumeClaimTemplates').map(({ status: _status, ...template }) => template),
  };
}

/** What the servers of the StatefulSet's present template say of their storage; older ones are being replaced anyway. */
export async function runningServers(kube: KubeReader, { metadata, spec }: KubeObject): Promise<RunningServers> {
  const { name, namespace = '' } = metadata;
  const mark = digText(spec, 'template', 'metadata', 'annotations', RESTART_HASH);
  const pods = await kube.list('Pod', namespace, { labels: labelSelector(selectorLabels(name)) });
  const current = pods.filter((pod) => pod.metadata.annotations?.[RESTART_HASH] === mark);
  const reports = await Promise.all(
    current.map((pod) => kube.getFromPod(namespace, pod.metadata.name, PORTS.monitoring, REPORT_PATHS.jsz)),
  );
  const largest = (limit: string) =>
    Math.max(0, ...reports.map((report) => Number(dig(report ?? undefined, 'config', limit) ?? 0)));
  return { mark, memoryStoreBytes: largest('max_memory'), fileStoreBytes: largest('max_storage') };
}

/** The same by the nats.conf that the servers were given, for who does not ask them. */
async function configuredServers(kube: KubeReader, { metadata, spec }: KubeObject): Promise<RunningServers> {
  const { name, namespace = '' } = metadata;
  const mark = digText(spec, 'template', 'metadata', 'annotations', RESTART_HASH);
  const config = digText((await kube.get('ConfigMap', namespace, name))?.data, CONFIG_FILE);
  const bytesAt = (setting: string) => Number(new RegExp(`\\b${setting}\\W+(\\d+)`).exec(config)?.[1] ?? 0);
  return { mark, memoryStoreBytes: bytesAt('max_memory_store'), fileStoreBytes: bytesAt('max_file_store') };
}

/** Bytes of the smallest data volume by the claims' status; null before one is bound. */
function smallestVolume(claims: KubeObject[]): number | null {
  const bound = claims.map((claim) => digText(claim.status, 'capacity', 'storage')).filter((storage) => storage !== '');
  return bound.length === 0 ? null : Math.min(...bound.map(bytesOf));
}
