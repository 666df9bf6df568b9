import { structuredPatch } from 'diff';
import { dump } from 'js-yaml';
import type { Json, JsonObject } from '../json.ts';
import { type Redact, redactedObject, redactedValue } from '../redact.ts';

/** A field that would change; absent where it is not there before, or afterwards. */
export interface PlannedField {
  /** "spec.template.spec.containers[nats].image" */
  path: string;
  from?: Json;
  to?: Json;
}

/** An object that an apply would write or remove; of Vault the name is the path. */
export interface PlannedChange {
  /** adopt: the Terraform module made it, and it is taken over. */
  action: 'create' | 'update' | 'adopt' | 'delete';
  kind: string;
  namespace?: string;
  name: string;
  fields: PlannedField[];
  /** What this action sets of it: now, and afterwards; null where it does not exist. */
  before: JsonObject | null;
  after: JsonObject | null;
}

/** A field that another manager holds with another value than the wanted one. */
export interface PlannedConflict extends PlannedField {
  kind: string;
  namespace?: string;
  name: string;
  manager: string;
}

/** What an apply would change. */
export interface PlanReport {
  changes: PlannedChange[];
  conflicts: PlannedConflict[];
  /** Why the apply would be refused as things are, a sentence or two each. */
  refusals: string[];
  /** Whether the inventory, this action's own bookkeeping, is not as it should be. */
  bookkeeping: boolean;
  /** Whether an apply restarts the servers. */
  restarts: boolean;
}

/** Most characters of a text: an output may have 1 MB, in UTF-16, and the job summary 1 MiB. */
const LONGEST_TEXT = 200_000;

/** Most characters of each list of the JSON, where all is too long. */
const LONGEST_LIST = 60_000;

/** Most characters of a value in a sentence: the diff shows all of it. */
const LONGEST_QUOTE = 100;

/** Most characters of a line, and of a value in JSON: a dashboard is one line of 50,000. */
const LONGEST_LINE = 300;
const LONGEST_VALUE = 20_000;

/** Lines around a change that show where it is. */
const CONTEXT = 4;

/** The same without secrets. It comes first: what is cut, or quoted by YAML or JSON, is no longer known as a secret. */
export function redactedPlan(plan: PlanReport, redact: Redact): PlanReport {
  const redactedField = <Field extends PlannedField>({ from, to, ...field }: Field) => ({
    ...field,
    path: redact(field.path),
    ...(from === undefined ? {} : { from: redactedValue(from, redact) }),
    ...(to === undefined ? {} : { to: redactedValue(to, redact) }),
  });
  const side = (object: JsonObject | null) => object && redactedObject(object, redact);
  return {
    ...plan,
    changes: plan.changes.map(({ fields, name, before, after, ...change }) => ({
      ...change,
      name: redact(name),
      fields: fields.map(redactedField),
      before: side(before),
      after: side(after),
    })),
    conflicts: plan.conflicts.map(({ name, manager, ...field }) => ({
      ...redactedField(field),
      name: redact(name),
      manager: redact(manager),
    })),
    refusals: plan.refusals.map(redact),
  };
}

/** Whether an apply would do anything. */
export function isDrift({ changes, bookkeeping }: PlanReport): boolean {
  return changes.length > 0 || bookkeeping;
}

/** "2 to create, 1 to update; the servers would restart, one at a time" */
export function countsOf({ changes, bookkeeping, restarts }: PlanReport): string {
  const counts = (['create', 'update', 'adopt', 'delete'] as const).map((action) => ({
    action,
    count: changes.filter((change) => change.action === action).length,
  }));
  const told = counts.filter(({ count }) => count > 0).map(({ action, count }) => `${count} to ${action}`);
  if (told.length > 0) return `${told.join(', ')}${restarts ? '; the servers would restart, one at a time' : ''}`;
  return bookkeeping ? 'only the inventory, a ConfigMap of this action, to update' : 'nothing to change';
}

/** "update StatefulSet demo/nats" */
export function titleOf({ action, ...object }: PlannedChange): string {
  return `${action} ${objectText(object)}`;
}

