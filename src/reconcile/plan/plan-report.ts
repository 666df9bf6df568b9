import { isJsonObject, type Json, type JsonObject } from '../../json.ts';
import type { KubeObject } from '../../kube/object.ts';
import { MANAGER } from '../../manager.ts';
import type { PlannedChange, PlannedConflict, PlannedField, PlanReport } from '../../report/plan-report.ts';
import type { VaultChange } from '../../vault/objects.ts';
import { type ObjectChange, type Plan, restartsServers } from './plan.ts';
import { heldBy, predictApply } from './predicted-apply.ts';

const HELD =
  'Other field managers hold fields that this action sets. Let them give these up: remove them from what they apply.';

/** What is told of a plan. */
export function reportOf(plan: Plan, refusals: string[]): PlanReport {
  const conflicts = plan.objects.flatMap(conflictsOf);
  const held = conflicts.length === 0 ? [] : [HELD];
  return {
    changes: [...plan.objects.map(plannedObject), ...plan.prune.map(plannedRemoval), ...plan.vault.map(plannedVault)],
    conflicts,
    refusals: [...refusals, ...held],
    bookkeeping: !plan.inventory.current,
    restarts: plan.objects.some(restartsServers),
  };
}

function plannedObject({ action, object, live, fields, options }: ObjectChange): PlannedChange {
  if (live === null) return { action, ...identityOf(object), fields: [], before: null, after: withoutUid(object) };
  const { held } = predictApply(live, object, options);
  const shown = { before: withIdentity(object, held.before), after: withIdentity(object, held.after) };
  return { action, ...identityOf(object), fields: fields.map(plannedField), ...shown };
}

function conflictsOf({ object, live, options, conflicts }: ObjectChange): PlannedConflict[] {
  if (live === null || conflicts.length === 0) return [];
  return predictApply(live, object, options).conflicts.map(({ manager, ...field }) => ({
    ...identityOf(object),
    manager,
    ...plannedField(field),
  }));
}

function plannedRemoval(object: KubeObject): PlannedChange {
  const before = withIdentity(object, heldBy(object, MANAGER));
  return { action: 'delete', ...identityOf(object), fields: [], before, after: null };
}

/** Vault's objects are told by their paths; of one that exists only what changes. */
function plannedVault({ action, path, fields }: VaultChange): PlannedChange {
  const values = (side: 'from' | 'to') => Object.fromEntries(fields.map((field) => [field.name, field[side]]));
  const identity = { action, kind: 'Vault', name: path.join('/') };
  if (action === 'create') return { ...identity, fields: [], before: null, after: values('to') };
  const told = fields.map(({ name, from, to }) => ({ path: name, from, to }));
  return { ...identity, fields: told, before: values('from'), after: values('to') };
}

function identityOf({ kind, metadata: { namespace, name } }: KubeObject) {
  return { kind, ...(namespace === undefined ? {} : { namespace }), name };
}

function plannedField({
  path,
  from,
  to,
}: {
  path: string;
  from: Json | undefined;
  to: Json | undefined;
}): PlannedField {
  return { path, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
}

function withoutUid({ metadata: { uid: _, ...metadata }, ...object }: KubeObject): JsonObject {
  return { ...object, metadata };
}

/** What is held of an object, with what tells it from others. What Secrets hold is not shown. */
function withIdentity({ apiVersion, kind, metadata: { namespace, name } }: KubeObject, held: JsonObject): JsonObject {
  const { metadata, data, stringData, ...rest } = held;
  const values = kind === 'Secret' ? { data: data && '***', stringData: stringData && '***' } : { data, stringData };
  const shown = Object.fromEntries(Object.entries({ ...rest, ...values }).filter(([, value]) => value !== undefined));
  const identity = namespace === undefined ? { name } : { name, namespace };
  return { apiVersion, kind, metadata: { ...identity, ...(isJsonObject(metadata) ? metadata : {}) }, ...shown };
}
