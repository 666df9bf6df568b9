import type { Clock } from '../../clock.ts';
import { type Labels, MANAGED_BY, selectorLabels } from '../../desired/labels.ts';
import { dig, digText, isJsonObject, type Json } from '../../json.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { MANAGER } from '../../manager.ts';
import { isCancelled, Problem } from '../../problem.ts';
import type { Log } from '../../report/log.ts';
import type { RunContext } from '../context.ts';

/** Seconds after which a holder that no longer renews is taken for dead. */
const LEASE_SECONDS = 60;
/** Seconds without a renewal after which a holder begins no write: one that it has begun may be tried for half a minute. */
const HELD_SECONDS = 30;
const RENEW_EVERY = 10_000;
const ASK_EVERY = 2_000;

export interface LockOptions {
  kube: KubeClient;
  /** Gives the Lease back when the run is cancelled. */
  leaving: { kube: KubeClient };
  clock: Clock;
  log: Log;
  namespace: string;
  name: string;
  labels: Labels;
  /** Who holds it, unique to this process and told in the others' logs: the workflow run's URL and a random part. */
  holder: string;
  /** Milliseconds since the epoch; waiting for another holder ends then. */
  deadline: number;
  /** Whether the Lease goes as well when the work has succeeded, as the cluster is no more. */
  removes?: boolean;
}

/**
 * Runs `work` while holding the cluster's Lease, so that two runs never interleave their writes. The Lease is renewed
 * while the work runs and given back in every case; a holder that stopped renewing for a minute is taken over.
 *
 * @param work has to call `assertHeld` before it writes: it throws once another run may have taken over, as when this
 *   machine slept or lost its network
 */
export async function withLock<T>(options: LockOptions, work: (assertHeld: () => void) => Promise<T>): Promise<T> {
  const { clock } = options;
  let { lease, since: renewed } = await acquire(options);
  const ended = new AbortController();
  let taken = false;

  async function renew(): Promise<void> {
    const started = clock.now();
    try {
      const stored = await write(options, lease, options.holder);
      taken = stored === null;
      if (stored === null) return;
      lease = stored;
      renewed = started;
    } catch {
      // The next attempt, or the end of what the last one gave.
    }
  }

  async function renewAgainAndAgain(): Promise<void> {
    while (await slept(clock, RENEW_EVERY, ended.signal)) await renew();
  }

  const renewing = renewAgainAndAgain();
  let removes = false;
  try {
    const result = await work(() => {
      if (taken) throw lostProblem(options, 'Another run has taken it.');
      if (clock.now() - renewed > HELD_SECONDS * 1000) {
        throw lostProblem(options, `It could not be renewed for ${HELD_SECONDS} s, so another run may have taken it.`);
      }
    });
    removes = options.removes === true && isLockOf(lease, options.name);
    return result;
  } finally {
    ended.abort();
    await renewing;
    await (removes ? remove(options, lease) : release(options, lease));
  }
}

/** False when there is nothing to wait for any more: `needless` was aborted, or the run cancelled. */
function slept(clock: Clock, milliseconds: number, needless: AbortSignal): Promise<boolean> {
  return clock.sleep(milliseconds, needless).then(
    () => true,
    () => false,
  );
}

/** Resolves to the Lease and the time (milliseconds) before it was written. */
async function acquire(options: LockOptions): Promise<{ lease: KubeObject; since: number }> {
  const { kube, clock, log, namespace, name, deadline } = options;
  let told = '';
  let seen = { version: '', since: clock.now() };
  for (;;) {
    const current = await kube.get('Lease', namespace, name);
    if (current !== null && !isLockOf(current, name)) throw foreignProblem(options);
    const version = String(current?.metadata.resourceVersion);
    if (version !== seen.version) seen = { version, since: clock.now() };
    const holder = current === null ? '' : holderOf(current);
    // The other's clock may be wrong: what counts is how long this run has seen no renewal.
    const dead = clock.now() - seen.since > LEASE_SECONDS * 1000;
    // It is this run's own when the answer to its first write was lost.
    if (holder === '' || holder === options.holder || dead) {
      if (dead) log.warning(`The run that held the lock on ${name} stopped renewing it: ${holder}. Taking over.`);
      const since = clock.now();
      const wanted = leaseOf(options, current, options.holder);
      const lease = await (current === null ? kube.create(wanted) : kube.replace(wanted));
      if (lease !== null) return { lease, since };
    }
    if (clock.now() > deadline) throw waitedProblem(options, holder);
    if (holder !== '' && holder !== told) log.info(`Waiting for another run that works on ${name}: ${holder}`);
    told = holder;
    await clock.sleep(ASK_EVERY);
  }
}

async function release(options: LockOptions, lease: KubeObject): Promise<void> {
  try {
    await evenCancelled(options, (kube) => write({ ...options, kube }, lease, ''));
  } catch {
    options.log.warning(
      `The lock on ${options.name} could not be released; it expires by itself after ${LEASE_SECONDS} s.`,
    );
  }
}

