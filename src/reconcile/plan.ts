import { inventoryId, MEMBER_LABEL } from '../desired/apply-set.ts';
import type { DesiredState, Share } from '../desired/state.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import { type ApplyOptions, describe, type KubeClient } from '../kube/client.ts';
import { ApplyConflict } from '../kube/errors.ts';
import type { KubeObject } from '../kube/object.ts';
import { type Kind, kindOf } from '../kube/resources.ts';
import { MANAGER } from '../manager.ts';
import { Problem } from '../problem.ts';
import type { VaultClient } from '../vault/client.ts';
import type { VaultChange } from '../vault/objects.ts';
import { planVault } from '../vault/plan.ts';
import { differences, type FieldDifference } from './difference.ts';
import { groupKindsOf, isCurrent, recordedKinds, recordedNamespaces, type Scope } from './inventory.ts';

export interface ObjectChange {
  action: 'create' | 'update';
  object: KubeObject;
  fields: FieldDifference[];
  /** How it is applied: as this action and without force unless it says otherwise. */
  options: ApplyOptions;
}

/** What a run will write; empty lists and a current inventory mean that everything is as it should be. */
export interface Plan {
  vault: VaultChange[];
  objects: ObjectChange[];
  /** What an earlier run made and this one does not want. */
  prune: KubeObject[];
  /** What the inventory has to tell while this run writes, and when it is done. */
  inventory: { current: boolean; during: Scope; after: Scope };
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
  const { objects: members, shares } = desired;
  const after = { groupKinds: groupKindsOf(members), namespaces: otherNamespaces(shares, namespace) };
  const [vault, objects, prune] = await Promise.all([
    planVault(sources.vault, desired.vault),
    namespaceExists ? planObjects(kube, desired) : members.map((object) => creation(object, {})),
    namespaceExists ? leftovers(kube, namespace, name, recordedKinds(inventory), members) : [],
  ]);
  const during = {
    groupKinds: union(after.groupKinds, groupKindsOf(prune)),
    namespaces: union(after.namespaces, recordedNamespaces(inventory)),
  };
  return { vault, objects, prune, inventory: { current: isCurrent(inventory, after), during, after } };
}

/** Where this cluster has fields in objects of others; a share without fields takes back what an earlier run shared. */
function otherNamespaces(shares: Share[], namespace: string): string[] {
  const filled = shares.filter(({ object: { apiVersion: _version, kind: _kind, metadata: _metadata, ...fields } }) =>
    Object.values(fields).some((value) => isJsonObject(value) && Object.keys(value).length > 0),
  );
  const namespaces = filled.flatMap(({ object }) => object.metadata.namespace ?? []);
  return union(namespaces, []).filter((other) => other !== namespace);
}

function union(some: string[], others: string[]): string[] {
  return [...new Set([...some, ...others])].sort();
}

function creation(object: KubeObject, options: ApplyOptions): ObjectChange {
  return { action: 'create', object, fields: [], options };
}

async function planObjects(kube: KubeClient, { objects, shares }: DesiredState): Promise<ObjectChange[]> {
  const results = await Promise.all([
    ...objects.map((object) => planObject(kube, object, {})),
    ...shares.map(({ object, manager, takesFrom }) => planObject(kube, object, { manager, takesFrom })),
  ]);
  const conflicts = results.filter((result) => result instanceof ApplyConflict);
  if (conflicts.length > 0) throw conflictProblem(conflicts);
  return results.flatMap((result) => (result === null || result instanceof ApplyConflict ? [] : result));
}

async function planObject(
  kube: KubeClient,
  object: KubeObject,
  options: ApplyOptions,
): Promise<ObjectChange | ApplyConflict | null> {
  const { namespace, name } = object.metadata;
  const [live, applied] = await Promise.all([
    kube.get(kindOf(object), namespace, name),
    kube.apply(object, { ...options, dryRun: true }).catch((error: unknown) => {
      if (error instanceof ApplyConflict) return error;
      throw error;
    }),
  ]);
  if (applied instanceof ApplyConflict) return applied;
  if (live === null) return creation(object, options);
  const manager = options.manager ?? MANAGER;
  const all = differences(managedPart(live, manager), managedPart(applied, manager));
  const told = all.filter(({ path }) => !path.startsWith(OWNERSHIP));
  // Of a field that comes or goes its ownership changes as well: that is news only where it is all that changes.
  const fields = told.length > 0 ? told : all;
  return fields.length === 0 ? null : { action: 'update', object, fields, options };
}

const OWNERSHIP = 'metadata.managedFields';

/** Everything but what the API server counts or other controllers report; of the managers only the one's own fields. */
function managedPart(object: KubeObject, manager: string): JsonObject {
  const { status: _status, metadata, ...rest } = object;
  const { resourceVersion: _version, generation: _generation, managedFields, ...kept } = metadata;
  const managers = Array.isArray(managedFields) ? managedFields.filter(isJsonObject) : [];
  const own = managers.find((entry) => entry.manager === manager && entry.operation === 'Apply');
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
