import { selectorLabels } from '../desired/labels.ts';
import { dig, digText } from '../json.ts';
import { labelSelector } from '../kube/client.ts';
import type { KubeObject } from '../kube/object.ts';
import { MANAGER } from '../manager.ts';
import { PORTS } from '../nats/layout.ts';
import type { RunContext } from './context.ts';
import { explain, troublesOf } from './diagnosis.ts';
import { replaceStuckPods, revisionOf } from './stuck-pods.ts';
import { type Progress, until } from './until.ts';

/** Touched on a pod so that its kubelet looks at the ConfigMap at once. */
const CONFIG_HASH_ANNOTATION = `${MANAGER}/config-hash`;

/** Milliseconds between the first sight of a hopeless pod and the end of the wait: some troubles pass (a late Secret). */
const GRACE = 10_000;

/**
 * Waits until the StatefulSet runs its present revision on every pod and all are Ready. Ends early, with the pod's
 * events and log, when a pod of the present revision cannot come up by itself.
 */
export async function waitForRollout(context: RunContext): Promise<void> {
  const { kube, clock, namespace, name } = context;
  let hopelessSince: number | undefined;
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
      const [trouble] = troublesOf(current);
      if (trouble === undefined) return progress;
      hopelessSince = trouble.hopeless ? (hopelessSince ?? clock.now()) : undefined;
      if (hopelessSince !== undefined && clock.now() - hopelessSince >= GRACE) throw await explain(context, trouble);
      return { done: false, missing: `${progress.missing}; ${trouble.pod}: ${trouble.reason}`, next: trouble.next };
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

/** What selects the servers' pods and no other of the same instance, as those of disruption windows are. */
export function podSelector(name: string): string {
  return labelSelector(selectorLabels(name));
}

/** The servers' pods. */
export function podsOf({ kube, namespace, name }: RunContext): Promise<KubeObject[]> {
  return kube.list('Pod', namespace, { labels: podSelector(name) });
}

/** When each pod's server last loaded its configuration, by pod; '' where it does not answer. */
export async function configLoadTimes(context: RunContext): Promise<Map<string, string>> {
  const { kube, namespace } = context;
  const pods = await podsOf(context);
  const times = await Promise.all(
    pods.map(async ({ metadata: { name } }): Promise<[string, string]> => {
      const varz = await kube.getFromPod(namespace, name, PORTS.monitoring, '/varz');
      return [name, digText(varz ?? undefined, 'config_load_time')];
    }),
  );
  return new Map(times);
}

/** Makes the kubelets bring changed files to the pods at once: by themselves they look about once a minute. */
export async function touchPods({ kube, namespace }: RunContext, pods: string[], configHash: string): Promise<void> {
  const patch = { metadata: { annotations: { [CONFIG_HASH_ANNOTATION]: configHash } } };
  await Promise.all(pods.map((pod) => kube.patch('Pod', namespace, pod, patch)));
}

/**
 * Waits until every server has loaded a changed nats.conf, by the reloader's signal or by a restart.
 *
 * @param before what configLoadTimes told before the ConfigMap was written
 */
export async function waitForReload(context: RunContext, before: Map<string, string>): Promise<void> {
  const { namespace, name } = context;
  await until(
    {
      ...context,
      every: 200,
      tried: `Waiting for the servers of ${name} to load their new configuration`,
      next: `Look at: kubectl -n ${namespace} logs -l ${podSelector(name)} -c nats --tail=20. A server that refuses a configuration keeps the old one.`,
    },
    async () => {
      const now = await configLoadTimes(context);
      // A pod that is gone was scaled away: there is no server left to load anything.
      const waiting = [...before]
        .filter(([pod, time]) => now.has(pod) && (now.get(pod) || time) === time)
        .map(([pod]) => pod);
      return waiting.length === 0
        ? { done: true }
        : { done: false, missing: `not reloaded yet: ${waiting.join(', ')}` };
    },
  );
}
