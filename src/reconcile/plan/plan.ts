import { inventoryId, MEMBER_LABEL } from '../../desired/apply-set.ts';
import type { DesiredState, DesiredVault, Share } from '../../desired/state.ts';
import { digText, isJsonObject, type JsonObject } from '../../json.ts';
import { type ApplyOptions, describe, type KubeReader } from '../../kube/client.ts';
import { ApplyConflict, type FieldConflict } from '../../kube/errors.ts';
import type { KubeObject } from '../../kube/object.ts';
import { type Kind, kindOf } from '../../kube/resources.ts';
import { EDITS_BY_HAND, MANAGER } from '../../manager.ts';
import { Problem } from '../../problem.ts';
import type { VaultClient } from '../../vault/client.ts';
import type { VaultChange } from '../../vault/objects.ts';
import { pathText } from '../../vault/path.ts';
import { planVault } from '../../vault/plan.ts';
import { type Adoption, conflictsBesides, handedOver, isModuleObject } from '../adoption/adoption.ts';
import {
  groupKindsOf,
  isCurrent,
  recordedKinds,
  recordedLeftovers,
  recordedNamespaces,
  recordedVault,
  type Scope,
  type VaultScope,
} from '../inventory.ts';
import { appliedBy, isOwn } from '../ownership.ts';
import { differences, type FieldDifference } from './difference.ts';
import { predictApply } from './predicted-apply.ts';

/** One object that differs from what it should be. */
export interface ObjectChange {
  /** adopt: the Terraform module made it, and its fields are handed over before it is applied. */
  action: 'create' | 'update' | 'adopt';
  object: KubeObject;
  /** What is there now; null before it is created. */
  live: KubeObject | null;
  fields: FieldDifference[];
  /** How it is applied: as this action and without force unless it says otherwise. */
  options: ApplyOptions;
  /** Whether an object of this name is being deleted, which has to be gone first. */
  isLeaving?: boolean;
  /** Fields that others hold, for which the apply would be refused; none in a plan that is to be written. */
  conflicts: FieldConflict[];
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
  kube: KubeReader;
  vault: VaultClient;
  namespace: string;
  /** False: nothing can exist there, everything is created. */
  namespaceExists: boolean;
  name: string;
  /** Of a cluster that the Terraform module made, where it is taken over or what is left of the module is looked at. */
  adoption?: Adoption | null;
  /** For who may read only: no dry run is sent, and conflicts are told in the plan instead of rejecting. */
  readOnly: boolean;
}

/** Whether there is nothing to write. */
export function isEmpty(plan: Plan): boolean {
  return plan.vault.length === 0 && plan.objects.length === 0 && plan.prune.length === 0 && plan.inventory.current;
}

/**
 * Compares what is with what should be, in parallel and without a write: each object with its dry-run apply, as only the
 * API server knows what it defaults and normalises, or by reading alone. Rejects when another manager holds a field.
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
    planObjects(sources, desired),
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

/** The making of an object that is not there. */
export function creation(object: KubeObject, options: ApplyOptions): ObjectChange {
  return { action: 'create', object, live: null, fields: [], options, conflicts: [] };
}

async function planObjects(sources: PlanSources, { objects, shares }: DesiredState): Promise<ObjectChange[]> {
  const [own, shared] = await Promise.all([
    Promise.all(objects.map((object) => planMember(sources, object))),
    Promise.all(shares.map((share) => planShare(sources, share))),
  ]);
  const certificates = own.filter(isChange).filter(({ object }) => object.kind === 'Certificate');
  // Who may read Secrets holds the keys to the data: a plan does without.
  const secrets = sources.readOnly
    ? []
    : await Promise.all(certificates.map((change) => foreignSecret(sources, change)));
  const foreign = [...own, ...secrets].filter((result) => result instanceof ForeignObject);
  if (foreign.length > 0) throw foreignProblem(foreign);
  if (!sources.readOnly) throwConflicts(own.filter(isChange), shared.filter(isChange));
  return [...own, ...shared].filter(isChange);
}

/** What came of comparing an object: null where it is as it should be. */
type Comparison = ObjectChange | ForeignObject | null;

function isChange(result: Comparison): result is ObjectChange {
  return result !== null && !(result instanceof ForeignObject);
}

