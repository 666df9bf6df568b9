import { windowNotices } from '../desired/disruption/notices.ts';
import { clusterOutputs } from '../desired/outputs.ts';
import type { Inputs } from '../inputs/table.ts';
import { inspectTarget, type Target } from '../reconcile/access/preflight.ts';
import { adoptionNotices } from '../reconcile/adoption/leftovers.ts';
import type { RunContext } from '../reconcile/context.ts';
import { chooseName, chooseRemoved } from '../reconcile/identity.ts';
import { clustersIn } from '../reconcile/inventory.ts';
import { compare, type Intent, intend } from '../reconcile/plan/look.ts';
import type { Plan } from '../reconcile/plan/plan.ts';
import { lookAtOtherRoles } from '../reconcile/verify/other-roles.ts';
import type { RunReport } from '../report/run-report.ts';
import { together } from '../together.ts';
import { login } from '../vault/login.ts';
import { checkCapabilities, checkHealth, checkMounts } from '../vault/preflight.ts';
import type { RunPorts } from './mode.ts';

const ADAPTED =
  'Adapted to this cluster: it lacks what some defaults ask for. The log and the summary tell what takes its place.';

/** What a run that compares starts from. */
export interface Opening {
  context: RunContext;
  target: Target;
  intent: Intent;
  plan: Plan;
}

/** Looks at the target and at Vault, settles what should be and compares: without a write. */
export async function open(inputs: Inputs, ports: RunPorts, report: RunReport): Promise<Opening> {
  const deadline = ports.clock.now() + inputs.timeout * 1000;
  const [target] = await together([inspectTarget(ports.kube, inputs, ports.vaultAccess), logIn(inputs, ports)]);
  const name = await identify(inputs, ports, target);
  const context: RunContext = { ...ports, inputs, report, namespace: inputs.namespace, name, deadline };

  const intent = await intend(context, target);
  announce(intent, context);
  await together([
    checkMounts(ports.vault, intent.desired.vault),
    checkCapabilities(ports.vault, intent.desired.vault, inputs.mode),
  ]);
  const [plan] = await together([
    compare(context, target.namespaceExists, intent),
    lookAtOtherRoles(context, intent.desired.vault),
  ]);
  ports.setOutputs({ changed: 'false' });
  return { context, target, intent, plan };
}

/** Logs in to Vault, once it is known to be unsealed. */
export async function logIn(inputs: Inputs, { vault, loginPorts, onLogin }: RunPorts): Promise<void> {
  await checkHealth(vault);
  onLogin(await login(vault, inputs, loginPorts));
}

/** Settles on the cluster's name, and tells all outputs that follow from it: a later step may fail. */
export async function identify(
  inputs: Inputs,
  ports: RunPorts,
  target: Pick<Target, 'namespaceExists' | 'clusterUid' | 'kubernetesVersion'>,
): Promise<string> {
  const existing = target.namespaceExists ? await clustersIn(ports.kube, inputs.namespace) : [];
  const choose = inputs.mode === 'destroy' ? chooseRemoved : chooseName;
  const name = choose(inputs.name, existing, target.clusterUid, inputs.namespace);
  ports.log.info(`NATS cluster ${name} in namespace ${inputs.namespace}, Kubernetes ${target.kubernetesVersion}`);
  ports.setOutputs(clusterOutputs(inputs, name));
  return name;
}

/** Tells what is adapted to the target and what the inputs deserve to be told about; in the summary as well. */
export function announce({ adaptations, desired, adoption }: Intent, { inputs, clock, log, report }: RunContext): void {
  report.adaptations = adaptations;
  report.notices = [
    ...desired.notices,
    ...windowNotices(inputs, new Date(clock.now())),
    ...(adoption === null ? [] : adoptionNotices(adoption)),
  ];
  for (const { wanted, instead } of adaptations) log.info(`Without ${wanted}: ${instead}`);
  if (adaptations.length > 0) log.notice(ADAPTED);
  for (const { severity, input, message } of report.notices) log[severity](`${input}: ${message}`);
}
