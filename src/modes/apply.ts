import { commonLabels } from '../desired/labels.ts';
import type { RunContext } from '../reconcile/context.ts';
import { withLock } from '../reconcile/lock.ts';
import { compare, intend } from '../reconcile/look.ts';
import { lookAtOtherRoles } from '../reconcile/other-roles.ts';
import { isEmpty } from '../reconcile/plan.ts';
import { inspectTarget, type Target } from '../reconcile/preflight.ts';
import { record } from '../reconcile/record.ts';
import { settle } from '../reconcile/settle.ts';
import { writePlan } from '../reconcile/write.ts';
import { checkCapabilities, checkMounts } from '../vault/preflight.ts';
import type { Mode, RunPorts } from './mode.ts';
import { announce, both, identify, logIn } from './opening.ts';

/** Writing once may teach what the next comparison needs: the data volumes, their claims and their real size. */
const MOST_PASSES = 2;

/**
 * Makes the cluster what the inputs say: looks, writes only what differs, waits and verifies. Rejects with a Problem;
 * what was done by then is completed by the next run.
 */
export const apply: Mode = async (inputs, ports, report) => {
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
};

/** Looks again under the lock, as another run may have written since, and writes what differs then. */
async function converge(context: RunContext, ports: RunPorts, target: Target): Promise<void> {
  const { kube, inputs, namespace, name } = context;
  if (!target.namespaceExists) {
    ports.setOutputs({ changed: 'true' });
    await kube.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
    record(context, { action: 'create', object: `Namespace ${namespace}`, fields: [] });
  }
  const lock = { ...context, leaving: ports.leaving, holder: ports.holder, labels: commonLabels(inputs, name) };
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
