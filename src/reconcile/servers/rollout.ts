import { dig, digText } from '../../json.ts';
import type { KubeObject } from '../../kube/object.ts';
import { MANAGER } from '../../manager.ts';
import { PORTS, SERVER_CONTAINER } from '../../nats/layout.ts';
import { Problem } from '../../problem.ts';
import { together } from '../../together.ts';
import type { RunContext, WriteContext } from '../context.ts';
import { troubleText } from '../diagnosis/diagnosis.ts';
import { watchForTroubles } from '../diagnosis/trouble-watch.ts';
import { type Progress, until } from '../until.ts';
import { outsiderRestarts } from './outsiders.ts';
import { podSelector, podsOf, serverReports } from './pods.ts';
import { replaceStuckPods, revisionOf } from './stuck-pods.ts';

/** Touched on a pod so that its kubelet looks at the ConfigMap and the Secrets at once. */
const FILES_HASH_ANNOTATION = `${MANAGER}/files-hash`;

/** Milliseconds between the first sight of a trouble and the end of the wait: some pass (a late Secret or file). */
const GRACE = 10_000;

/** Milliseconds after which a server that is not Ready yet may be one that JetStream's leader leaves out. */
const SLOW = 15_000;

/**
 * Waits until the StatefulSet runs its present revision on every pod and all are Ready. Ends early, with the pod's
 * events and log, when a pod of the present revision cannot come up by itself.
 */
export async function waitForRollout(context: RunContext): Promise<void> {
  const { kube, clock, namespace, name } = context;
  const started = clock.now();
  const restartOutsiders = outsiderRestarts(context);
  const lookForTroubles = watchForTroubles(context);
  await until(
    {
      ...context,
      tried: `Waiting for the pods of StatefulSet ${namespace}/${name}`,
      next: `Look at: kubectl -n ${namespace} describe pods -l ${podSelector(name)}. A longer input timeout helps when nodes or volumes are slow.`,
    },
    async () => {
      const [statefulSet, pods] = await Promise.all([kube.get('StatefulSet', namespace, name), podsOf(context)]);
      const progress = rolloutProgress(statefulSet);
      if (progress.done) return progress;
      const revision = digText(statefulSet?.status, 'updateRevision');
      if (statefulSet !== null) await replaceStuckPods(context, statefulSet, pods);
      const current = pods.filter((pod) => revisionOf(pod) === revision);
      // A server that is left out may never become Ready.
      if (current.length === pods.length && clock.now() - started >= SLOW) {
        await restartOutsiders(await serverReports(context));
      }
      const trouble = statefulSet === null ? undefined : await lookForTroubles(statefulSet, pods);
      if (trouble === undefined) return progress;
      return { done: false, missing: `${progress.missing}; ${troubleText(trouble)}`, next: trouble.next };
    },
  );
}

/** The rules of `kubectl rollout status` for a StatefulSet, and that every pod is available. */
export function rolloutProgress(statefulSet: KubeObject | null): Progress {
  const wanted = Number(dig(statefulSet?.spec, 'replicas') ?? 0);
  const status = statefulSet?.status;
  const count = (field: string) => Number(dig(status, field) ?? 0);
  if (statefulSet === null) return { done: false, missing: 'the StatefulSet does not exist' };
  if (count('observedGeneration') < Number(statefulSet.metadata.generation)) {
    return { done: false, missing: 'the StatefulSet controller has not seen the change yet' };
  }
  if (digText(status, 'updateRevision') !== digText(status, 'currentRevision') && count('updatedReplicas') < wanted) {
    return {
      done: false,
      missing: `${count('updatedReplicas')} of ${wanted} pods updated, ${count('readyReplicas')} Ready`,
    };
  }
  if (count('readyReplicas') < wanted) {
    return { done: false, missing: `${count('readyReplicas')} of ${wanted} pods Ready` };
  }
  if (count('availableReplicas') < wanted) {
    return { done: false, missing: `${count('availableReplicas')} of ${wanted} pods available` };
  }
  if (digText(status, 'updateRevision') !== digText(status, 'currentRevision')) {
    return { done: false, missing: 'the StatefulSet controller has not finished the update yet' };
  }
  return { done: true };
}

/** Where a server stands with its configuration. */
export interface ConfigLoad {
  /** When it last loaded one; '' where it does not answer. */
  time: string;
  /** Its last words on one that it refused; '' where it refused none. */
  refusal: string;
  /**
   * Whether somebody has edited nats.conf: a server that has not loaded the edit yet loads nothing either when it is put back,
   * as its file stays the same.
   */
  isEdited?: boolean;
}

/** Milliseconds after which a kubelet has long brought the files of a pod that was touched; measured: within 1 s. */
const BROUGHT = 15_000;

