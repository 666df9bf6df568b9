import type { Clock } from '../clock.ts';
import type { Inputs } from '../inputs/table.ts';
import type { KubeClient, KubeReader } from '../kube/client.ts';
import type { Log } from '../report/log.ts';
import type { RunReport } from '../report/run-report.ts';
import type { VaultClient } from '../vault/client.ts';

/** What every step of a run on one NATS cluster is given: without the lock it can only read what is in Kubernetes. */
export interface RunContext {
  inputs: Inputs;
  kube: KubeReader;
  vault: VaultClient;
  clock: Clock;
  log: Log;
  report: RunReport;
  namespace: string;
  /** The NATS cluster's name. */
  name: string;
  /** Milliseconds since the epoch at which every wait of the run ends: its start and the input timeout. */
  deadline: number;
}

/** A run that holds the cluster's lock. */
export interface WriteContext extends RunContext {
  kube: KubeClient;
  /** Throws once another run may have taken the lock; called before every write. */
  assertHeld(): void;
}
