import { inventoryId, MEMBER_LABEL } from '../../desired/apply-set.ts';
import { MANAGED_BY, selectorLabels } from '../../desired/labels.ts';
import { type Purpose, secretName } from '../../desired/names.ts';
import { claimGroup } from '../../desired/storage.ts';
import { digObjects, digText } from '../../json.ts';
import { describe } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { Kind } from '../../kube/resources.ts';
import { MANAGER } from '../../manager.ts';
import { dataClaims, isNumbered } from '../claims.ts';
import type { RunContext } from '../context.ts';
import { isOwn } from '../ownership.ts';

const INSTANCE = 'app.kubernetes.io/instance';

/** Which objects are a cluster's, told without its inputs. */
export interface Membership extends RunContext {
  /** "Service demo/nats-a": all that inputs can ask for, by which those are found whose label somebody took away. */
  names: ReadonlySet<string>;
}

/** The cluster's objects of a kind, without what is in them. */
export async function membersOf(context: Membership, kind: Kind): Promise<KubeObject[]> {
  const objects = await context.kube.listMetadata(kind, context.namespace);
  return objects.filter((object) => isMember(context, object));
}

/** Whether the label tells it; without one, whether it has a name of the cluster's and this action applied it. */
export function isMember({ namespace, name, names }: Membership, object: KubeObject): boolean {
  const { labels = {}, ...metadata } = object.metadata;
  if (labels[MEMBER_LABEL] !== undefined) return labels[MEMBER_LABEL] === inventoryId(namespace, name);
  const isNamedSo = names.has(describe(object.kind, metadata.namespace, metadata.name));
  return isNamedSo && isOwn(object, namespace, name) && (labels[INSTANCE] ?? name) === name;
}

const PURPOSES: Purpose[] = ['superuser', 'admin', 'reader', 'server', 'cluster'];

/**
 * The Secrets that cert-manager made for the cluster's Certificates. It does not delete them, and nothing owns them: they
 * carry the Certificate's name, and the labels that it has them given.
 */
export async function secretsOf({ kube, namespace, name }: RunContext): Promise<KubeObject[]> {
  const found = await Promise.all(
    PURPOSES.map((purpose) => kube.getMetadata('Secret', namespace, secretName(name, purpose))),
  );
  return found
    .filter((secret) => secret !== null)
    .filter((secret) => {
      const { name: ofSecret, annotations = {} } = secret.metadata;
      return annotations['cert-manager.io/certificate-name'] === ofSecret && isLabelled(secret, name);
    });
}

/** Whether it is labelled as this action labels all that is this cluster's. */
function isLabelled({ metadata: { labels = {} } }: KubeObject, cluster: string): boolean {
  return labels[INSTANCE] === cluster && labels[MANAGED_BY] === MANAGER;
}

/** The servers' pods, also where their StatefulSet has left them behind; none of a StatefulSet that is somebody else's. */
export async function serverPods(context: Membership): Promise<KubeObject[]> {
  const { kube, namespace, name } = context;
  const [pods, statefulSets] = await Promise.all([
    kube.listMetadata('Pod', namespace),
    kube.listMetadata('StatefulSet', namespace),
  ]);
  if (statefulSets.some((live) => live.metadata.name === name && !isMember(context, live))) return [];
  return pods.filter(
    (pod) =>
      hasOwner(pod, 'StatefulSet', name) ||
      (!hasOwner(pod) && isLabelled(pod, name) && isNumbered(pod.metadata.name, `${name}-`)),
  );
}

/** The pods of its disruption windows, which go with their Jobs. */
export async function windowPods({ kube, namespace, name }: Membership): Promise<KubeObject[]> {
  const pods = await kube.listMetadata('Pod', namespace);
  return pods.filter((pod) => isLabelled(pod, name) && hasOwner(pod, 'Job'));
}

/** Whether it has an owner, with which it goes: any, or of that kind and name. */
export function hasOwner({ metadata }: KubeObject, kind?: Kind, name?: string): boolean {
  return digObjects(metadata, 'ownerReferences').some(
    (owner) => (kind ?? owner.kind) === owner.kind && (name ?? owner.name) === owner.name,
  );
}

/** The claims that a StatefulSet of the cluster's name has, or had. */
export interface DataClaims {
  own: KubeObject[];
  /** Of the right names, but nothing tells that they are this cluster's. */
  others: KubeObject[];
}

export const NO_CLAIMS: DataClaims = { own: [], others: [] };

/**
 * The data volumes' claims. They are no members of the inventory: this action has put its labels on them; those of a first
 * run that was killed before that are known while there is an inventory.
 */
export async function claimsOf({ kube, namespace, name }: RunContext, hasInventory: boolean): Promise<DataClaims> {
  const named = await dataClaims(kube, namespace, name);
  const isOurs = (claim: KubeObject) =>
    isLabelled(claim, name) || (hasInventory && isOfTemplate(claim, namespace, name));
  return { own: named.filter(isOurs), others: named.filter((claim) => !isOurs(claim)) };
}

function isOfTemplate({ metadata: { labels = {} } }: KubeObject, namespace: string, name: string): boolean {
  const expected = { ...selectorLabels(name), ...claimGroup(namespace, name) };
  return Object.entries(expected).every(([key, value]) => labels[key] === value);
}

/** "data-nats-a-0 (10Gi)" */
export function claimText({ metadata, spec, status }: KubeObject): string {
  const size = digText(status, 'capacity', 'storage') || digText(spec, 'resources', 'requests', 'storage');
  return `${metadata.name}${size === '' ? '' : ` (${size})`}`;
}
