import { inventoryName } from '../desired/apply-set.ts';
import { desiredState } from '../desired/desired-state.ts';
import type { DesiredState } from '../desired/state.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Adaptation } from '../report/run-report.ts';
import { checkPermissions } from './access-check.ts';
import type { RunContext } from './context.ts';
import { gatherFacts } from './facts.ts';
import { recordedKinds, recordedNamespaces } from './inventory.ts';
import { removalAccess, removalOf } from './permissions.ts';
import { makePlan, type Plan } from './plan.ts';
import type { Target } from './preflight.ts';

/** What should be, by the inputs and what the target is like. */
export interface Intent {
  adaptations: Adaptation[];
  desired: DesiredState;
  /** What the last run recorded; null before the first. */
  inventory: KubeObject | null;
}

const REMOVING = 'to remove what an earlier run made and this one does not want';

/** Works out what should be. Throws where an input cannot be had on this target. */
export async function intend(context: RunContext, target: Target): Promise<Intent> {
  const { kube, inputs, namespace, name } = context;
  const inventory = target.namespaceExists ? await kube.get('ConfigMap', namespace, inventoryName(name)) : null;
  await checkPermissions(
    kube,
    removalAccess(inputs, recordedKinds(inventory), recordedNamespaces(inventory)),
    REMOVING,
  );
  const { facts, adaptations } = await gatherFacts(kube, inputs, target, name, inventory);
  return { adaptations, desired: desiredState(inputs, facts), inventory };
}

/** Works out what differs from it, without a write. */
export async function compare(
  context: RunContext,
  namespaceExists: boolean,
  { desired, inventory }: Intent,
): Promise<Plan> {
  const plan = await makePlan({ ...context, namespaceExists }, desired, inventory);
  await checkPermissions(context.kube, removalOf(plan.prune), REMOVING);
  return plan;
}
