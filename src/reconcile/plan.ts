import { inventoryId, MEMBER_LABEL } from '../desired/apply-set.ts';
import type { DesiredState, DesiredVault, Share } from '../desired/state.ts';
import { digText, isJsonObject, type JsonObject } from '../json.ts';
import { type ApplyOptions, describe, type KubeClient } from '../kube/client.ts';
import { ApplyConflict } from '../kube/errors.ts';
import type { KubeObject } from '../kube/object.ts';
import { type Kind, kindOf } from '../kube/resources.ts';
import { MANAGER } from '../manager.ts';
import { Problem } from '../problem.ts';
import type { VaultClient } from '../vault/client.ts';
import type { VaultChange } from '../vault/objects.ts';
import { pathText } from '../vault/path.ts';
import { planVault } from '../vault/plan.ts';
import { type Adoption, conflictsBesides, isModuleObject } from './adoption.ts';
import { differences, type FieldDifference } from './difference.ts';
import {
  groupKindsOf,
  isCurrent,
  recordedKinds,
  recordedLeftovers,
  recordedNamespaces,
  recordedVault,
  type Scope,
  type VaultScope,
} from './inventory.ts';
import { appliedBy, isOwn } from './ownership.ts';

/** One object that differs from what it should be. */
export interface ObjectChange {
  /** adopt: the Terraform module made it, and its fields are handed over before it is applied. */
  action: 'create' | 'update' | 'adopt';
  object: KubeObject;
  fields: FieldDifference[];
  /** How it is applied: as this action and without force unless it says otherwise. */
  options: ApplyOptions;
  /** Whether an object of this name is being deleted, which has to be gone first. */
  isLeaving?: boolean;
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

/** Where a plan is worked out from. */
export interface PlanSources {
  kube: KubeClient;
  vault: VaultClient;
  namespace: string;
  /** False: nothing can exist, everything is created. */
  namespaceExists: boolean;
  name: string;
  /** Of a cluster that the Terraform module made, where it is taken over or what is left of the module is looked at. */
  adoption?: Adoption | null;
}

/** Whether there is nothing to write. */
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
  const { adoption } = sources;
  const left = adoption?.recorded ?? recordedLeftovers(inventory);
  const after = {
    groupKinds: groupKindsOf(members),
    namespaces: otherNamespaces(shares, namespace),
    vault: vaultScope(desired.vault, inventory),
    ...(left === null ? {} : { leftovers: adoption?.removes ? [] : left }),
  };
  const [vault, objects, dropped] = await Promise.all([
    planVault(sources.vault, desired.vault),
    namespaceExists ? planObjects(sources, desired) : members.map((object) => creation(object, {})),
    namespaceExists ? leftovers(kube, namespace, name, recordedKinds(inventory), members) : [],
  ]);
  const during = {
    groupKinds: union(after.groupKinds, groupKindsOf(dropped)),
    namespaces: union(after.namespaces, recordedNamespaces(inventory)),
    vault: after.vault,
    ...(left === null ? {} : { leftovers: left }),
  };
  const prune = [...dropped, ...(adoption?.removes ? adoption.leftovers : [])];
  return { vault, objects, prune, inventory: { current: isCurrent(inventory, after), during, after } };
}

