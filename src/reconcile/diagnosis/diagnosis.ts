import { dig, digObjects, digText, type JsonObject } from '../../json.ts';
import type { KubeObject } from '../../kube/object.ts';
import { Problem } from '../../problem.ts';
import type { RunContext } from '../context.ts';

const LOG_LINES = 8;

/** Restarts after which a container that is down is not expected to recover by itself. */
const HOPELESS_RESTARTS = 3;

/** Milliseconds: some pass, as when a Secret or a file is late. */
const SHORT_PATIENCE = 10_000;

/** Milliseconds: pods of others may leave and make room, a provisioner may be slow. */
const LONG_PATIENCE = 120_000;

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

/** What keeps a server from coming up. */
export interface Trouble {
  /** What has it. */
  kind: 'Pod' | 'StatefulSet';
  name: string;
  /** Tells its events from those of one of the same name before it. */
  uid: string;
  /** '' where it is not a container that has it. */
  container: string;
  /** In one sentence, without its full stop. */
  reason: string;
  next: string;
  /** Milliseconds that it may last until waiting on is taken for hopeless; Infinity: time may well cure it. */
  patience: number;
}

/** What the pods say of their troubles, the hopeless first; empty when they only need time. */
export function troublesOf(pods: KubeObject[]): Trouble[] {
  const troubles = pods.flatMap((pod) => [...schedulingTroubles(pod), ...containerTroubles(pod)]);
  return troubles.sort((a, b) => (a.patience < b.patience ? -1 : a.patience > b.patience ? 1 : 0));
}

/** A sentence for the progress: "nats-0: not scheduled: ..." */
export function troubleText({ name, reason }: Trouble): string {
  return `${name}: ${reason}`;
}

function identityOf({ metadata }: KubeObject): Pick<Trouble, 'kind' | 'name' | 'uid'> {
  return { kind: 'Pod', name: metadata.name, uid: digText(metadata, 'uid') };
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
      patience: LONG_PATIENCE,
    }));
}

function containerTroubles(pod: KubeObject): Trouble[] {
  return digObjects(pod.status, 'containerStatuses').flatMap((status) => {
    const trouble = containerTrouble(status);
    return trouble === null ? [] : [{ ...identityOf(pod), container: digText(status, 'name'), ...trouble }];
  });
}

function containerTrouble(status: JsonObject): Pick<Trouble, 'reason' | 'next' | 'patience'> | null {
  const reason = digText(status, 'state', 'waiting', 'reason');
  const next = HOPELESS_WAITING[reason];
  if (next !== undefined) {
    return { reason: `${reason}: ${digText(status, 'state', 'waiting', 'message')}`, next, patience: SHORT_PATIENCE };
  }
  const restarts = Number(dig(status, 'restartCount') ?? 0);
  const ended = dig(status, 'state', 'terminated') ?? dig(status, 'lastState', 'terminated');
  if (restarts === 0 || status.ready === true) return null;
  // One that runs at present may only need time, whatever happened in the past: it may be catching up.
  const hopeless = restarts >= HOPELESS_RESTARTS && dig(status, 'state', 'running') === undefined;
  const patience = hopeless ? SHORT_PATIENCE : Number.POSITIVE_INFINITY;
  if (digText(ended, 'reason') === OUT_OF_MEMORY) {
    return {
      reason: `out of memory, ${restarts} ${restarts === 1 ? 'restart' : 'restarts'}`,
      next: MORE_MEMORY,
      patience,
    };
  }
  return {
    reason: `exited with code ${digText(ended, 'exitCode') || 'unknown'}, ${restarts} ${restarts === 1 ? 'restart' : 'restarts'}`,
    next: "The container's last log lines are above; correct what they name and run again.",
    patience,
  };
}

/** The kubelet's word for a container that the kernel killed at its memory limit. */
export const OUT_OF_MEMORY = 'OOMKilled';

/** Until memoryAdvice tells by how much. */
export const MORE_MEMORY = 'Raise the input minimum_memory_mb.';

/** The trouble as an error, with its last warnings and log lines written to the log first. */
export async function explain({ kube, log, namespace }: RunContext, trouble: Trouble): Promise<Problem> {
  const { kind, name, uid, container } = trouble;
  const events = await kube.list('Event', namespace, { fields: `involvedObject.uid=${uid},type=Warning` });
  for (const event of events.slice(-LOG_LINES))
    log.info(`  event  ${digText(event, 'reason')}: ${digText(event, 'message')}`);
  if (container !== '') {
    const previous = await kube.podLog(namespace, name, container, { tailLines: LOG_LINES, previous: true });
    const text = previous || (await kube.podLog(namespace, name, container, { tailLines: LOG_LINES, previous: false }));
    for (const line of text.split('\n').filter((line) => line !== '')) log.info(`  ${container}  ${line}`);
  }
  const what = kind === 'Pod' ? `Starting pod ${namespace}/${name}` : `Making the pods of ${kind} ${namespace}/${name}`;
  return new Problem({
    kind: 'unhealthy',
    tried: `${what}${container === '' ? '' : `, container ${container}`}`,
    reason: `${trouble.reason}.`,
    next: trouble.next,
  });
}
