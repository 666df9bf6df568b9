import { dig, digObjects, digText, type Json } from '../../json.ts';
import { ADMISSION } from '../../kube/errors.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { RunContext } from '../context.ts';
import { revisionOf } from '../servers/stuck-pods.ts';
import { explain, MORE_MEMORY, type Trouble, troublesOf } from './diagnosis.ts';
import { memoryAdvice } from './memory-kills.ts';

/** Milliseconds after which a trouble that may still pass is told by a warning besides the progress. */
const TOLD_AFTER = 30_000;

/** Milliseconds: a StatefulSet's controller that may make a pod does so at once. */
const CREATION_PATIENCE = 20_000;

/** Milliseconds between two questions to others about the same trouble. */
const STUDY_EVERY = 5_000;

/** By these an autoscaler tells that it brings a node for a pod: cluster-autoscaler, Karpenter. */
const NODE_IS_COMING = ['TriggeredScaleUp', 'Nominated'];

interface Sighting {
  /** When it was seen first, and last studied; milliseconds since the epoch. */
  since: number;
  at: number;
  found: Trouble;
  /** With what others than the pod tell of it. */
  trouble: Trouble;
  isTold?: boolean;
}

/**
 * Looks for what keeps the pods of a StatefulSet from coming up, at each call. One that lasts is told by a warning once, and
 * one that lasts longer than waiting can help ends the wait: by its explanation, with events and log lines.
 *
 * @returns what to call with each look; it resolves to the worst trouble, undefined where there is none
 */
export function watchForTroubles(
  context: RunContext,
): (statefulSet: KubeObject, pods: KubeObject[]) => Promise<Trouble | undefined> {
  const { clock, log } = context;
  let sightings = new Map<string, Sighting>();
  return async (statefulSet, pods) => {
    const [first = await creationTrouble(context, statefulSet, pods)] = troublesOf(currentOf(statefulSet, pods));
    const before = first && sightings.get(keyOf(first));
    sightings = new Map();
    if (first === undefined) return undefined;
    const now = clock.now();
    const isFresh = before !== undefined && before.found.reason === first.reason && now - before.at < STUDY_EVERY;
    const sighting: Sighting = isFresh
      ? before
      : { ...before, since: before?.since ?? now, at: now, found: first, trouble: await studied(context, first, pods) };
    sightings.set(keyOf(first), sighting);
    const { trouble, since } = sighting;
    if (now - since >= trouble.patience) throw await explain(context, trouble);
    if (now - since >= TOLD_AFTER && !sighting.isTold) {
      sighting.isTold = true;
      log.warning(`${trouble.name} cannot start yet: ${trouble.reason}. ${trouble.next}`);
    }
    return trouble;
  };
}

/** Pods of an older revision are replaced anyway. */
function currentOf({ status }: KubeObject, pods: KubeObject[]): KubeObject[] {
  const revision = digText(status, 'updateRevision');
  return pods.filter((pod) => revisionOf(pod) === revision);
}

/** The same trouble may be told in other words at the next look; whether it is hopeless makes another one of it. */
function keyOf({ kind, name, uid, container, patience }: Trouble): string {
  return [kind, name, uid, container, patience].join('/');
}

/** The trouble with what others than the pod itself tell of it. */
async function studied(context: RunContext, trouble: Trouble, pods: KubeObject[]): Promise<Trouble> {
  if (trouble.next === MORE_MEMORY) return { ...trouble, next: await memoryAdvice(context) };
  const pod = pods.find(({ metadata }) => metadata.name === trouble.name);
  if (pod === undefined || trouble.container !== '') return trouble;
  const [claims, comes] = await Promise.all([claimTroubles(context, pod), mayNodeCome(context, pod)]);
  return {
    ...trouble,
    reason: [trouble.reason, ...claims].map((words) => words.replace(/\.$/, '')).join('; '),
    ...(claims.length > 0 ? { next: CHECK_STORAGE } : {}),
    ...(comes ? { patience: Number.POSITIVE_INFINITY } : {}),
  };
}

/** What the StatefulSet's controller may not make, in the words of who refused it: a quota or a policy; undefined where it may. */
async function creationTrouble(
  { kube, namespace }: RunContext,
  { metadata, spec }: KubeObject,
  pods: KubeObject[],
): Promise<Trouble | undefined> {
  if (pods.length >= Number(dig(spec, 'replicas') ?? 0)) return undefined;
  const uid = digText(metadata, 'uid');
  const events = await kube.list('Event', namespace, { fields: `involvedObject.uid=${uid},type=Warning` });
  const refusal = latest(events.filter(({ reason }) => reason === 'FailedCreate'));
  if (refusal === undefined) return undefined;
  const reason = digText(refusal, 'message');
  const { next } = ADMISSION;
  return { kind: 'StatefulSet', name: metadata.name, uid, container: '', reason, next, patience: CREATION_PATIENCE };
}

/** What is said of a claim that gets no volume; other events of its are the usual course. */
const NO_VOLUME = ['ProvisioningFailed', 'ExternalProvisioning', 'FailedBinding'];

const CHECK_STORAGE =
  'See that the StorageClass exists, that its provisioner runs and has room (kubectl get storageclass,pv), and that a quota allows the volumes.';

/** Why claims of a pod have no volume: "claim data-nats-0: storageclass.storage.k8s.io \"fast\" not found". */
async function claimTroubles({ kube, namespace }: RunContext, pod: KubeObject): Promise<string[]> {
  const names = digObjects(pod.spec, 'volumes').map((volume) => digText(volume, 'persistentVolumeClaim', 'claimName'));
  const words = names
    .filter((name) => name !== '')
    .map(async (name) => {
      const claim = await kube.get('PersistentVolumeClaim', namespace, name);
      if (claim === null || digText(claim.status, 'phase') === 'Bound') return [];
      const uid = digText(claim.metadata, 'uid');
      const events = await kube.list('Event', namespace, { fields: `involvedObject.uid=${uid}` });
      const event = latest(events.filter(({ reason }) => NO_VOLUME.includes(text(reason))));
      return event === undefined ? [] : [`claim ${name}: ${digText(event, 'message')}`];
    });
  return (await Promise.all(words)).flat();
}

/** Whether time may bring a node: one is away or closed to pods at present, or an autoscaler said that it adds one. */
async function mayNodeCome({ kube, namespace }: RunContext, { metadata }: KubeObject): Promise<boolean> {
  const fields = `involvedObject.uid=${digText(metadata, 'uid')},type=Normal`;
  const [nodes, events] = await Promise.all([kube.list('Node', undefined), kube.list('Event', namespace, { fields })]);
  return nodes.some(isAway) || events.some(({ reason }) => NODE_IS_COMING.includes(text(reason)));
}

function isAway({ spec, status }: KubeObject): boolean {
  const ready = digObjects(status, 'conditions').find(({ type }) => type === 'Ready');
  return dig(spec, 'unschedulable') === true || (ready !== undefined && ready.status !== 'True');
}

/** The event that was seen last; of those without a count it is when they were made. */
function latest(events: KubeObject[]): KubeObject | undefined {
  return events.toSorted((a, b) => timeOf(a) - timeOf(b)).at(-1);
}

function timeOf({ lastTimestamp, eventTime, metadata }: KubeObject): number {
  return Date.parse(text(lastTimestamp) || text(eventTime) || digText(metadata, 'creationTimestamp')) || 0;
}

function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}
