import { ID_LABEL, inventoryId, inventoryName } from '../../desired/apply-set.ts';
import { everything } from '../../desired/everything.ts';
import { IMAGE_CACHE_NAMESPACE } from '../../desired/image-cache.ts';
import { type DesiredVault, liveObject, type Share } from '../../desired/state.ts';
import type { Inputs } from '../../inputs/table.ts';
import { dig, digText } from '../../json.ts';
import { type Access, describe, type KubeReader } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { groupOf, type Kind, RESOURCES } from '../../kube/resources.ts';
import { Problem } from '../../problem.ts';
import { checkPermissions } from '../access/access-check.ts';
import { clusterWideAccess, destroyAccess, imageCacheAccess, kindAccess, OPTIONAL } from '../access/permissions.ts';
import { findImageCaches } from '../access/preflight.ts';
import type { RunContext } from '../context.ts';
import { recordedKinds, recordedNamespaces, recordedVault, unknownKinds, type VaultScope } from '../inventory.ts';
import { claimsOf, claimText, type DataClaims, hasOwner, isMember, NO_CLAIMS } from './members.ts';
import { isTerminating } from './namespace.ts';
import { everythingLeft, heldShares, LASTING_KINDS, type Removal } from './removal.ts';

/** The target of a run that removes a cluster. */
export interface Site {
  kubernetesVersion: string;
  /** uid of the kube-system namespace. */
  clusterUid: string;
  apis: ReadonlySet<string>;
  /** Whether the namespace exists, and is not being deleted. */
  namespaceExists: boolean;
  terminating: boolean;
}

/** Looks at the target, which need not have anything that a cluster needs. */
export async function inspectSite(kube: KubeReader, inputs: Inputs): Promise<Site> {
  const kubernetesVersion = await kube.serverVersion();
  await checkPermissions(kube, clusterWideAccess(inputs));
  const [apis, kubeSystem, namespace] = await Promise.all([
    kube.servedApis(),
    kube.get('Namespace', undefined, 'kube-system'),
    kube.get('Namespace', undefined, inputs.namespace),
  ]);
  const terminating = namespace !== null && isTerminating(namespace);
  // In a namespace that goes or is gone nobody may have a Role any more.
  const namespaceExists = namespace !== null && !terminating;
  if (namespaceExists) await checkPermissions(kube, destroyAccess(inputs));
  return { kubernetesVersion, clusterUid: String(kubeSystem?.metadata.uid ?? ''), apis, namespaceExists, terminating };
}

/** What there is of a cluster, and where it has to be looked for. */
export interface Remains {
  removal: Removal;
  inventory: KubeObject | null;
  claims: DataClaims;
  /** Fields in objects of others, empty: they take back what it has there. */
  shares: Share[];
  /** Where it may have objects in Vault, one for each mount and auth method. */
  vault: DesiredVault[];
}

/** Finds out what there is of it. Throws where it must not be removed, or where permissions are missing. */
export async function findRemains(context: RunContext, site: Site): Promise<Remains> {
  const { kube, inputs, namespace, name } = context;
  const inventory = site.namespaceExists ? await kube.get('ConfigMap', namespace, inventoryName(name)) : null;
  if (inventory !== null) checkInventory(context, inventory);
  const [kinds, imageCaches] = await Promise.all([
    site.namespaceExists ? kindsToRemove(context, site, inventory) : [],
    findCaches(context, inventory),
  ]);
  const remembered = { name, clusterUid: site.clusterUid, imageCaches: imageCaches.map(liveObject) };
  const anywhere = everything(inputs, { ...remembered, ...ofInputs(inputs) });
  const names = new Set(
    anywhere.objects.map(({ kind, metadata }) => describe(kind, metadata.namespace, metadata.name)),
  );
  const removal: Removal = { ...context, names, kinds };
  const issuers = site.namespaceExists ? await ownIssuers(removal) : [];
  checkConnection(context, issuers);
  const claims = site.namespaceExists ? await claimsOf(context, inventory !== null) : NO_CLAIMS;
  checkRetention(context, claims);
  return {
    removal,
    inventory,
    claims,
    shares: anywhere.shares,
    vault: placesOf(vaultScope(issuers, inventory, inputs)).map(
      (place) => everything(inputs, { ...remembered, ...place }).vault,
    ),
  };
}

/** What is left of it in Kubernetes but the data, the inventory and the lock. */
export async function leftInKubernetes({ removal, shares }: Remains, site: Site): Promise<KubeObject[]> {
  const [objects, held] = await Promise.all([
    site.namespaceExists ? everythingLeft(removal) : [],
    heldShares(removal, shares),
  ]);
  return [...objects, ...held.map(({ object }) => object)];
}

/** Throws where the inventory is not this cluster's, or tells of what this version does not know. */
function checkInventory({ namespace, name }: RunContext, inventory: KubeObject): void {
  const what = describe('ConfigMap', namespace, inventory.metadata.name);
  const tried = `Removing NATS cluster ${name} in namespace ${namespace}`;
  if (inventory.metadata.labels?.[ID_LABEL] !== inventoryId(namespace, name)) {
    throw new Problem({
      kind: 'conflict',
      tried,
      reason: `${what} is not its inventory: it is somebody else's, or that of another cluster.`,
      next: 'Nothing was removed. Correct the inputs namespace and name, or rename or delete this ConfigMap if it is not in use.',
    });
  }
  const unknown = unknownKinds(inventory);
  if (unknown.length === 0) return;
  throw new Problem({
    kind: 'target',
    tried,
    reason: `A later version of this action made it, with kinds that this one does not know: ${unknown.join(', ')}.`,
    next: `Nothing was removed. Use that version: ${what} tells it (action-version).`,
  });
}

