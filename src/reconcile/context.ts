import type { Clock } from '../clock.ts';
import type { KubeClient } from '../kube/client.ts';
import type { Log } from '../report/log.ts';

/** What every step of a run on one NATS cluster is given. */
export interface RunContext {
  kube: KubeClient;
  clock: Clock;
  log: Log;
  namespace: string;
  /** The NATS cluster's name. */
  name: string;
  replicas: number;
  /** Milliseconds since the epoch at which every wait of the run ends: its start and the input timeout. */
  deadline: number;
}
