import type { Inputs } from '../../src/inputs/table.ts';
import type { WriteContext } from '../../src/reconcile/context.ts';
import { emptyReport } from '../../src/report/run-report.ts';
import { fakeClock } from '../fakes/clock.ts';
import { fakeKube } from '../fakes/kube.ts';
import { recordedLog } from '../fakes/log.ts';
import { fakeVaultClient } from '../fakes/vault.ts';
import { inputsWith } from '../inputs/inputs-with.ts';

/** What a step of a run on cluster "nats-a" in namespace "demo" is given, all of it fake; it waits for a minute. */
export function contextWith(inputs: Partial<Inputs> = {}) {
  const clock = fakeClock();
  const journal: string[] = [];
  const kube = fakeKube(journal);
  kube.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'demo' } });
  return {
    inputs: inputsWith(inputs),
    kube,
    vault: fakeVaultClient(journal),
    clock,
    log: recordedLog(),
    report: emptyReport(),
    namespace: 'demo',
    name: 'nats-a',
    deadline: clock.now() + 60_000,
    assertHeld: () => {},
    journal,
  } satisfies WriteContext & { journal: string[] };
}

export const LABELS = { 'app.kubernetes.io/name': 'nats', 'app.kubernetes.io/instance': 'nats-a' };