/** Who waits for it makes a new one. A Lease that cannot be deleted is given back. */
async function remove(options: LockOptions, lease: KubeObject): Promise<void> {
  const { namespace, name, holder } = options;
  try {
    await evenCancelled(options, async (kube) => {
      if ((await kube.removeUnchanged(lease)) !== 'changed') return;
      // The answer to the last renewal may have got lost.
      const current = await kube.get('Lease', namespace, name);
      if (current !== null && holderOf(current) === holder) await kube.removeUnchanged(current);
    });
  } catch {
    await release(options, lease);
  }
}

/** A run that is cancelled gives the Lease back by the client that still sends. */
function evenCancelled<T>({ kube, leaving }: LockOptions, send: (kube: KubeClient) => Promise<T>): Promise<T> {
  return send(kube).catch((error: unknown) => (isCancelled(error) ? send(leaving.kube) : Promise.reject(error)));
}

/** Whether a run made the Lease for this cluster, rather than somebody else one of its name. */
export function isLockOf({ metadata: { labels = {} } }: KubeObject, cluster: string): boolean {
  const own = { ...selectorLabels(cluster), [MANAGED_BY]: MANAGER };
  return Object.entries(own).every(([key, value]) => labels[key] === value);
}

/**
 * Null when the Lease is another's by now. One that only changed is written still, as the answer to a write may get lost; one
 * that somebody deleted is made again for a holder, before anybody else takes it for free.
 */
async function write(options: LockOptions, lease: KubeObject, holder: string): Promise<KubeObject | null> {
  const { kube, namespace, name } = options;
  const stored = await kube.replace(leaseOf(options, lease, holder));
  if (stored !== null) return stored;
  const current = await kube.get('Lease', namespace, name);
  if (current === null) return holder === '' ? null : kube.create(leaseOf(options, null, holder));
  if (holderOf(current) !== options.holder) return null;
  return kube.replace(leaseOf(options, current, holder));
}

function leaseOf(
  { namespace, name, labels, clock }: LockOptions,
  current: KubeObject | null,
  holder: string,
): KubeObject {
  const now = new Date(clock.now()).toISOString().replace('Z', '000Z');
  const spec = isJsonObject(current?.spec) ? current.spec : {};
  const isHeld = spec.holderIdentity === holder;
  const acquireTime = isHeld ? spec.acquireTime : now;
  const isNewTurn = current !== null && !isHeld && holder !== '';
  const leaseTransitions = turnsIn(spec) + (isNewTurn ? 1 : 0);
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: current?.metadata ?? { name, namespace, labels },
    spec: {
      holderIdentity: holder,
      leaseDurationSeconds: LEASE_SECONDS,
      acquireTime,
      renewTime: now,
      leaseTransitions,
    },
  };
}

/** A time of holding the lock, told from all others by the Lease and a number that counts up. */
export interface Turn {
  /** uid; '' where there is none. */
  lease: string;
  number: number;
}

/** The turn of the present holder, who alone may ask. */
export async function presentTurn({
  kube,
  namespace,
  name,
}: Pick<RunContext, 'kube' | 'namespace' | 'name'>): Promise<Turn> {
  const lease = await kube.get('Lease', namespace, name);
  return { lease: digText(lease?.metadata, 'uid'), number: turnsIn(lease?.spec) };
}

/** Whether nobody else has had the lock between the two turns. */
export function isNext(turn: Turn, before: Turn): boolean {
  return turn.lease !== '' && turn.lease === before.lease && turn.number <= before.number + 1;
}

function turnsIn(spec: Json | undefined): number {
  return Number(dig(spec, 'leaseTransitions') ?? 0);
}

function holderOf(lease: KubeObject): string {
  return digText(lease.spec, 'holderIdentity');
}

function waitedProblem({ namespace, name }: LockOptions, holder: string): Problem {
  return new Problem({
    kind: 'timeout',
    tried: `Waiting for the lock on NATS cluster ${name} (Lease ${namespace}/${name})`,
    reason: `Another run still works on it: ${holder || 'others take it again and again'}.`,
    next: 'Run again when it has ended, and give the workflow a concurrency group so that its runs queue up.',
  });
}

function foreignProblem({ namespace, name }: LockOptions): Problem {
  return new Problem({
    kind: 'conflict',
    tried: `Taking the lock on NATS cluster ${name} (Lease ${namespace}/${name})`,
    reason: 'The Lease is not one of this action: its labels are others.',
    next: 'Nothing was written. Give the cluster another name by the input name, or remove the Lease if nobody uses it.',
  });
}

function lostProblem({ namespace, name }: LockOptions, reason: string): Problem {
  return new Problem({
    kind: 'conflict',
    tried: `Holding the lock on NATS cluster ${name} (Lease ${namespace}/${name})`,
    reason,
    next: 'Nothing more was written. Run again: the next run completes what is missing.',
  });
}
