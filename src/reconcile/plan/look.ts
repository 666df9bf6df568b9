import { inventoryName } from '../../desired/apply-set.ts';
import { desiredState } from '../../desired/desired-state.ts';
import type { DesiredState } from '../../desired/state.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { Adaptation } from '../../report/run-report.ts';
import { checkPermissions } from '../access/access-check.ts';
import { adoptionAccess, removalAccess, removalOf } from '../access/permissions.ts';
import type { Target } from '../access/preflight.ts';
import type { Adoption } from '../adoption/adoption.ts';
import { findLeftovers, leftoverNames } from '../adoption/leftovers.ts';
import type { RunContext } from '../context.ts';
import { recordedKinds, recordedLeftovers, recordedNamespaces } from '../inventory.ts';
import { gatherFacts } from './facts.ts';
import { makePlan, type Plan } from './plan.ts';

/** What should be, by the inputs and what the target is like. */
export interface Intent {
  adaptations: Adaptation[];
  desired: DesiredState;
  /** What the last run recorded; null before the first. */
  inventory: KubeObject | null;
  /** Whether the StatefulSet's controller has data volumes to make still, of which the next look may ask something. */
  awaitsVolumes: boolean;
  /** Null for a cluster that the Terraform module did not make. */
  adoption: Adoption | null;
}

const ADOPTING = 'to take over what the Terraform module made';
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
  const desired = desiredState(inputs, facts);
  const adoption = facts.adopted ? await lookAtModule(context, target, inventory, desired) : null;
  const awaitsVolumes = facts.immutable !== null && facts.claims.length < inputs.replicas;
  return { adaptations, desired, inventory, awaitsVolumes, adoption };
}

/** What there is of the module's besides the objects that are taken over. */
async function lookAtModule(
  { kube, inputs, namespace, name }: RunContext,
  target: Target,
  inventory: KubeObject | null,
  { objects }: DesiredState,
): Promise<Adoption> {
  const recorded = recordedLeftovers(inventory);
  const removes = inputs.remove_module_leftovers && inputs.wait;
  // Helm's releases are Secrets, which a plan does not read.
  const looks = inputs.mode !== 'plan';
  if (recorded?.length === 0 || !looks)
    return { begins: recorded === null, recorded: recorded ?? [], leftovers: [], removes };
  await checkPermissions(kube, adoptionAccess(inputs, target.apis), ADOPTING);
  const leftovers = await findLeftovers(kube, namespace, name, recorded, objects);
  return { begins: recorded === null, recorded: recorded ?? leftoverNames(leftovers), leftovers, removes };
}

/** Works out what differs from it, without a write. */
export async function compare(
  context: RunContext,
  namespaceExists: boolean,
  { desired, inventory, adoption }: Intent,
): Promise<Plan> {
  const plan = await makePlan(
    { ...context, namespaceExists, adoption, readOnly: context.inputs.mode === 'plan' },
    desired,
    inventory,
  );
  if (context.inputs.mode !== 'plan') await checkPermissions(context.kube, removalOf(plan.prune), REMOVING);
  return plan;
}