/** The change as a diff of YAML; what others set, and what the API server fills in, is left out. */
export function diffOf({ before, after, fields }: PlannedChange): string {
  const [from, to] = [yaml(before), yaml(after)];
  if (from === to) return `  (${fields.map(({ path }) => path).join(', ')})`;
  if (before === null || after === null) return prefixed(before === null ? '+' : '-', from + to);
  const { hunks } = structuredPatch('', '', from, to, undefined, undefined, { context: CONTEXT });
  return hunks
    .flatMap(({ oldStart, oldLines, newStart, newLines, lines }) => [
      `@@ -${oldStart},${oldLines} +${newStart},${newLines} @@`,
      ...lines.map((line) => cut(line, LONGEST_LINE)),
    ])
    .join('\n');
}

/** The whole plan as text, for a reader. */
export function planText(report: PlanReport): string {
  const changes = report.changes.map((change) => `${titleOf(change)}\n${diffOf(change)}`);
  const text = [[`Plan: ${countsOf(report)}.`, ...findingsOf(report)].join('\n'), ...changes].join('\n\n');
  return cut(text, LONGEST_TEXT);
}

/** What stands in the way of the apply, a line each. */
export function findingsOf({ conflicts, refusals }: PlanReport): string[] {
  return [
    ...refusals.map((refusal) => `An apply would be refused: ${refusal}`),
    ...conflicts.map(
      ({ manager, path, from, to, ...object }) =>
        `Conflict: "${manager}" holds ${path} of ${objectText(object)}: ${valueText(from)}, wanted ${valueText(to)}`,
    ),
  ];
}

/**
 * The plan as JSON, for programs: docs/life-cycle.md describes it. Where it would be too long the values go first, and then
 * the last of a list, counted.
 */
export function planJson({ changes, conflicts, refusals }: PlanReport): string {
  const told = changes.map(({ before: _before, after: _after, fields, ...change }) => ({
    ...change,
    fields: fields.map(bounded),
  }));
  const whole = JSON.stringify({ changes: told, conflicts: conflicts.map(bounded), refusals });
  if (whole.length <= LONGEST_TEXT) return whole;
  const first = {
    changes: fitting(told.map((change) => ({ ...change, fields: [] }))),
    conflicts: fitting(conflicts.map(({ from: _from, to: _to, ...conflict }) => conflict)),
    refusals: fitting(refusals),
  };
  const leftOut = {
    changes: changes.length - first.changes.length,
    conflicts: conflicts.length - first.conflicts.length,
    refusals: refusals.length - first.refusals.length,
  };
  return JSON.stringify({ ...first, cut: true, left_out: leftOut });
}

/** The first of a list, as many as fit into its part of the JSON. */
function fitting<Item>(items: Item[]): Item[] {
  const first: Item[] = [];
  let length = 0;
  for (const item of items) {
    length += JSON.stringify(item).length + 1;
    if (length > LONGEST_LIST) break;
    first.push(item);
  }
  return first;
}

function bounded<Field extends PlannedField>(field: Field): Field {
  return { ...field, ...boundedValue('from', field.from), ...boundedValue('to', field.to) };
}

function boundedValue(key: 'from' | 'to', value: Json | undefined): { from?: Json; to?: Json } {
  if (value === undefined) return {};
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return { [key]: text.length > LONGEST_VALUE ? cut(text, LONGEST_VALUE) : value };
}

function objectText({ kind, namespace, name }: { kind: string; namespace?: string; name: string }): string {
  return `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}

function valueText(value: Json | undefined): string {
  return value === undefined ? 'absent' : cut(JSON.stringify(value), LONGEST_QUOTE);
}

function yaml(object: JsonObject | null): string {
  return object === null ? '' : dump(object, { lineWidth: -1, noRefs: true, sortKeys: true });
}

function prefixed(sign: string, text: string): string {
  const lines = text.trimEnd().split('\n');
  return lines.map((line) => cut(sign + line, LONGEST_LINE)).join('\n');
}

function cut(text: string, longest: number): string {
  if (text.length <= longest) return text;
  const left = text.length - longest;
  return `${text.slice(0, longest)}... (cut, ${left} more characters)`;
}
