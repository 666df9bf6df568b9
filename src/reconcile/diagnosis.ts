import { dig, digObjects, digText, type JsonObject } from '../json.ts';
import type { KubeObject } from '../kube/object.ts';
import { Problem } from '../problem.ts';
import type { RunContext } from './context.ts';

const LOG_LINES = 8;

/** Restarts after which a container that is down is not expected to recover by itself. */
const HOPELESS_RESTARTS = 3;

const CHECK_IMAGE =
  'Check the image name and tag (inputs nats_version, nats_image, reloader_image, exporter_image, pull_through_registry) and the registry.';

/** Why a container does not run, by the kubelet's reason, and what to do about it. */
const HOPELESS_WAITING: { [reason: string]: string } = {
  ErrImagePull: CHECK_IMAGE,
  ImagePullBackOff: CHECK_IMAGE,
  InvalidImageName: 'Correct the image input.',
  CreateContainerConfigError: 'The pod names a Secret or ConfigMap that does not exist: look at its events.',
  CreateContainerError: "The container runtime refused the container: look at the pod's events.",
};

/** A pod's trouble in one sentence, and whether waiting on cannot help. */
export interface Trouble {
  pod: string;
  /** Tells the pod's events from those of a pod of the same name before it. */
  uid: string;
  container: string;
  reason: string;
  next: string;
  hopeless: boolean;
}

/** What keeps the pods from becoming Ready, the hopeless first; empty when they only need time. */
export function troublesOf(pods: KubeObject[]): Trouble[] {
  const troubles = pods.flatMap((pod) => [...schedulingTroubles(pod), ...containerTroubles(pod)]);
  return troubles.sort((a, b) => Number(b.hopeless) - Number(a.hopeless));
}

function identityOf({ metadata }: KubeObject): { pod: string; uid: string } {
  return { pod: metadata.name, uid: digText(metadata, 'uid') };
}

/** The scheduler does not say which taints: the inputs that tolerate some are named all. */
const UNSCHEDULABLE =
  'Add nodes that fit (kubectl describe nodes tells their taints and labels), or relax the inputs host_anti_affinity, zone_spread, ' +
  'instance_type_anti_affinity_required, or spot_, arm_, burstable_ and controller_nodes_enabled. Where memory is short, lower minimum_memory_mb.';

function schedulingTroubles(pod: KubeObject): Trouble[] {
  return digObjects(pod.status, 'conditions')
    .filter((condition) => condition.type === 'PodScheduled' && condition.status === 'False')
    .map((condition) => ({
      ...identityOf(pod),
      container: '',
      reason: `not scheduled: ${digText(condition, 'message')}`,
      next: UNSCHEDULABLE,
      hopeless: false,
    }));
}

function containerTroubles(pod: KubeObject): Trouble[] {
  return digObjects(pod.status, 'containerStatuses').flatMap((status) => {
    const trouble = containerTrouble(status);
    return trouble === null ? [] : [{ ...identityOf(pod), container: digText(status, 'name'), ...trouble }];
  });
}

function containerTrouble(status: JsonObject): Omit<Trouble, 'pod' | 'uid' | 'container'> | null {
  const reason = digText(status, 'state', 'waiting', 'reason');
  const next = HOPELESS_WAITING[reason];
  if (next !== undefined) {
    return { reason: `${reason}: ${digText(status, 'state', 'waiting', 'message')}`, next, hopeless: true };
  }
  const restarts = Number(dig(status, 'restartCount') ?? 0);
  const ended = dig(status, 'state', 'terminated') ?? dig(status, 'lastState', 'terminated');
  if (restarts === 0 || status.ready === true) return null;
  // One that runs at present may only need time, whatever happened in the past: it may be catching up.
  const hopeless = restarts >= HOPELESS_RESTARTS && dig(status, 'state', 'running') === undefined;
  if (digText(ended, 'reason') === 'OOMKilled') {
    return {
      reason: `out of memory, ${restarts} ${restarts === 1 ? 'restart' : 'restarts'}`,
      next: 'Raise the input minimum_memory_mb: 55 MB and 20 MB more for each stream written at the same time, 256 MB with large messages.',
      hopeless,
    };
  }
  return {
    reason: `exited with code ${digText(ended, 'exitCode') || 'unknown'}, ${restarts} ${restarts === 1 ? 'restart' : 'restarts'}`,
    next: "The container's last log lines are above; correct what they name and run again.",
    hopeless,
  };
}

/** The trouble as an error, with the pod's last warnings and log lines written to the log first. */
export async function explain({ kube, log, namespace }: RunContext, trouble: Trouble): Promise<Problem> {
  const { pod, uid, container } = trouble;
  const fields = `involvedObject.uid=${uid},type=Warning`;
  const events = await kube.list('Event', namespace, { fields });
  for (const event of events.slice(-LOG_LINES))
    log.info(`  event  ${digText(event, 'reason')}: ${digText(event, 'message')}`);
  if (container !== '') {
    const previous = await kube.podLog(namespace, pod, container, { tailLines: LOG_LINES, previous: true });
    const text = previous || (await kube.podLog(namespace, pod, container, { tailLines: LOG_LINES, previous: false }));
    for (const line of text.split('\n').filter((line) => line !== '')) log.info(`  ${container}  ${line}`);
  }
  return new Problem({
    kind: 'unhealthy',
    tried: `Starting pod ${namespace}/${pod}${container === '' ? '' : `, container ${container}`}`,
    reason: `${trouble.reason}.`,
    next: trouble.next,
  });
}
