import { inventoryName } from '../../desired/apply-set.ts';
import type { Share } from '../../desired/state.ts';
import { describe } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { type Kind, kindOf } from '../../kube/resources.ts';
import { together } from '../../together.ts';
import type { WriteContext } from '../context.ts';
import { appliedBy } from '../ownership.ts';
import { record } from '../record.ts';
import { until } from '../until.ts';
import { claimsOf, hasOwner, type Membership, membersOf, secretsOf, serverPods, windowPods } from './members.ts';

/** A run that removes a cluster. */
export interface Removal extends Membership {
  /** The kinds that it may have objects of. */
  kinds: Kind[];
}

/** One that holds the cluster's lock. */
export type RemovalContext = Removal & WriteContext;

/** Objects that hold up a removal, as names in a progress line. */
const SHOWN = 6;

/** Servers end first, so that nobody serves what is being taken apart; then what is about them. */
const BEFORE_CERTIFICATES: Kind[] = [
  'PodDisruptionBudget',
  'VerticalPodAutoscaler',
  'CronJob',
  'PodMonitor',
  'PrometheusRule',
];
/** By an Issuer the next run finds Vault; they go when nothing is left there. */
const AFTER_VAULT: Kind[] = ['Issuer'];
const ORDERED: Kind[] = ['StatefulSet', ...BEFORE_CERTIFICATES, 'Certificate', ...AFTER_VAULT];

/** The kinds that every cluster may have objects of, whatever the target serves. */
export const LASTING_KINDS: Kind[] = [
  ...(['StatefulSet', 'PodDisruptionBudget', 'Certificate', 'Issuer', 'Service', 'NetworkPolicy'] as const),
  ...(['RoleBinding', 'Role', 'ServiceAccount', 'ConfigMap'] as const),
];

/** All of the cluster that is left, but for its data, its inventory and its lock. */
export async function everythingLeft(context: Removal): Promise<KubeObject[]> {
  const [members, ...others] = await Promise.all([
    membersOfKinds(context, context.kinds),
    serverPods(context),
    secretsOf(context),
  ]);
  return [...members, ...others.flat()];
}

/** Ends the servers, and removes all but what tells where the cluster is in Vault. */
export async function removeWorkload(context: RemovalContext): Promise<void> {
  await clear(context, 'the servers', async () => [
    ...(await membersOf(context, 'StatefulSet')),
    ...(await serverPods(context)),
  ]);
  await clear(context, 'what is about the servers', async () => [
    ...(await membersOfKinds(context, BEFORE_CERTIFICATES)),
    ...(await windowPods(context)),
  ]);
  // cert-manager would have a Secret made again for a Certificate that is still there.
  await clearKinds(context, 'the certificates', ['Certificate']);
  await clear(context, 'the Secrets of the certificates', () => secretsOf(context));
}

/** Removes the rest, but for the data and the inventory. */
export async function removeRest(context: RemovalContext): Promise<void> {
  await clearKinds(context, 'the Issuers', AFTER_VAULT);
  await clearKinds(
    context,
    'the rest',
    context.kinds.filter((kind) => !ORDERED.includes(kind)),
  );
  // cert-manager may have been about to write one when its Certificate went.
  await clear(context, 'the Secrets of the certificates', () => secretsOf(context));
}

/** Deletes the claims of the data volumes. */
export async function removeData(context: RemovalContext, hasInventory: boolean): Promise<void> {
  await clear(context, 'the data', async () => (await claimsOf(context, hasInventory)).own);
}

/** Removes what tells where the rest is: when there is no rest. */
export async function removeInventory(context: RemovalContext): Promise<void> {
  const { kube, namespace, name } = context;
  await clear(context, 'the inventory', async () => {
    const inventory = await kube.get('ConfigMap', namespace, inventoryName(name));
    return inventory === null ? [] : [inventory];
  });
}

/** Takes back what the cluster has in objects of others. */
export async function takeBack(context: RemovalContext, shares: Share[]): Promise<void> {
  for (const share of await heldShares(context, shares)) {
    context.assertHeld();
    const { metadata, kind } = share.object;
    await context.kube.apply(share.object, { manager: share.manager });
    record(context, { action: 'update', object: describe(kind, metadata.namespace, metadata.name), fields: ['data'] });
  }
}

/** Those in which it has fields. */
export async function heldShares({ kube }: Removal, shares: Share[]): Promise<Share[]> {
  const held = await Promise.all(
    shares.map(async ({ object, manager }) => {
      const live = await kube.get(kindOf(object), object.metadata.namespace, object.metadata.name);
      return live !== null && appliedBy(live, manager) !== undefined;
    }),
  );
  return shares.filter((_, index) => held[index]);
}

async function clearKinds(context: RemovalContext, what: string, kinds: Kind[]): Promise<void> {
  await clear(context, what, () => membersOfKinds(context, kinds));
}

async function membersOfKinds(context: Removal, kinds: Kind[]): Promise<KubeObject[]> {
  const wanted = kinds.filter((kind) => context.kinds.includes(kind));
  return (await Promise.all(wanted.map((kind) => membersOf(context, kind)))).flat();
}

/**
 * Deletes what is found until nothing is found any more: what changed meanwhile is decided about anew, and what takes its
 * time or has come again is waited for.
 */
export async function clear(context: RemovalContext, what: string, find: () => Promise<KubeObject[]>): Promise<void> {
  const { clock, log, deadline, name } = context;
  await until(
    {
      clock,
      log,
      deadline,
      tried: `Removing ${what} of NATS cluster ${name}`,
      next: 'Look at these objects (kubectl describe): finalizers, or pods that do not end, may hold them. Then run again: it goes on from here.',
    },
    async () => {
      const found = await find();
      await together(found.filter(isToBeDeleted).map((object) => removeOne(context, object)));
      const left = found.length === 0 ? [] : await find();
      return left.length === 0 ? { done: true } : { done: false, missing: `Still there: ${listOf(left)}` };
    },
  );
}

function isToBeDeleted(object: KubeObject): boolean {
  return object.metadata.deletionTimestamp === undefined && !(object.kind === 'Pod' && hasOwner(object));
}

async function removeOne(context: RemovalContext, object: KubeObject): Promise<void> {
  context.assertHeld();
  if ((await context.kube.removeUnchanged(object)) === 'changed') return;
  const { namespace, name } = object.metadata;
  record(context, { action: 'delete', object: describe(object.kind, namespace, name), fields: [] });
}

/** "Pod nats-0, Pod nats-1 and 2 more" */
export function listOf(objects: KubeObject[]): string {
  const names = objects.slice(0, SHOWN).map(({ kind, metadata }) => `${kind} ${metadata.name}`);
  const more = objects.length - SHOWN;
  return names.join(', ') + (more > 0 ? ` and ${more} more` : '');
}