/** The kinds that it may have objects of; where no inventory tells, those that this identity may remove. */
async function kindsToRemove(
  { kube, inputs }: RunContext,
  { apis }: Site,
  inventory: KubeObject | null,
): Promise<Kind[]> {
  const isServed = (kind: Kind) => groupOf(RESOURCES[kind]) === '' || apis.has(RESOURCES[kind].apiVersion);
  if (inventory !== null) {
    const recorded = recordedKinds(inventory).filter((kind) => !LASTING_KINDS.includes(kind) && isServed(kind));
    await checkPermissions(kube, kindAccess(inputs, recorded), RECORDED);
    return [...LASTING_KINDS, ...recorded];
  }
  const optional = OPTIONAL.flatMap(({ kinds }) => kinds).filter(isServed);
  const allowed = await Promise.all(optional.map((kind) => areAllowed(kube, kindAccess(inputs, [kind]))));
  return [...LASTING_KINDS, ...optional.filter((_, index) => allowed[index])];
}

/** The lists of images that it may have entries in. */
async function findCaches({ kube, inputs }: RunContext, inventory: KubeObject | null): Promise<KubeObject[]> {
  const isRecorded = recordedNamespaces(inventory).includes(IMAGE_CACHE_NAMESPACE);
  if (inventory !== null && !isRecorded) return [];
  if ((await kube.get('Namespace', undefined, IMAGE_CACHE_NAMESPACE)) === null) return [];
  const accesses = imageCacheAccess(inputs);
  if (isRecorded) await checkPermissions(kube, accesses, RECORDED);
  else if (!(await areAllowed(kube, accesses))) return [];
  return findImageCaches(kube);
}

const RECORDED = 'to remove what earlier runs made';

async function areAllowed(kube: KubeReader, accesses: Access[]): Promise<boolean> {
  return (await Promise.all(accesses.map((access) => kube.isAllowed(access)))).every(Boolean);
}

async function ownIssuers(removal: Removal): Promise<KubeObject[]> {
  const issuers = await removal.kube.list('Issuer', removal.namespace);
  return issuers.filter((issuer) => isMember(removal, issuer) && dig(issuer.spec, 'vault') !== undefined);
}

/** Nothing would be found in another Vault, and everything left in the one that the cluster uses. */
function checkConnection({ inputs, namespace, name }: RunContext, issuers: KubeObject[]): void {
  for (const { metadata, spec } of issuers) {
    const live = { server: digText(spec, 'vault', 'server'), namespace: digText(spec, 'vault', 'namespace') };
    const isElsewhere = inputs.vault_url === null && live.server !== inputs.vault_internal_url;
    if (!isElsewhere && live.namespace === (inputs.vault_namespace ?? '')) continue;
    throw new Problem({
      kind: 'input',
      tried: `Removing NATS cluster ${name} in namespace ${namespace}`,
      reason: `${describe('Issuer', namespace, metadata.name)} uses another Vault than the inputs tell: ${live.server}, ${live.namespace === '' ? 'without a Vault namespace' : `Vault namespace ${live.namespace}`}.`,
      next: 'Nothing was removed. Set vault_internal_url and vault_namespace as in the step that made the cluster.',
    });
  }
}

/** Claims that somebody gave an owner would go with it, and the data with them. */
function checkRetention({ inputs, namespace, name }: RunContext, { own, others }: DataClaims): void {
  const owned = [...own, ...others].filter((claim) => hasOwner(claim));
  if (inputs.delete_data || owned.length === 0) return;
  const policy = '{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Retain","whenScaled":"Retain"}}}';
  throw new Problem({
    kind: 'target',
    tried: `Removing NATS cluster ${name} in namespace ${namespace} without its data`,
    reason: `The data volumes would go with what owns them: ${owned.map(claimText).join(', ')}.`,
    next: `Nothing was removed. Run mode apply first, or kubectl -n ${namespace} patch statefulset ${name} -p '${policy}'; or set delete_data: true.`,
  });
}

type Place = { pkiMount: string; authPath: string };

function ofInputs(inputs: Inputs): Place {
  return {
    pkiMount: inputs.vault_internal_pki_backend_mount_path,
    authPath: inputs.vault_kubernetes_auth_path,
  };
}

/** Where the Issuers and the inventory tell that it is in Vault; where neither does, the inputs. */
function vaultScope(issuers: KubeObject[], inventory: KubeObject | null, inputs: Inputs): VaultScope {
  const recorded = recordedVault(inventory);
  const pkiMounts = issuers.map(({ spec }) => digText(spec, 'vault', 'path').split('/sign/')[0] ?? '');
  const authPaths = issuers.map(({ spec }) =>
    digText(spec, 'vault', 'auth', 'kubernetes', 'mountPath').replace(/^\/v1\/auth\//, ''),
  );
  const { pkiMount, authPath } = ofInputs(inputs);
  return {
    pkiMounts: toldOr([...recorded.pkiMounts, ...pkiMounts], pkiMount),
    authPaths: toldOr([...recorded.authPaths, ...authPaths], authPath),
  };
}

function toldOr(told: string[], otherwise: string): string[] {
  const known = [...new Set(told)].filter((path) => path !== '');
  return known.length === 0 ? [otherwise] : known;
}

/** As many as it takes to have each mount and each auth method in one. */
function placesOf({ pkiMounts, authPaths }: VaultScope): Place[] {
  const count = Math.max(pkiMounts.length, authPaths.length);
  return Array.from({ length: count }, (_, index) => ({
    pkiMount: pkiMounts[index] ?? pkiMounts[0] ?? '',
    authPath: authPaths[index] ?? authPaths[0] ?? '',
  }));
}