/** Times that a server which does not answer is asked again before its configuration is changed, a second apart. */
const ASKED_AGAIN = 3;

/**
 * By pod, where each server stands before its configuration is changed. One that does not answer is asked again: whatever
 * it tells later would count as new, which is right only for a server that is down.
 */
export async function configLoads(context: RunContext): Promise<Map<string, ConfigLoad>> {
  let times = await loadTimes(context);
  for (let asked = 0; asked < ASKED_AGAIN && [...times.values()].includes(''); asked++) {
    await context.clock.sleep(1_000);
    times = await loadTimes(context);
  }
  const loads = [...times].map(async ([pod, time]): Promise<[string, ConfigLoad]> => {
    return [pod, { time, refusal: await lastRefusal(context, pod) }];
  });
  return new Map(await Promise.all(loads));
}

/** By pod, when each server last loaded its configuration; '' where it does not answer. */
export async function loadTimes(context: RunContext): Promise<Map<string, string>> {
  const { kube, namespace } = context;
  const pods = await podsOf(context);
  const times = pods.map(async ({ metadata: { name } }): Promise<[string, string]> => {
    const varz = await kube.getFromPod(namespace, name, PORTS.monitoring, '/varz');
    return [name, digText(varz ?? undefined, 'config_load_time')];
  });
  return new Map(await Promise.all(times));
}

/** The last line in which a server refuses a reload, with its time; '' where its latest lines hold none. */
async function lastRefusal({ kube, namespace }: RunContext, pod: string): Promise<string> {
  const text = await kube.podLog(namespace, pod, SERVER_CONTAINER, { tailLines: 200, previous: false });
  return text.split('\n').findLast((line) => line.includes(REFUSAL)) ?? '';
}

/** https://github.com/nats-io/nats-server/blob/v2.14.6/server/signal.go#L83 */
const REFUSAL = 'Failed to reload server configuration: ';

/** Makes the kubelets bring changed files to the pods at once: by themselves they look about once a minute. */
export async function touchPods({ kube, namespace }: WriteContext, pods: string[], filesHash: string): Promise<void> {
  const patch = { metadata: { annotations: { [FILES_HASH_ANNOTATION]: filesHash } } };
  await together(pods.map((pod) => kube.patch('Pod', namespace, pod, patch)));
}

/**
 * Waits until every server has loaded a changed nats.conf, by the reloader's signal or by a restart, or seems to run by it all
 * along. Ends early when one of them refuses it.
 *
 * @param before what configLoads told before the ConfigMap was written
 */
export async function waitForReload(context: RunContext, before: Map<string, ConfigLoad>): Promise<void> {
  const { clock, namespace, name } = context;
  const started = clock.now();
  let refusedSince: number | undefined;
  await until(
    {
      ...context,
      tried: `Waiting for the servers of ${name} to load their new configuration`,
      next: `Look at: kubectl -n ${namespace} logs -l ${podSelector(name)} -c nats --tail=20. A server that refuses a configuration keeps the old one.`,
    },
    async () => {
      const now = await loadTimes(context);
      // A pod that is gone was scaled away: there is no server left to load anything.
      const loading = [...before].filter(([pod, { time }]) => now.has(pod) && (now.get(pod) || time) === time);
      const isBrought = clock.now() - started >= BROUGHT;
      const waiting = loading.filter(([, { isEdited }]) => !(isEdited && isBrought));
      if (waiting.length === 0) return { done: true };
      const refused = await firstRefusal(context, waiting);
      refusedSince = refused === undefined ? undefined : (refusedSince ?? clock.now());
      if (refused !== undefined && refusedSince !== undefined && clock.now() - refusedSince >= GRACE) {
        throw refusedReload(context, refused);
      }
      return { done: false, missing: `not reloaded yet: ${waiting.map(([pod]) => pod).join(', ')}` };
    },
  );
}

/** What one of the servers has refused since; undefined where none has. */
async function firstRefusal(
  context: RunContext,
  waiting: [string, ConfigLoad][],
): Promise<{ pod: string; refusal: string } | undefined> {
  const refusals = await Promise.all(
    waiting.map(async ([pod, before]) => ({ pod, before, refusal: await lastRefusal(context, pod) })),
  );
  return refusals.find(({ before, refusal }) => refusal !== '' && refusal !== before.refusal);
}

function refusedReload({ namespace, name }: RunContext, { pod, refusal }: { pod: string; refusal: string }): Problem {
  return new Problem({
    kind: 'unhealthy',
    tried: `Waiting for the servers of ${name} to load their new configuration`,
    reason: `${namespace}/${pod} refused it and keeps the old one: ${refusal.slice(refusal.indexOf(REFUSAL) + REFUSAL.length)}.`,
    next: 'Correct what it names and run again: a server that restarts before that may not come up.',
  });
}
