import { desiredState } from '../desired/desired-state.ts';
import type { DesiredState } from '../desired/state.ts';
import type { Adaptation } from '../report/run-report.ts';
import type { RunContext } from './context.ts';
import { gatherFacts } from './facts.ts';
import { inventoryName } from './inventory.ts';
import { makePlan, type Plan } from './plan.ts';
import type { Target } from './preflight.ts';

/** What should be, by the inputs and what the target is like. */
export interface Intent {
  adaptations: Adaptation[];
  desired: DesiredState;
}

/** Works out what should be. Throws where an input cannot be had on this target. */
export async function intend(context: RunContext, target: Target): Promise<Intent> {
  const { facts, adaptations } = await gatherFacts(context.kube, context.inputs, target, context.name);
  return { adaptations, desired: desiredState(context.inputs, facts) };
}

/** Works out what differs from it, without a write. */
export async function compare(context: RunContext, namespaceExists: boolean, desired: DesiredState): Promise<Plan> {
  const { kube, namespace, name } = context;
  const inventory = namespaceExists ? await kube.get('ConfigMap', namespace, inventoryName(name)) : null;
  return makePlan({ ...context, namespaceExists }, desired, inventory);
}
