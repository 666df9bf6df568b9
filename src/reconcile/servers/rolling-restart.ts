import { dig, digObjects, digText, isJsonObject } from '../../json.ts';
import type { KubeObject } from '../../kube/object.ts';
import { notCurrent, type ServerState } from '../../nats/currency.ts';
import { metaLeader } from '../../nats/health.ts';
import type { WriteContext } from '../context.ts';
import { type Trouble, troubleText } from '../diagnosis/diagnosis.ts';
import { watchForTroubles } from '../diagnosis/trouble-watch.ts';
import { serversOf } from '../refusals/scaling.ts';
import { type Progress, until } from '../until.ts';
import { firstServer } from './first-server.ts';
import { outsiderRestarts } from './outsiders.ts';
import { podSelector, podsOf, serverStates } from './pods.ts';
import { isObserved, replaceStuckPods, revisionOf } from './stuck-pods.ts';

/**
 * The StatefulSet with nobody but this run to replace its pods: the controller would look at no server but those that it has
 * replaced itself. As many servers as there are, those of them included that somebody scaled away: the majority counts
 * them. Others come when all are restarted.
 *
 * @param volumes how many data volumes there are
 */
export function heldBack(desired: KubeObject, live: KubeObject, volumes: number): KubeObject {
  const spec = isJsonObject(desired.spec) ? desired.spec : {};
  const replicas = serversOf(Number(dig(live.spec, 'replicas')), volumes, Number(spec.replicas));
  return { ...desired, spec: { ...spec, replicas, updateStrategy: { type: 'OnDelete' } } };
}

/**
 * Takes the settings of a rolling update away, which the API server fills in for who states no type, and refuses beside
 * another type. No apply can do it, as nobody owns them.
 */
export async function withoutPartition({ kube }: WriteContext, { metadata, spec }: KubeObject): Promise<void> {
  if (dig(spec, 'updateStrategy', 'rollingUpdate') === undefined) return;
  const patch = { spec: { updateStrategy: { rollingUpdate: null } } };
  await kube.patch('StatefulSet', metadata.namespace ?? '', metadata.name, patch);
}

/**
 * Replaces every pod of an older revision of a StatefulSet that is held back, one after another: each only while all other
 * servers are current, JetStream's meta leader last. Pods whose server does not run are replaced at once, as they are no
 * loss: a cluster that has lost its majority may get it back by them. Ends when all servers are current.
 *
 * Rejects at the deadline, with what kept the next server from its restart; the next run goes on from there.
 *
 * @param wanted how many servers there are to be afterwards
 */
export async function restartOneByOne(context: WriteContext, wanted: number): Promise<void> {
  const { kube, log, namespace, name } = context;
  const restartOutsiders = outsiderRestarts(context);
  const lookForTroubles = watchForTroubles(context);
  await until(
    {
      ...context,
      tried: `Restarting the servers of ${name} one at a time`,
      next: `Look at: kubectl -n ${namespace} describe pods -l ${podSelector(name)}. The next run goes on from here.`,
      every: 1_000,
    },
    async () => {
      const [statefulSet, pods] = await Promise.all([kube.get('StatefulSet', namespace, name), podsOf(context)]);
      if (statefulSet === null || !isObserved(statefulSet)) {
        return { done: false, missing: 'the StatefulSet controller has not seen the change yet' };
      }
      await replaceStuckPods(context, statefulSet, pods);
      const states = await serverStates(context, pods);
      await restartOutsiders(states);
      const trouble = await lookForTroubles(statefulSet, pods);
      const replicas = Number(dig(statefulSet.spec, 'replicas'));
      const next = nextToRestart(pods, digText(statefulSet.status, 'updateRevision'), metaLeader(states));
      const [first] = pods;
      if (replicas === 1 && wanted > 1 && next === undefined && first !== undefined) {
        return withTrouble(await firstServer(context, first, states[0]), trouble);
      }
      const held = whatHolds(next, pods, states, replicas);
      if (held === null && next === undefined) return { done: true };
      if (held === null && next !== undefined) {
        context.assertHeld();
        if (await kube.remove(next)) log.info(`Restarting ${next.metadata.name}: all other servers are current`);
        return { done: false, missing: `${next.metadata.name} is not back yet` };
      }
      return withTrouble(waiting(context, next, `${held}`), trouble);
    },
  );
}

/** What is missing, with the trouble that is the likely cause. */
function withTrouble(progress: Progress, trouble: Trouble | undefined): Progress {
  if (progress.done || trouble === undefined) return progress;
  return { done: false, missing: `${progress.missing}; ${troubleText(trouble)}`, next: trouble.next };
}

function waiting(
  { namespace, name }: WriteContext,
  next: KubeObject | undefined,
  held: string,
): Progress & { done: false } {
  if (next === undefined) return { done: false, missing: held };
  const server = next.metadata.name;
  return {
    done: false,
    missing: `${server} is not restarted yet: ${held}`,
    next:
      'Nothing more was restarted: with a second server away, streams would lose their majority. ' +
      `See what keeps that one (kubectl -n ${namespace} logs -l ${podSelector(name)} -c nats) and run again: the run goes on from here. ` +
      `To restart ${server} all the same: kubectl -n ${namespace} delete pod ${server}`,
  };
}

/** Of those of an older revision: one that is not Ready first, as it may be what the others wait for, and the leader last. */
function nextToRestart(pods: KubeObject[], revision: string, leader: string): KubeObject | undefined {
  const rank = (pod: KubeObject) => (isReady(pod) ? Number(pod.metadata.name === leader) : -1);
  return pods
    .filter((pod) => revisionOf(pod) !== revision && !isLeaving(pod))
    .sort((a, b) => rank(a) - rank(b) || b.metadata.name.localeCompare(a.metadata.name))[0];
}

/** Why the next one has to wait, or why the roll-out is not over where there is none; null: nothing is in the way. */
function whatHolds(
  next: KubeObject | undefined,
  pods: KubeObject[],
  states: ServerState[],
  replicas: number,
): string | null {
  const leaving = pods.find(isLeaving);
  if (leaving !== undefined) return `${leaving.metadata.name} is shutting down`;
  const lagging = notCurrent(states, replicas, next?.metadata.name ?? null);
  if (lagging !== null) return lagging;
  const late = pods.find((pod) => pod !== next && !isReady(pod));
  return late === undefined ? null : `${late.metadata.name} is not Ready`;
}

function isLeaving({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined;
}

function isReady({ status }: KubeObject): boolean {
  return digObjects(status, 'conditions').some(
    (condition) => condition.type === 'Ready' && condition.status === 'True',
  );
}
