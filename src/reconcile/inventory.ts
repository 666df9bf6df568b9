import { isDeepStrictEqual } from 'node:util';
import { clusterOfInventory, ID_LABEL, inventoryId, inventoryName } from '../desired/apply-set.ts';
import { type Labels, MANAGED_BY } from '../desired/labels.ts';
import { dig, digText } from '../json.ts';
import { type KubeReader, labelSelector } from '../kube/client.ts';
import type { KubeObject } from '../kube/object.ts';
import { groupOf, type Kind, RESOURCES, resourceOf } from '../kube/resources.ts';
import { MANAGER } from '../manager.ts';

/**
 * The inventory is an ApplySet (KEP-3659): a ConfigMap whose labels and annotations tell which objects belong to the
 * cluster, so that `kubectl get` and `kubectl apply --prune` read it as well.
 */
const TOOLING_ANNOTATION = 'applyset.kubernetes.io/tooling';
const KINDS_ANNOTATION = 'applyset.kubernetes.io/contains-group-kinds';
const NAMESPACES_ANNOTATION = 'applyset.kubernetes.io/additional-namespaces';

/** Who deployed: kept with the cluster, so that a reader at 2 a.m. finds the workflow run. */
export interface Deployment {
  actionVersion: string;
  repository: string;
  commit: string;
  runUrl: string;
}

/** Where a cluster's objects are to be looked for. */
export interface Scope {
  /** "Certificate.cert-manager.io" */
  groupKinds: string[];
  /** Other namespaces than the cluster's own. */
  namespaces: string[];
  vault: VaultScope;
  /** What is left of the Terraform module's, by `leftoverNames`; only of a cluster that it made. */
  leftovers?: string[];
}

/** Where in Vault: all that the cluster has ever used, as a change of an input removes nothing there. */
export interface VaultScope {
  pkiMounts: string[];
  /** Of Kubernetes auth methods. */
  authPaths: string[];
}

const PKI_MOUNTS = 'vault-pki-mounts';
const AUTH_PATHS = 'vault-auth-paths';
const LEFTOVERS = 'module-leftovers';

/** "Certificate.cert-manager.io" for each kind among the objects, sorted: the form of the ApplySet specification. */
export function groupKindsOf(objects: KubeObject[]): string[] {
  const all = objects.map((object) => {
    const group = groupOf(resourceOf(object));
    return group === '' ? object.kind : `${object.kind}.${group}`;
  });
  return [...new Set(all)].sort();
}

/** Hold data, or other people's objects: never removed, whatever the inventory says. */
const KEPT: Kind[] = ['PersistentVolumeClaim', 'Namespace'];

/** The kinds that the last run recorded and that may be pruned; those this version does not know are left alone. */
export function recordedKinds(inventory: KubeObject | null): Kind[] {
  const recorded = inventory?.metadata.annotations?.[KINDS_ANNOTATION]?.split(',') ?? [];
  const names = recorded.map((groupKind) => groupKind.split('.')[0]);
  return Object.keys(RESOURCES)
    .filter((kind): kind is Kind => names.includes(kind))
    .filter((kind) => !KEPT.includes(kind));
}

/** What a later version recorded and this one does not know. */
export function unknownKinds(inventory: KubeObject | null): string[] {
  const recorded = inventory?.metadata.annotations?.[KINDS_ANNOTATION]?.split(',') ?? [];
  return recorded.filter((groupKind) => groupKind !== '' && !Object.hasOwn(RESOURCES, groupKind.split('.')[0] ?? ''));
}

/** The other namespaces that the last run recorded. */
export function recordedNamespaces(inventory: KubeObject | null): string[] {
  const recorded = inventory?.metadata.annotations?.[NAMESPACES_ANNOTATION] ?? '';
  return recorded.split(',').filter((namespace) => namespace !== '');
}

/** What the last run recorded of Vault; nothing of it without an inventory. */
export function recordedVault(inventory: KubeObject | null): VaultScope {
  const recorded = (key: string) =>
    digText(inventory?.data, key)
      .split('\n')
      .filter((path) => path !== '');
  return { pkiMounts: recorded(PKI_MOUNTS), authPaths: recorded(AUTH_PATHS) };
}

/** What the last run recorded of the Terraform module's; null for a cluster that it did not make. */
export function recordedLeftovers(inventory: KubeObject | null): string[] | null {
  const recorded = dig(inventory?.data, LEFTOVERS);
  return typeof recorded === 'string' ? recorded.split('\n').filter((leftover) => leftover !== '') : null;
}

/** The inventory object, telling where the objects are and who deployed. */
export function renderInventory(
  namespace: string,
  name: string,
  labels: Labels,
  scope: Scope,
  deployment: Deployment,
): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: inventoryName(name),
      namespace,
      labels: { ...labels, [ID_LABEL]: inventoryId(namespace, name) },
      annotations: {
        [TOOLING_ANNOTATION]: `${MANAGER}/v${deployment.actionVersion}`,
        [KINDS_ANNOTATION]: scope.groupKinds.join(','),
        [NAMESPACES_ANNOTATION]: scope.namespaces.join(','),
      },
    },
    data: {
      repository: deployment.repository,
      commit: deployment.commit,
      'run-url': deployment.runUrl,
      'action-version': deployment.actionVersion,
      [PKI_MOUNTS]: scope.vault.pkiMounts.join('\n'),
      [AUTH_PATHS]: scope.vault.authPaths.join('\n'),
      ...(scope.leftovers === undefined ? {} : { [LEFTOVERS]: scope.leftovers.join('\n') }),
    },
  };
}

/** Whether the inventory tells exactly this, so that the run has nothing to write to it. */
export function isCurrent(inventory: KubeObject | null, { groupKinds, namespaces, vault, leftovers }: Scope): boolean {
  const annotations = inventory?.metadata.annotations ?? {};
  return (
    annotations[KINDS_ANNOTATION] === groupKinds.join(',') &&
    annotations[NAMESPACES_ANNOTATION] === namespaces.join(',') &&
    isDeepStrictEqual(recordedVault(inventory), vault) &&
    isDeepStrictEqual(recordedLeftovers(inventory), leftovers ?? null)
  );
}

/** The names of the clusters that this action made in the namespace, by their inventories. */
export async function clustersIn(kube: KubeReader, namespace: string): Promise<string[]> {
  const labels = `${labelSelector({ [MANAGED_BY]: MANAGER })},${ID_LABEL}`;
  const inventories = await kube.list('ConfigMap', namespace, { labels });
  return inventories.map(({ metadata }) => clusterOfInventory(metadata.name)).filter((name) => name !== null);
}
