import { commonLabels } from '../desired/labels.ts';
import { Problem, type ProblemKind } from '../problem.ts';
import type { Target } from '../reconcile/access/preflight.ts';
import type { RunContext, WriteContext } from '../reconcile/context.ts';
import { isRemembered, lastGoodOf, remember } from '../reconcile/last-good.ts';
import { LockNeeded } from '../reconcile/lock/holder.ts';
import { withLock } from '../reconcile/lock/lock.ts';
import { whileHeld } from '../reconcile/lock/while-held.ts';
import { compare, type Intent, intend } from '../reconcile/plan/look.ts';
import { isEmpty } from '../reconcile/plan/plan.ts';
import { record } from '../reconcile/record.ts';
import { rollBack } from '../reconcile/rollback/rollback.ts';
import { waitForRollout } from '../reconcile/servers/rollout.ts';
import { settle } from '../reconcile/verify/settle.ts';
import { writePlan } from '../reconcile/write/write.ts';
import {
  checkRemoval,
  type FailedInstall,
  isFirstInstall,
  leftWords,
  lookAtFailure,
  notRemovedWords,
  removeFailedInstall,
  withWords,
} from './failed-install.ts';
import type { Mode, RunPorts } from './mode.ts';
import { open } from './opening.ts';

/** Writing once may teach what the next comparison needs: the data volumes, their claims and their real size. */
const MOST_PASSES = 2;

/**
 * Makes the cluster what the inputs say: looks, writes only what differs, waits and verifies. Rejects with a Problem; a
 * cluster that was whole before is taken back to what it was, and what else was done by then is completed by the next run.
 */
export const apply: Mode = async (inputs, ports, report) => {
  try {
    await makeItSo(inputs, ports, report);
  } finally {
    // Also what was repaired where nothing differed from the inputs, or taken back.
    if (report.changes.length > 0) ports.setOutputs({ changed: 'true' });
  }
};

const makeItSo: Mode = async (inputs, ports, report) => {
  const { context, target, intent, plan } = await open(inputs, ports, report);
  ports.setOutputs({ rolled_back: 'false' });
  if (inputs.failed_install === 'remove' && isFirstInstall(intent, plan)) await checkRemoval(context, target, intent);
  if (!isEmpty(plan)) return converge(context, ports, target);
  ports.log.info('Nothing to change: no write to Kubernetes or Vault.');
  if (!inputs.wait) return;
  const isSettled = isRemembered(inputs, intent.desired, intent.inventory) && (await isWhole(context));
  if (!isSettled) await converge(context, ports, target);
};

/** Waits and verifies without the lock and without a write. Resolves to false where something has to be done first. */
async function isWhole(context: RunContext): Promise<boolean> {
  try {
    await settle(context);
    return true;
  } catch (error) {
    if (!(error instanceof LockNeeded)) throw error;
    context.log.info(`There is something to do all the same: ${error.message}. Looking again under the lock`);
    return false;
  }
}

/** Under the lock: writes what differs, waits, and remembers what was reached; else goes back. */
async function converge(context: RunContext, ports: RunPorts, target: Target): Promise<void> {
  const { inputs, namespace, name } = context;
  const { kube, leaving, holder } = ports;
  const attempt: Attempt = { intent: null, isFirst: false, madeNamespace: false, toBeRemoved: null };
  if (!target.namespaceExists) {
    ports.setOutputs({ changed: 'true' });
    const created = await kube.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
    // Another run may have been faster.
    attempt.madeNamespace = created !== null;
    if (created !== null) record(context, { action: 'create', object: `Namespace ${namespace}`, fields: [] });
  }
  const lock = { ...context, kube, leaving, holder, labels: commonLabels(inputs, name) };
  try {
    await withLock(lock, (assertHeld) => reach(whileHeld(context, kube, assertHeld), ports, target, attempt));
  } catch (error) {
    const { toBeRemoved } = attempt;
    if (toBeRemoved === null || !(error instanceof Problem)) throw error;
    throw withWords(error, await removeFailedInstall(context, ports, toBeRemoved));
  }
}

/** How far a run came that may fail. */
interface Attempt {
  /** What it is about to make of the cluster; null as long as it looks. */
  intent: Intent | null;
  /** Whether nothing of the cluster was there before. */
  isFirst: boolean;
  madeNamespace: boolean;
  /** Set where it failed and is to leave nothing. */
  toBeRemoved: FailedInstall | null;
}

async function reach(context: WriteContext, ports: RunPorts, target: Target, attempt: Attempt): Promise<void> {
  try {
    const { desired, inventory } = await write(context, ports, target, attempt);
    if (!context.inputs.wait) return;
    await settle(context);
    await remember(context, desired, inventory, ports.deployment);
  } catch (error) {
    throw await afterFailure(context, ports, attempt, error);
  }
}

/** Looks again, as another run may have written since, and writes what differs now. Resolves to what was found then. */
async function write(context: WriteContext, ports: RunPorts, target: Target, attempt: Attempt): Promise<Intent> {
  for (let pass = 1; ; pass++) {
    const intent = await intend(context, { ...target, namespaceExists: true });
    const plan = await compare(context, true, intent);
    if (pass === 1) {
      attempt.isFirst = isFirstInstall(intent, plan);
      attempt.intent = intent;
    }
    if (!isEmpty(plan)) {
      ports.setOutputs({ changed: 'true' });
      if (pass > 1) context.log.info('The data volumes exist now: applying what follows from them');
      await writePlan(context, plan, intent.desired, ports.deployment);
    } else if (intent.awaitsVolumes && context.inputs.wait) {
      // An earlier run ended before they were there.
      await waitForRollout(context);
    } else return intent;
    if (pass === MOST_PASSES) return intent;
  }
}

/** Without an answer there is no way back, and who cancels a run wants it to end: the next one completes or corrects. */
const ENDS_HERE: ProblemKind[] = ['cancelled', 'connection'];

/** What the run ends with, once a cluster that was whole before is taken back to what it was. */
async function afterFailure(
  context: WriteContext,
  ports: RunPorts,
  attempt: Attempt,
  error: unknown,
): Promise<unknown> {
  const { intent, isFirst } = attempt;
  if (intent === null || !(error instanceof Problem) || ENDS_HERE.includes(error.details.kind)) return error;
  if (!isHeld(context)) return error;
  context.log.info(`Failed. ${error.message}`);
  const lastGood = lastGoodOf(intent.inventory);
  if (lastGood !== null) {
    const { rolledBack, words } = await rollBack(context, lastGood, intent.desired);
    ports.setOutputs({ rolled_back: String(rolledBack) });
    return withWords(error, words);
  }
  if (!isFirst) return withWords(error, NO_WAY_BACK);
  if (context.inputs.failed_install !== 'remove') return withWords(error, leftWords(context));
  try {
    attempt.toBeRemoved = await lookAtFailure(context, intent.desired, attempt.madeNamespace);
    return error;
  } catch (cause) {
    return withWords(error, notRemovedWords(cause));
  }
}

const NO_WAY_BACK =
  'Nothing was rolled back: no run has waited for this cluster and found it whole yet. It is left as it is, and the next run goes on from here.';

/** Whether no other run may have taken the lock. */
function isHeld({ assertHeld }: WriteContext): boolean {
  try {
    assertHeld();
    return true;
  } catch {
    return false;
  }
}