/** Where this cluster has objects in Vault, or had: what an earlier run left at another path is not removed before the cluster is. */
function vaultScope({ pkiMount, authPath }: DesiredVault, inventory: KubeObject | null): VaultScope {
  const { pkiMounts, authPaths } = recordedVault(inventory);
  return {
    pkiMounts: union(pkiMounts, [pathText(pkiMount)]),
    authPaths: union(authPaths, [pathText(authPath)]),
  };
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

async function planObjects(sources: PlanSources, { objects, shares }: DesiredState): Promise<ObjectChange[]> {
  const [own, shared] = await Promise.all([
    Promise.all(objects.map((object) => planObject(sources, object, {}))),
    Promise.all(shares.map(({ object, manager, takesFrom }) => planObject(sources, object, { manager, takesFrom }))),
  ]);
  const certificates = own.filter((result) => isChange(result)).filter(({ object }) => object.kind === 'Certificate');
  const secrets = await Promise.all(certificates.map((change) => foreignSecret(sources, change)));
  const foreign = [...own, ...secrets].filter((result) => result instanceof ForeignObject);
  if (foreign.length > 0) throw foreignProblem(foreign);
  throwConflicts(
    own,
    'Let the other manager give these fields up: remove them from what it applies, or where somebody edited by hand put back what was there. Or delete the object if it is not in use.',
  );
  throwConflicts(
    shared,
    'Take these values back where they were set (kubectl annotate OBJECT KEY-, kubectl label OBJECT KEY-), and run again: this action sets them by its inputs.',
  );
  return [...own, ...shared].filter((result) => isChange(result));
}

/** What came of comparing an object: null where it is as it should be. */
type Comparison = ObjectChange | ApplyConflict | ForeignObject | null;

function isChange(result: Comparison): result is ObjectChange {
  return result !== null && !(result instanceof ApplyConflict) && !(result instanceof ForeignObject);
}

function throwConflicts(results: Comparison[], next: string): void {
  const conflicts = results.filter((result) => result instanceof ApplyConflict);
  if (conflicts.length > 0) throw conflictProblem(conflicts, next);
}

/** An object of the right name that is not this cluster's. */
class ForeignObject {
  readonly object: KubeObject;
  constructor(object: KubeObject) {
    this.object = object;
  }
}

function foreignProblem(foreign: ForeignObject[]): Problem {
  return new Problem({
    kind: 'conflict',
    tried: 'Comparing the cluster with its desired state',
    reason: 'Objects of the names that this cluster needs are not its own; nothing was written.',
    findings: foreign.map(({ object: { kind, metadata } }) => {
      const what = describe(kind, metadata.namespace, metadata.name);
      return `${what} ${metadata.labels?.[MEMBER_LABEL] === undefined ? 'was not made by this action' : "is another cluster's"}`;
    }),
    next: 'Give this cluster another name by the input name, or rename or delete these objects if they are not in use.',
  });
}

/**
 * The Secret that a new Certificate would have cert-manager overwrite; null where there is none, or where it is what
 * cert-manager made for an earlier Certificate of this name, which it keeps.
 */
async function foreignSecret(
  { kube }: PlanSources,
  { action, object: { metadata, spec } }: ObjectChange,
): Promise<ForeignObject | null> {
  if (action !== 'create') return null;
  const secret = await kube.getMetadata('Secret', metadata.namespace, digText(spec, 'secretName'));
  const maker = secret?.metadata.annotations?.['cert-manager.io/certificate-name'];
  return secret === null || maker === metadata.name ? null : new ForeignObject(secret);
}

async function planObject(sources: PlanSources, object: KubeObject, options: ApplyOptions): Promise<Comparison> {
  const { kube, adoption } = sources;
  const { namespace, name } = object.metadata;
  const taken = !adoption || options.manager !== undefined ? null : await planAdoption(sources, object);
  if (taken !== null) return taken;
  const [live, applied] = await Promise.all([kube.get(kindOf(object), namespace, name), dryRun(kube, object, options)]);
  // A share is in an object of others by its nature.
  if (live !== null && options.manager === undefined && !isOwn(live, sources.namespace, sources.name))
    return new ForeignObject(live);
  // What is applied to it would go with it. A share stays with what others do with their object.
  if (live?.metadata.deletionTimestamp !== undefined && options.manager === undefined) {
    return { ...creation(object, options), isLeaving: true };
  }
  if (applied instanceof ApplyConflict) return applied;
  if (live === null) return creation(object, options);
  if (applied === null) return { action: 'update', object, fields: [], options };
  const manager = options.manager ?? MANAGER;
  const all = differences(managedPart(live, manager), managedPart(applied, manager));
  const told = all.filter(({ path }) => !path.startsWith(OWNERSHIP));
  // Of a field that comes or goes its ownership changes as well: that is news only where it is all that changes.
  const fields = told.length > 0 ? told : all;
  return fields.length === 0 ? null : { action: 'update', object, fields, options };
}

/** Null where the object is not the module's: it is compared as any other. */
async function planAdoption({ kube, namespace, name }: PlanSources, object: KubeObject): Promise<Comparison> {
  const live = await kube.get(kindOf(object), object.metadata.namespace, object.metadata.name);
  if (live === null || !isModuleObject(live, namespace, name)) return null;
  return (await conflictsBesides(kube, object)) ?? { action: 'adopt', object, fields: [], options: {} };
}

/**
 * What an apply would store. Null for a RoleBinding whose Role is not there yet: who may not do everything may bind only what
 * he holds, and the API server refuses, in a dry run too, while it cannot tell what that is.
 */
async function dryRun(
  kube: KubeClient,
  object: KubeObject,
  options: ApplyOptions,
): Promise<KubeObject | ApplyConflict | null> {
  const { kind, metadata, roleRef } = object;
  const bindsNothing =
    kind === 'RoleBinding' && (await kube.get('Role', metadata.namespace, digText(roleRef, 'name'))) === null;
  if (bindsNothing) return null;
  return kube.apply(object, { ...options, dryRun: true }).catch((error: unknown) => {
    if (error instanceof ApplyConflict) return error;
    throw error;
  });
}

const OWNERSHIP = 'metadata.managedFields';

/** Everything but what the API server counts or other controllers report; of the managers only the one's own fields. */
function managedPart(object: KubeObject, manager: string): JsonObject {
  const { status: _status, metadata, ...rest } = object;
  const { resourceVersion: _version, generation: _generation, managedFields: _fields, ...kept } = metadata;
  return { ...rest, metadata: { ...kept, managedFields: appliedBy(object, manager) } };
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

function conflictProblem(conflicts: ApplyConflict[], next: string): Problem {
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
    next,
  });
}
