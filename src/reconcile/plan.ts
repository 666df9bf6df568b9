import type { DesiredState } from '../desired/state.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import { describe, type KubeClient } from '../kube/client.ts';
import { ApplyConflict } from '../kube/errors.ts';
import type { KubeObject } from '../kube/object.ts';
import { type Kind, kindOf } from '../kube/resources.ts';
import { MANAGER } from '../manager.ts';
import { Problem } from '../problem.ts';
import type { VaultClient } from '../vault/client.ts';
import type { VaultChange } from '../vault/objects.ts';
import { planVault } from '../vault/plan.ts';
import { differences, type FieldDifference } from './difference.ts';
import { asMembers, groupKindsOf, inventoryId, isCurrent, MEMBER_LABEL, recordedKinds } from './inventory.ts';

export interface ObjectChange {
  action: 'create' | 'update';
  object: KubeObject;
  fields: FieldDifference[];
}

/** What a run will write; empty lists and a current inventory mean that everything is as it should be. */
export interface Plan {
  vault: VaultChange[];
  objects: ObjectChange[];
  /** What an earlier run made and this one does not want. */
  prune: KubeObject[];
  /** The kinds that the inventory has to name while this run writes, and when it is done. */
  inventory: { current: boolean; during: string[]; after: string[] };
}

export interface PlanSources {
  kube: KubeClient;
  vault: VaultClient;
  namespace: string;
  /** False: nothing can exist, everything is created. */
  namespaceExists: boolean;
  name: string;
}

export function isEmpty(plan: Plan): boolean {
  return plan.vault.length === 0 && plan.objects.length === 0 && plan.prune.length === 0 && plan.inventory.current;
}

/**
 * Compares what is with what should be, in parallel and without a write: each object with its dry-run apply, as only the
 * API server knows what it defaults and normalises. Rejects when another manager holds a field.
 */
export async function makePlan(
  sources: PlanSources,
  desired: DesiredState,
  inventory: KubeObject | null,
): Promise<Plan> {
  const { kube, namespace, name, namespaceExists } = sources;
  const members = asMembers(desired.objects, namespace, name);
  const after = groupKindsOf(members);
  const [vault, objects, prune] = await Promise.all([
    planVault(sources.vault, desired.vault),
    namespaceExists ? planObjects(kube, members) : members.map(creation),
    namespaceExists ? leftovers(kube, namespace, name, recordedKinds(inventory), members) : [],
  ]);
  const during = [...new Set([...after, ...groupKindsOf(prune)])].sort();
  return { vault, objects, prune, inventory: { current: isCurrent(inventory, after), during, after } };
}

function creation(object: KubeObject): ObjectChange {
  return { action: 'create', object, fields: [] };
}

async function planObjects(kube: KubeClient, members: KubeObject[]): Promise<ObjectChange[]> {
  const results = await Promise.all(members.map((object) => planObject(kube, object)));
  const conflicts = results.filter((result) => result instanceof ApplyConflict);
  if (conflicts.length > 0) throw conflictProblem(conflicts);
  return results.flatMap((result) => (result === null || result instanceof ApplyConflict ? [] : result));
}

async function planObject(kube: KubeClient, object: KubeObject): Promise<ObjectChange | ApplyConflict | null> {
  const { namespace, name } = object.metadata;
  const [live, applied] = await Promise.all([
    kube.get(kindOf(object), namespace, name),
    kube.apply(object, { dryRun: true }).catch((error: unknown) => {
      if (error instanceof ApplyConflict) return error;
      throw error;
    }),
  ]);
  if (applied instanceof ApplyConflict) return applied;
  if (live === null) return creation(object);
  const all = differences(managedPart(live), managedPart(applied));
  const told = all.filter(({ path }) => !path.startsWith(OWNERSHIP));
  // Of a field that comes or goes its ownership changes as well: that is news only where it is all that changes.
  const fields = told.length > 0 ? told : all;
  return fields.length === 0 ? null : { action: 'update', object, fields };
}

const OWNERSHIP = 'metadata.managedFields';

/** Everything but what the API server counts or other controllers report; of the managers only this action's own fields. */
function managedPart(object: KubeObject): JsonObject {
  const { status: _status, metadata, ...rest } = object;
  const { resourceVersion: _version, generation: _generation, managedFields, ...kept } = metadata;
  const managers = Array.isArray(managedFields) ? managedFields.filter(isJsonObject) : [];
  const own = managers.find((entry) => entry.manager === MANAGER && entry.operation === 'Apply');
  return { ...rest, metadata: { ...kept, managedFields: own?.fieldsV1 } };
}

/** Members of the inventory that are not wanted any more. PersistentVolumeClaims are never among them: they are no members. */
async function leftovers(
  kube: KubeClient,
  namespace: string,
  name: string,
  kinds: Kind[],
  members: KubeObject[],
): Promise<KubeObject[]> {
  const labels = `${MEMBER_LABEL}=${inventoryId(namespace, name)}`;
  const wanted = new Set(members.map((object) => `${object.kind}/${object.metadata.name}`));
  const found = await Promise.all(kinds.map((kind) => kube.list(kind, namespace, { labels })));
  return found.flat().filter((object) => !wanted.has(`${object.kind}/${object.metadata.name}`));
}

function conflictProblem(conflicts: ApplyConflict[]): Problem {
  const findings = conflicts.flatMap(({ object, conflicts }) =>
    conflicts.map(
      ({ manager, field }) =>
        `"${manager}" holds ${field} of ${describe(object.kind, object.metadata.namespace, object.metadata.name)}`,
    ),
  );
  return new Problem({
    kind: 'conflict',
    tried: 'Comparing the cluster with its desired state',
    reason: 'Other field managers hold fields that this action sets; nothing was written.',
    findings,
    next: 'Let the other manager give these fields up (remove them from what it applies), or delete the object if it is not in use.',
  });
}
