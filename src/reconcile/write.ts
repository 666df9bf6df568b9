import { commonLabels } from '../desired/labels.ts';
import type { DesiredState } from '../desired/state.ts';
import { digText } from '../json.ts';
import { describe } from '../kube/client.ts';
import { ApplyConflict } from '../kube/errors.ts';
import { type Kind, kindOf } from '../kube/resources.ts';
import { CONFIG_FILE } from '../nats/layout.ts';
import { configHash } from '../nats/restart.ts';
import { Problem } from '../problem.ts';
import type { Change } from '../report/run-report.ts';
import { applyVaultChanges } from '../vault/objects.ts';
import { retryRefused, waitForCertificates } from './certificates.ts';
import type { RunContext } from './context.ts';
import { type Deployment, renderInventory } from './inventory.ts';
import type { ObjectChange, Plan } from './plan.ts';
import { configLoadTimes, touchPods, waitForReload, waitForRollout } from './rollout.ts';

/**
 * The order of writes: what cert-manager needs to log in to Vault, then who signs, then what is signed. The StatefulSet
 * comes after them, as its pods could not mount a Secret that is not issued yet.
 */
const BEFORE_CERTIFICATES: Kind[][] = [
  ['ServiceAccount', 'Role', 'RoleBinding', 'ConfigMap', 'Service', 'NetworkPolicy'],
  ['Issuer'],
  ['Certificate'],
];
const AFTER_CERTIFICATES: Kind[][] = [['PodDisruptionBudget'], ['StatefulSet']];

/**
 * Writes a plan. The inventory names every kind before the first object is written and forgets none before the last is
 * removed, so that a run that is killed anywhere leaves nothing that the next cannot find.
 */
export async function writePlan(
  context: RunContext,
  plan: Plan,
  desired: DesiredState,
  deployment: Deployment,
): Promise<void> {
  await writeInventory(context, plan.inventory.during, deployment);
  const config = desired.objects.find(({ kind }) => kind === 'ConfigMap');
  const reloads = plan.objects.some(
    ({ object, fields }) => object.kind === 'ConfigMap' && fields.some(({ path }) => path.startsWith('data.')),
  );
  const loadTimes = reloads ? await configLoadTimes(context) : new Map<string, string>();

  await writeVault(context, plan);
  await writeObjects(context, plan, BEFORE_CERTIFICATES);
  await retryRefused(context);
  if (context.inputs.wait) await waitForCertificates(context);
  await writeObjects(context, plan, AFTER_CERTIFICATES);

  if (reloads) {
    await touchPods(context, [...loadTimes.keys()], configHash(digText(config, 'data', CONFIG_FILE)));
  }
  if (context.inputs.wait) {
    await waitForRollout(context);
    if (reloads) await waitForReload(context, loadTimes);
  }
  await prune(context, plan);
  if (plan.inventory.after.length < plan.inventory.during.length) {
    await writeInventory(context, plan.inventory.after, deployment);
  }
}

async function writeInventory(context: RunContext, groupKinds: string[], deployment: Deployment): Promise<void> {
  const { kube, namespace, name, inputs } = context;
  await kube.apply(renderInventory(namespace, name, commonLabels(inputs, name), groupKinds, deployment));
}

async function writeVault(context: RunContext, plan: Plan): Promise<void> {
  await applyVaultChanges(context.vault, plan.vault);
  for (const { action, path, fields } of plan.vault) {
    const named = action === 'create' ? [] : fields.map(({ name }) => name);
    record(context, { action, object: `Vault ${path.join('/')}`, fields: named });
  }
}

async function writeObjects(context: RunContext, plan: Plan, waves: Kind[][]): Promise<void> {
  for (const kinds of waves) {
    const wave = plan.objects.filter(({ object }) => kinds.includes(kindOf(object)));
    await Promise.all(wave.map((change) => writeObject(context, change)));
  }
}

async function writeObject(context: RunContext, { action, object, fields }: ObjectChange): Promise<void> {
  const what = describe(object.kind, object.metadata.namespace, object.metadata.name);
  try {
    await context.kube.apply(object);
  } catch (error) {
    if (!(error instanceof ApplyConflict)) throw error;
    throw new Problem({
      kind: 'conflict',
      tried: `Applying ${what}`,
      reason: `${error.message}.`,
      next: 'Something else took these fields during the run: run again, and stop the other writer if it happens again.',
    });
  }
  record(context, { action, object: what, fields: fields.map(({ path }) => path) });
}

/** Removes what this version of the inputs does not want any more; the preconditions keep a successor of the same name. */
async function prune(context: RunContext, plan: Plan): Promise<void> {
  await Promise.all(
    plan.prune.map(async (object) => {
      const { namespace, name, uid, resourceVersion } = object.metadata;
      const removed = await context.kube.remove(object, { uid: String(uid), resourceVersion: String(resourceVersion) });
      if (removed) record(context, { action: 'delete', object: describe(object.kind, namespace, name), fields: [] });
    }),
  );
}

const DONE = { create: 'Created', update: 'Updated', delete: 'Deleted' };

function record({ report, log }: RunContext, change: Change): void {
  report.changes.push(change);
  const fields = change.fields.length === 0 ? '' : `: ${change.fields.join(', ')}`;
  log.info(`${DONE[change.action]} ${change.object}${fields}`);
}
