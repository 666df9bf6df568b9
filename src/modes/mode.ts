import type { Clock } from '../clock.ts';
import type { Inputs } from '../inputs/table.ts';
import type { Access, KubeClient } from '../kube/client.ts';
import type { Deployment } from '../reconcile/inventory.ts';
import type { Log } from '../report/log.ts';
import type { Outputs, RunReport } from '../report/run-report.ts';
import type { VaultClient } from '../vault/client.ts';
import type { LoginPorts, VaultLogin } from '../vault/login.ts';

/** The outside world as a run sees it: main.ts gives the real one, tests give theirs. */
export interface RunPorts {
  kube: KubeClient;
  vault: VaultClient;
  /** For what a cancelled run gives back: clients that still send then, and give up within seconds. */
  leaving: { kube: KubeClient };
  /** What reaching Vault asks of the Kubernetes API, when it goes through its service proxy. */
  vaultAccess: Access[];
  loginPorts: LoginPorts;
  /** Called with the Vault token before it is used: masks it and keeps it for the post step. */
  onLogin(login: VaultLogin): void;
  setOutputs(outputs: Outputs): void;
  clock: Clock;
  log: Log;
  /** The text without the secrets of the inputs and of logins: for what is kept elsewhere than in the log. */
  redact(text: string): string;
  deployment: Deployment;
  /** Names this run in the lock: unique to the process. */
  holder: string;
}

/** What a run does by one of the values of the input mode. Rejects with a Problem; `report` tells how far it came. */
export type Mode = (inputs: Inputs, ports: RunPorts, report: RunReport) => Promise<void>;
