import type { Clock } from './clock.ts';
import { windowNotices } from './desired/disruption/notices.ts';
import { commonLabels } from './desired/labels.ts';
import { clusterOutputs } from './desired/outputs.ts';
import type { Inputs } from './inputs/table.ts';
import type { Access, KubeClient } from './kube/client.ts';
import type { RunContext } from './reconcile/context.ts';
import { chooseName } from './reconcile/identity.ts';
import { clustersIn, type Deployment } from './reconcile/inventory.ts';
import { withLock } from './reconcile/lock.ts';
import { compare, type Intent, intend } from './reconcile/look.ts';
import { lookAtOtherRoles } from './reconcile/other-roles.ts';
import { isEmpty } from './reconcile/plan.ts';
import { inspectTarget, type Target } from './reconcile/preflight.ts';
import { record } from './reconcile/record.ts';
import { settle } from './reconcile/settle.ts';
import { writePlan } from './reconcile/write.ts';
import type { Log } from './report/log.ts';
import type { Outputs, RunReport } from './report/run-report.ts';
import type { VaultClient } from './vault/client.ts';
import { type LoginPorts, login, type VaultLogin } from './vault/login.ts';
import { checkCapabilities, checkHealth, checkMounts } from './vault/preflight.ts';

/** Writing once may teach what the next comparison needs: the data volumes, their claims and their real size. */
const MOST_PASSES = 2;

const ADAPTED =
  'Adapted to this cluster: it lacks what some defaults ask for. The log and the summary tell what takes its place.';

/** The outside world as a run sees it: main.ts gives the real one, tests give theirs. */
export interface RunPorts {
  kube: KubeClient;
  vault: VaultClient;
  /** What reaching Vault asks of the Kubernetes API, when it goes through its service proxy. */
  vaultAccess: Access[];
  loginPorts: LoginPorts;
  /** Called with the Vault token before it is used: masks it and keeps it for the post step. */
  onLogin(login: VaultLogin): void;
  setOutputs(outputs: Outputs): void;
  clock: Clock;
  log: Log;
  deployment: Deployment;
  /** Names this run in the lock: unique to the process. */
  holder: string;
}

/**
 * Makes the cluster what the inputs say: looks, writes only what differs, waits and verifies. Rejects with a Problem;
 * what was done by then is completed by the next run.
 */
export async function run(inputs: Inputs, ports: RunPorts, report: RunReport): Promise<void> {
  const deadline = ports.clock.now() + inputs.timeout * 1000;
  const [target] = await both(inspectTarget(ports.kube, inputs, ports.vaultAccess), logIn(inputs, ports));
  const name = await identify(inputs, ports, target);
  const context: RunContext = { ...ports, inputs, report, namespace: inputs.namespace, name, deadline };

  const intent = await intend(context, target);
  announce(intent, context);
  await both(
    checkMounts(ports.vault, intent.desired.vault),
    checkCapabilities(ports.vault, intent.desired.vault, inputs.mode),
  );
  const [plan] = await both(
    compare(context, target.namespaceExists, intent),
    lookAtOtherRoles(context, intent.desired.vault),
  );
  ports.setOutputs({ changed: 'false' });
  if (isEmpty(plan)) ports.log.info('Nothing to change: no write to Kubernetes or Vault.');
  else await converge(context, ports, target);
  if (inputs.wait) await settle(context);
}

async function logIn(inputs: Inputs, { vault, loginPorts, onLogin }: RunPorts): Promise<void> {
  await checkHealth(vault);
  onLogin(await login(vault, inputs, loginPorts));
}

/** Settles on the cluster's name, and tells all outputs that follow from it: a later step may fail. */
async function identify(inputs: Inputs, ports: RunPorts, target: Target): Promise<string> {
  const existing = target.namespaceExists ? await clustersIn(ports.kube, inputs.namespace) : [];
  const name = chooseName(inputs.name, existing, target.clusterUid, inputs.namespace);
  ports.log.info(`NATS cluster ${name} in namespace ${inputs.namespace}, Kubernetes ${target.kubernetesVersion}`);
  ports.setOutputs(clusterOutputs(inputs, name));
  return name;
}

function announce({ adaptations, desired }: Intent, { inputs, clock, log, report }: RunContext): void {
  report.adaptations = adaptations;
  report.notices = [...desired.notices, ...windowNotices(inputs, new Date(clock.now()))];
  for (const { wanted, instead } of adaptations) log.info(`Without ${wanted}: ${instead}`);
  if (adaptations.length > 0) log.notice(ADAPTED);
  for (const { severity, input, message } of report.notices) log[severity](`${input}: ${message}`);
}

/** Looks again under the lock, as another run may have written since, and writes what differs then. */
async function converge(context: RunContext, ports: RunPorts, target: Target): Promise<void> {
  const { kube, inputs, namespace, name } = context;
  if (!target.namespaceExists) {
    ports.setOutputs({ changed: 'true' });
    await kube.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
    record(context, { action: 'create', object: `Namespace ${namespace}`, fields: [] });
  }
  const lock = { ...context, holder: ports.holder, labels: commonLabels(inputs, name) };
  await withLock(lock, async (assertHeld) => {
    for (let pass = 1; pass <= MOST_PASSES; pass++) {
      const intent = await intend(context, { ...target, namespaceExists: true });
      const plan = await compare(context, true, intent);
      if (isEmpty(plan)) return;
      ports.setOutputs({ changed: 'true' });
      if (pass > 1) context.log.info('The data volumes exist now: applying what follows from them');
      await writePlan({ ...context, assertHeld }, plan, intent.desired, ports.deployment);
    }
  });
}

/** Waits for both even when one fails: what the other one did must be known before the run ends. */
async function both<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([first, second]);
  return Promise.all([first, second]);
}
