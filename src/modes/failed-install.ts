import type { DesiredState } from '../desired/state.ts';
import type { Inputs } from '../inputs/table.ts';
import { dig, digObjects, digText } from '../json.ts';
import type { KubeObject } from '../kube/object.ts';
import { SERVER_CONTAINER } from '../nats/layout.ts';
import { Problem, wordsOf } from '../problem.ts';
import { checkPermissions } from '../reconcile/access/access-check.ts';
import { clusterWideAccess, destroyAccess } from '../reconcile/access/permissions.ts';
import type { Target } from '../reconcile/access/preflight.ts';
import type { RunContext } from '../reconcile/context.ts';
import { isNext, presentTurn, type Turn } from '../reconcile/lock/lock.ts';
import type { Intent } from '../reconcile/plan/look.ts';
import type { Plan } from '../reconcile/plan/plan.ts';
import { inspectSite } from '../reconcile/removal/remains.ts';
import { podSelector, podsOf } from '../reconcile/servers/pods.ts';
import { checkCapabilities } from '../vault/preflight.ts';
import { vaultRoute } from '../vault/route.ts';
import { removeCluster } from './destroy.ts';
import type { RunPorts } from './mode.ts';

/** Whether nothing of the cluster was there: no inventory, and none of its objects. */
export function isFirstInstall({ inventory, desired }: Intent, plan: Plan): boolean {
  const created = new Set(plan.objects.filter(({ action }) => action === 'create').map(({ object }) => object));
  return inventory === null && desired.objects.every((object) => created.has(object));
}

/** Throws before anything is written where a first install could not be removed again, as the input asks for. */
export async function checkRemoval(
  context: RunContext,
  { namespaceExists }: Target,
  { desired }: Intent,
): Promise<void> {
  const inputs = removalInputs(context.inputs, !namespaceExists, true);
  const route = vaultRoute(inputs);
  const accesses = [
    ...clusterWideAccess(inputs),
    ...(namespaceExists ? destroyAccess(inputs) : []),
    ...(route.direct ? [] : route.accesses),
  ];
  await checkPermissions(context.kube, accesses, TO_REMOVE);
  await checkCapabilities(context.vault, desired.vault, inputs.mode);
}

const TO_REMOVE = 'to remove a first install that fails, as failed_install says';

/** By the inputs of mode destroy; the namespace goes where this run made it. */
function removalInputs(inputs: Inputs, delete_namespace: boolean, delete_data: boolean): Inputs {
  return { ...inputs, mode: 'destroy', delete_data, delete_namespace };
}

/** How a first install ended that failed, as it was seen under its lock. */
export interface FailedInstall {
  /** Whether this run made the namespace. */
  madeNamespace: boolean;
  /** The turn of the lock that it failed in. */
  turn: Turn;
  /** Whether no server has ever run on the data volumes. */
  areVolumesUnused: boolean;
}

/** Looks at a first install that failed; to be called while its lock is held. */
export async function lookAtFailure(
  context: RunContext,
  desired: DesiredState,
  madeNamespace: boolean,
): Promise<FailedInstall> {
  const [turn, areVolumesUnused] = await Promise.all([presentTurn(context), areUnused(context, desired)]);
  return { madeNamespace, turn, areVolumesUnused };
}

/** Ends the removal of a first install that another run has taken on since it failed: it may use what there is. */
function takenOn({ namespace, name }: RunContext): Problem {
  return new Problem({
    kind: 'conflict',
    tried: `Removing the first install of NATS cluster ${name} in namespace ${namespace}`,
    reason: 'Another run has worked on the cluster since it failed.',
    next: 'Nothing was removed. Look at the other run.',
  });
}

/** Removes what a first install made that failed, as mode destroy does. Resolves to what came of it, in words. */
export async function removeFailedInstall(
  context: RunContext,
  ports: RunPorts,
  { madeNamespace, turn, areVolumesUnused }: FailedInstall,
): Promise<string> {
  const { kube, clock, log } = context;
  log.info('Removing what this first install has made');
  const left = takenOn(context);
  try {
    const inputs = removalInputs(context.inputs, madeNamespace, areVolumesUnused);
    const removal = { ...context, inputs, deadline: clock.now() + inputs.timeout * 1000 };
    await removeCluster(
      removal,
      ports,
      await inspectSite(kube, inputs),
      async () => {},
      async () => {
        if (!isNext(await presentTurn(context), turn)) throw left;
      },
    );
    return 'What this first install had made is removed again, as failed_install is remove.';
  } catch (error) {
    if (error === left) return `This first install is left, though failed_install is remove. ${left.message}`;
    return `Removing what this first install had made failed as well. ${wordsOf(error)} The next run goes on from there, by mode apply or by mode destroy.`;
  }
}

/**
 * Whether no server has ever run on the data volumes: this run found none, and the pods are the first that the StatefulSet
 * got, all of them, and have not run. One that was replaced may have.
 */
async function areUnused(context: RunContext, { shares }: DesiredState): Promise<boolean> {
  const { kube, namespace, name, report, inputs } = context;
  if (shares.some(({ object }) => object.kind === 'PersistentVolumeClaim')) return false;
  if (report.changes.some(({ action, object }) => action === 'delete' && object.startsWith('Pod '))) return false;
  const [statefulSet, pods] = await Promise.all([kube.get('StatefulSet', namespace, name), podsOf(context)]);
  if (statefulSet === null) return true;
  const since = createdAt(statefulSet);
  const isFirst = (pod: KubeObject) => createdAt(pod) - since <= FIRST_PODS;
  return pods.length === inputs.replicas && pods.every(isFirst) && !pods.some(hasRun);
}

/** Milliseconds in which a StatefulSet's controller has made the first pods, all at once. */
const FIRST_PODS = 10_000;

function createdAt({ metadata }: KubeObject): number {
  return Date.parse(digText(metadata, 'creationTimestamp'));
}

function hasRun({ status }: KubeObject): boolean {
  const server = digObjects(status, 'containerStatuses').find(({ name }) => name === SERVER_CONTAINER);
  const hasBeen = (state: string) =>
    dig(server, 'state', state) !== undefined || dig(server, 'lastState', state) !== undefined;
  return hasBeen('running') || hasBeen('terminated') || Number(server?.restartCount ?? 0) > 0;
}

/** What to do about a first install that failed and was left. */
export function leftWords({ namespace, name }: RunContext): string {
  return (
    `This first install is left for a look: kubectl -n ${namespace} describe pods -l ${podSelector(name)}. ` +
    'The next run goes on from here; mode destroy removes it, as failed_install: remove would have.'
  );
}

/** The same of one that was to be removed, and could not be looked at for that. */
export function notRemovedWords(cause: unknown): string {
  return `This first install is left, though failed_install is remove: mode destroy removes it. ${wordsOf(cause)}`;
}

/** What failed, its advice, and in a line of its own what came of it. */
export function withWords({ details }: Problem, words: string): Problem {
  return new Problem({ ...details, next: `${details.next}\n${words}` });
}