function throwConflicts(own: ObjectChange[], shared: ObjectChange[]): void {
  throwConflict(
    own,
    'Let the other manager give these fields up: remove them from what it applies. Or delete the object if it is not in use.',
  );
  throwConflict(
    shared,
    'Let the other manager give these fields up: remove them from what it applies. This action sets them by its inputs.',
  );
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

async function planMember(sources: PlanSources, object: KubeObject): Promise<Comparison> {
  const options = { takesFrom: EDITS_BY_HAND };
  if (!sources.namespaceExists) return creation(object, options);
  const taken = sources.adoption ? await planAdoption(sources, object, options) : null;
  if (taken !== null) return taken;
  const outcome = await outcomeOf(sources, object, options);
  const { live } = outcome;
  if (live !== null && !isOwn(live, sources.namespace, sources.name)) return new ForeignObject(live);
  // What is applied to it would go with it.
  if (live?.metadata.deletionTimestamp !== undefined) return { ...creation(object, options), isLeaving: true };
  return changeOf(object, options, outcome);
}

/** Fields in an object of others, which stays with what they do with it. */
async function planShare(sources: PlanSources, { object, manager, takesFrom }: Share): Promise<ObjectChange | null> {
  const options = { manager, takesFrom };
  return changeOf(object, options, await outcomeOf(sources, object, options));
}

function changeOf(
  object: KubeObject,
  options: ApplyOptions,
  { live, applied, conflicts }: Outcome,
): ObjectChange | null {
  if (live === null) return { ...creation(object, options), conflicts };
  const manager = options.manager ?? MANAGER;
  const fields = changedFields(live, applied, manager);
  if (fields.length === 0 && conflicts.length === 0) return null;
  return { action: 'update', object, live, fields, options, conflicts };
}

/** Of a field that comes or goes its ownership changes as well: that is news only where it is all that changes. */
function changedFields(live: KubeObject, applied: KubeObject, manager: string): FieldDifference[] {
  const all = differences(managedPart(live, manager), managedPart(applied, manager));
  const told = all.filter(({ path }) => !path.startsWith(OWNERSHIP));
  return told.length > 0 ? told : all;
}

/** What is there, and what an apply would make of it; which is nothing where it would be refused. */
interface Outcome {
  live: KubeObject | null;
  applied: KubeObject;
  conflicts: FieldConflict[];
}

async function outcomeOf(sources: PlanSources, object: KubeObject, options: ApplyOptions): Promise<Outcome> {
  const { kube } = sources;
  const { namespace, name } = object.metadata;
  const [live, applied] = await Promise.all([
    kube.get(kindOf(object), namespace, name),
    sources.readOnly ? null : dryRun(kube, object, options),
  ]);
  if (applied === null) {
    if (live === null) return { live, applied: object, conflicts: [] };
    const { object: predicted, conflicts } = predictApply(live, object, options);
    return { live, applied: predicted, conflicts };
  }
  return applied instanceof ApplyConflict
    ? { live, applied: live ?? object, conflicts: applied.conflicts }
    : { live, applied, conflicts: [] };
}

/** Null where the object is not the module's: it is compared as any other. */
async function planAdoption(
  { kube, namespace, name, readOnly }: PlanSources,
  object: KubeObject,
  options: ApplyOptions,
): Promise<ObjectChange | null> {
  const live = await kube.get(kindOf(object), object.metadata.namespace, object.metadata.name);
  if (live === null || !isModuleObject(live, namespace, name)) return null;
  const taken = { ...live, metadata: { ...live.metadata, managedFields: handedOver(live) ?? [] } };
  // As long as the fields are not handed over no dry run can tell what comes of the apply, but who else is in its way.
  const { object: applied, conflicts } = predictApply(taken, object, options);
  return {
    action: 'adopt',
    object,
    live: taken,
    fields: changedFields(taken, applied, MANAGER),
    options,
    conflicts: readOnly ? conflicts : await conflictsBesides(kube, object, options),
  };
}

/**
 * Whether it is a RoleBinding whose Role is not there yet: who may not do everything may bind only what he holds, and the API
 * server refuses, in a dry run too, while it cannot tell what that is.
 */
async function bindsNothing(kube: KubeReader, { kind, metadata, roleRef }: KubeObject): Promise<boolean> {
  return kind === 'RoleBinding' && (await kube.get('Role', metadata.namespace, digText(roleRef, 'name'))) === null;
}

/** What an apply would store. Null where a dry run cannot tell. */
async function dryRun(
  kube: KubeReader,
  object: KubeObject,
  options: ApplyOptions,
): Promise<KubeObject | ApplyConflict | null> {
  if (await bindsNothing(kube, object)) return null;
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

/** Whether pods have to be replaced, or an earlier run was ended while it did that. */
export function restartsServers({ action, object, fields }: ObjectChange): boolean {
  const restarting = ({ path }: FieldDifference) =>
    path.startsWith('spec.template.') || path.startsWith('spec.updateStrategy');
  return object.kind === 'StatefulSet' && (action === 'adopt' || (action === 'update' && fields.some(restarting)));
}

/** Members of the inventory that are not wanted any more. PersistentVolumeClaims are never among them: they are no members. */
async function leftovers(
  kube: KubeReader,
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

function throwConflict(changes: ObjectChange[], next: string): void {
  const findings = changes.flatMap(({ object, conflicts }) =>
    conflicts.map(
      ({ manager, field }) =>
        `"${manager}" holds ${field} of ${describe(object.kind, object.metadata.namespace, object.metadata.name)}`,
    ),
  );
  if (findings.length === 0) return;
  throw new Problem({
    kind: 'conflict',
    tried: 'Comparing the cluster with its desired state',
    reason: 'Other field managers hold fields that this action sets; nothing was written.',
    findings,
    next,
  });
}
