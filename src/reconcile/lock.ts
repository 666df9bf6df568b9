import type { Clock } from '../clock.ts';
import type { Labels } from '../desired/labels.ts';
import { isJsonObject } from '../json.ts';
import type { KubeClient } from '../kube/client.ts';
import type { KubeObject } from '../kube/object.ts';
import { Problem } from '../problem.ts';
import type { Log } from '../report/log.ts';

/** Seconds after which a holder that no longer renews is taken for dead. */
const LEASE_SECONDS = 30;
const RENEW_EVERY = 10_000;
const ASK_EVERY = 2_000;

export interface LockOptions {
  kube: KubeClient;
  clock: Clock;
  log: Log;
  namespace: string;
  name: string;
  labels: Labels;
  /** Who holds it, unique to this process and told in the others' logs: the workflow run's URL and a random part. */
  holder: string;
  /** Milliseconds since the epoch; waiting for another holder ends then. */
  deadline: number;
}

/**
 * Runs `work` while holding the cluster's Lease, so that two runs never interleave their writes. The Lease is renewed
 * while the work runs and given back in every case; a holder that stopped renewing for 30 s is taken over.
 */
export async function withLock<T>(options: LockOptions, work: () => Promise<T>): Promise<T> {
  let held = await acquire(options);
  let renewing: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    renewing = renewing.then(async () => {
      const renewed = await options.kube.replace(leaseOf(options, held)).catch(() => null);
      if (renewed !== null) held = renewed;
    });
  }, RENEW_EVERY);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    await renewing;
    await release(options, held);
  }
}

async function acquire(options: LockOptions): Promise<KubeObject> {
  const { kube, clock, log, namespace, name, deadline } = options;
  let told = '';
  let seen = { version: '', since: clock.now() };
  for (;;) {
    const current = await kube.get('Lease', namespace, name);
    if (current === null) {
      const created = await kube.create(leaseOf(options, null));
      if (created !== null) return created;
      continue;
    }
    const version = String(current.metadata.resourceVersion);
    if (version !== seen.version) seen = { version, since: clock.now() };
    const holder = holderOf(current);
    // The other's clock may be wrong: what counts is how long this run has seen no renewal.
    const dead = clock.now() - seen.since > LEASE_SECONDS * 1000;
    if (holder === '' || dead) {
      if (dead) log.warning(`The run that held the lock on ${name} stopped renewing it: ${holder}. Taking over.`);
      const taken = await kube.replace(leaseOf(options, current));
      if (taken !== null) return taken;
      continue;
    }
    if (clock.now() > deadline) throw lockProblem(options, holder);
    if (holder !== told) log.info(`Waiting for another run that works on ${name}: ${holder}`);
    told = holder;
    await clock.sleep(ASK_EVERY);
  }
}

async function release({ kube, log, name }: LockOptions, held: KubeObject): Promise<void> {
  const free = { ...held, spec: { ...(isJsonObject(held.spec) ? held.spec : {}), holderIdentity: '' } };
  try {
    await kube.replace(free);
  } catch {
    log.warning(`The lock on ${name} could not be released; it expires by itself after ${LEASE_SECONDS} s.`);
  }
}

function leaseOf({ namespace, name, labels, holder, clock }: LockOptions, current: KubeObject | null): KubeObject {
  const now = new Date(clock.now()).toISOString().replace('Z', '000Z');
  const spec = isJsonObject(current?.spec) ? current.spec : {};
  const acquireTime = spec.holderIdentity === holder ? spec.acquireTime : now;
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: current?.metadata ?? { name, namespace, labels },
    spec: { holderIdentity: holder, leaseDurationSeconds: LEASE_SECONDS, acquireTime, renewTime: now },
  };
}

function holderOf(lease: KubeObject): string {
  return isJsonObject(lease.spec) && typeof lease.spec.holderIdentity === 'string' ? lease.spec.holderIdentity : '';
}

function lockProblem({ namespace, name }: LockOptions, holder: string): Problem {
  return new Problem({
    kind: 'timeout',
    tried: `Waiting for the lock on NATS cluster ${name} (Lease ${namespace}/${name})`,
    reason: `Another run still works on it: ${holder}.`,
    next: 'Run again when it has ended, and give the workflow a concurrency group so that its runs queue up.',
  });
}
