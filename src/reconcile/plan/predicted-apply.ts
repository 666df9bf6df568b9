import { isDeepStrictEqual } from 'node:util';
import { digText, isJsonObject, type Json, type JsonObject } from '../../json.ts';
import type { ApplyOptions } from '../../kube/client.ts';
import type { FieldConflict } from '../../kube/errors.ts';
import type { KubeObject } from '../../kube/object.ts';
import { MANAGER } from '../../manager.ts';
import { appliedBy } from '../ownership.ts';
import type { FieldDifference } from './difference.ts';

/** What an apply would do, as far as reading tells it. */
export interface Prediction {
  /** The object as it would be, without what the API server fills in for fields that come. */
  object: KubeObject;
  /** Why the apply would be refused: fields that others hold, with the live value and the wanted one. */
  conflicts: (FieldConflict & FieldDifference)[];
  /** What the manager holds or is about to hold: now, and after the apply. */
  held: { before: JsonObject; after: JsonObject };
}

/**
 * A set of fields as metadata.managedFields has it: "f:" a field, "k:" an item of a list by its keys, "v:" an item of a
 * set, "." what contains them. https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
 */
type FieldTree = JsonObject;

/** What the API server fills in within lists and maps that an apply replaces whole, and which is no difference. */
const FILLED_IN: JsonObject = { apiVersion: 'v1', divisor: '0', protocol: 'TCP', status: { phase: 'Pending' } };

/**
 * What a server-side apply of the object would come to, for who may read only: not even a dry run is sent. Which lists
 * are merged by keys, as sets or not at all is told by the fields that managers hold in the live object, so that no
 * schema is needed: https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy. What an admission
 * webhook would change is not foreseen.
 */
export function predictApply(live: KubeObject, wanted: KubeObject, options: ApplyOptions): Prediction {
  const { manager = MANAGER, takesFrom = [] } = options;
  const entries = Array.isArray(live.metadata.managedFields) ? live.metadata.managedFields.filter(isJsonObject) : [];
  const isOwn = (entry: JsonObject) =>
    entry.manager === manager && entry.operation === 'Apply' && (entry.subresource ?? '') === '';
  const own = treeOf(entries.find(isOwn));
  const others = entries
    .filter((entry) => !isOwn(entry))
    .map((entry) => ({ manager: String(entry.manager), fields: treeOf(entry) }));
  const known = union(
    own,
    others.map(({ fields }) => fields),
  );

  const fields = fieldsOf(content(wanted), known);
  const laid = merge(content(live), content(wanted), known, own);
  const kept = union(
    fields,
    others.map((other) => other.fields),
  );
  const rest = without(laid, own, kept);
  const conflicts = others.flatMap((other) =>
    conflictsIn(other.fields, content(live), rest, '', '').map((conflict) => ({ manager: other.manager, ...conflict })),
  );
  const ownEntry = { manager, operation: 'Apply', fieldsV1: fields };
  return {
    object: withContent(live, rest, [...entries.filter((entry) => !isOwn(entry)), ownEntry]),
    conflicts: conflicts.every((conflict) => takesFrom.includes(conflict.manager)) ? [] : conflicts,
    held: { before: part(content(live), union(own, [fields])), after: part(rest, fields) },
  };
}

/** The part of an object that a manager can hold: neither what tells it from others nor what the API server counts. */
function content({ apiVersion: _version, kind: _kind, metadata, ...rest }: KubeObject): JsonObject {
  const { labels, annotations, finalizers, ownerReferences } = metadata;
  const held = defined({ labels, annotations, finalizers, ownerReferences });
  return Object.keys(held).length === 0 ? rest : { ...rest, metadata: held };
}

function withContent(
  { apiVersion, kind, metadata }: KubeObject,
  { metadata: held, ...rest }: JsonObject,
  managedFields: Json[],
): KubeObject {
  const { labels: _labels, annotations: _annotations, finalizers: _f, ownerReferences: _o, ...identity } = metadata;
  return { apiVersion, kind, ...rest, metadata: { ...identity, ...(isJsonObject(held) ? held : {}), managedFields } };
}

function defined(object: JsonObject): { [key: string]: Json } {
  const entries = Object.entries(object).filter((entry): entry is [string, Json] => entry[1] !== undefined);
  return Object.fromEntries(entries);
}

function treeOf(entry: JsonObject | undefined): FieldTree {
  return isJsonObject(entry?.fieldsV1) ? entry.fieldsV1 : {};
}

function branch(tree: FieldTree | undefined, element: string): FieldTree | undefined {
  const below = tree?.[element];
  return isJsonObject(below) ? below : undefined;
}

function elementsOf(tree: FieldTree): string[] {
  return Object.keys(tree).filter((element) => element !== '.');
}

function union(tree: FieldTree, others: FieldTree[]): FieldTree {
  const result: FieldTree = { ...tree };
  for (const other of others)
    for (const element of Object.keys(other))
      result[element] = union(branch(result, element) ?? {}, [branch(other, element) ?? {}]);
  return result;
}

/** How the items of a list are told apart: by these keys, by their value ([]), or not at all (null). */
function listKeys(known: FieldTree | undefined): string[] | null {
  const [element] = Object.keys(known ?? {}).filter((key) => key.startsWith('k:') || key.startsWith('v:'));
  return element === undefined ? null : Object.keys(keysIn(element));
}

function keysIn(element: string): JsonObject {
  const keys: Json = element.startsWith('k:') ? JSON.parse(element.slice(2)) : {};
  return isJsonObject(keys) ? keys : {};
}

function elementOf(item: Json, keys: string[]): string {
  if (!isJsonObject(item)) return `v:${JSON.stringify(item)}`;
  return `k:${JSON.stringify(Object.fromEntries(keys.map((key) => [key, item[key]])))}`;
}

/** Whether a value is replaced whole: its owner holds it, and nothing below it. */
function isAtomic(known: FieldTree | undefined, live: Json | undefined): boolean {
  const isLeaf = known !== undefined && elementsOf(known).length === 0;
  return isLeaf && isJsonObject(live) && Object.keys(live).length > 0;
}

/** The fields that an apply of the value holds. */
function fieldsOf(value: Json, known: FieldTree | undefined): FieldTree {
  if (isJsonObject(value)) {
    if (isAtomic(known, value)) return {};
    const entries = Object.entries(defined(value));
    return Object.fromEntries(entries.map(([key, child]) => [`f:${key}`, fieldsOf(child, branch(known, `f:${key}`))]));
  }
  const keys = listKeys(known);
  if (!Array.isArray(value) || keys === null) return {};
  return Object.fromEntries(
    value.map((item) => {
      const element = elementOf(item, keys);
      const below = fieldsOf(item, branch(known, element));
      return [element, Object.keys(below).length === 0 ? {} : { '.': {}, ...below }];
    }),
  );
}

function merge(
  live: JsonObject,
  wanted: JsonObject,
  known: FieldTree | undefined,
  own: FieldTree | undefined,
): JsonObject {
  const entries = Object.entries(defined(wanted)).map(([key, value]): [string, Json | undefined] => {
    const element = `f:${key}`;
    return [key, mergeValue(live[key], value, branch(known, element), branch(own, element))];
  });
  return defined({ ...live, ...Object.fromEntries(entries) });
}

function mergeValue(
  live: Json | undefined,
  wanted: Json,
  known: FieldTree | undefined,
  own: FieldTree | undefined,
): Json | undefined {
  // The API server stores no empty value of many fields: it was applied before, and this is what came of it.
  if (live === undefined) return own !== undefined && isEmpty(wanted) ? undefined : wanted;
  if (isJsonObject(live) && isJsonObject(wanted) && !isAtomic(known, live)) return merge(live, wanted, known, own);
  if (!Array.isArray(live) || !Array.isArray(wanted)) return filledIn(live, wanted);
  const keys = listKeys(known);
  if (keys !== null) return mergeLists(live, wanted, { keys, known, own });
  // Nobody holds it: an object that was restored without its managers.
  const isUnheld = known === undefined && live.length === wanted.length;
  return isUnheld
    ? wanted.map((item, index) => mergeValue(live[index], item, undefined, undefined) ?? item)
    : filledIn(live, wanted);
}

function isEmpty(value: Json): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (isJsonObject(value)) return Object.keys(value).length === 0;
  return value === null || value === '' || value === 0 || value === false;
}

/** The wanted value with what the API server filled in below it. */
function filledIn(live: Json | undefined, wanted: Json): Json {
  if (Array.isArray(live) && Array.isArray(wanted)) return wanted.map((item, index) => filledIn(live[index], item));
  if (!isJsonObject(live) || !isJsonObject(wanted)) return wanted;
  const given = Object.entries(defined(wanted)).map(([key, value]): [string, Json] => [
    key,
    filledIn(live[key], value),
  ]);
  const added = Object.entries(defined(live)).filter(
    ([key, value]) => wanted[key] === undefined && isDeepStrictEqual(value, FILLED_IN[key]),
  );
  return Object.fromEntries([...given, ...added]);
}

interface ListFields {
  keys: string[];
  known: FieldTree | undefined;
  own: FieldTree | undefined;
}

/** Wanted items keep their order; live ones that are not wanted keep their place among them. */
function mergeLists(live: Json[], wanted: Json[], { keys, known, own }: ListFields): Json[] {
  const left = new Map(live.map((item) => [elementOf(item, keys), item]));
  const elements = new Set(wanted.map((item) => elementOf(item, keys)));
  const takeOthersBefore = (end: string | null): Json[] => {
    const names = [...left.keys()];
    const before = names.slice(0, end === null ? names.length : names.indexOf(end));
    return before
      .filter((element) => !elements.has(element))
      .flatMap((element) => {
        const item = left.get(element);
        left.delete(element);
        return item === undefined ? [] : [item];
      });
  };
  const merged = wanted.flatMap((item) => {
    const element = elementOf(item, keys);
    const before = left.has(element) ? takeOthersBefore(element) : [];
    return [...before, mergeValue(left.get(element), item, branch(known, element), branch(own, element)) ?? item];
  });
  return [...merged, ...takeOthersBefore(null)];
}

/** The value without the fields and items that the manager held, wants no more, and shares with nobody. */
function without(value: JsonObject, own: FieldTree, kept: FieldTree | undefined): JsonObject {
  const entries = Object.entries(defined(value)).flatMap(([key, child]): [string, Json][] => {
    const element = `f:${key}`;
    const held = branch(own, element);
    if (held === undefined) return [[key, child]];
    const still = branch(kept, element);
    return still === undefined ? [] : [[key, withoutBelow(child, held, still)]];
  });
  return Object.fromEntries(entries);
}

function withoutBelow(value: Json, own: FieldTree, kept: FieldTree): Json {
  if (isJsonObject(value)) return without(value, own, kept);
  const keys = listKeys(own);
  if (!Array.isArray(value) || keys === null) return value;
  return value.flatMap((item) => {
    const element = elementOf(item, keys);
    const held = branch(own, element);
    if (held === undefined) return [item];
    const still = branch(kept, element);
    return still === undefined ? [] : [withoutBelow(item, held, still)];
  });
}

/** The fields of the object that the tree names. */
function part(value: JsonObject, tree: FieldTree): JsonObject {
  const entries = Object.entries(defined(value)).flatMap(([key, child]): [string, Json][] => {
    const below = branch(tree, `f:${key}`);
    return below === undefined ? [] : [[key, partBelow(child, below)]];
  });
  return Object.fromEntries(entries);
}

function partBelow(value: Json, tree: FieldTree): Json {
  if (elementsOf(tree).length === 0) return value;
  if (isJsonObject(value)) return part(value, tree);
  const keys = listKeys(tree);
  if (!Array.isArray(value) || keys === null) return value;
  return value.flatMap((item) => {
    const below = branch(tree, elementOf(item, keys));
    return below === undefined ? [] : [partBelow(item, below)];
  });
}

/** What a manager has applied of an object. */
export function heldBy(live: KubeObject, manager: string): JsonObject {
  return part(content(live), treeOf({ fieldsV1: appliedBy(live, manager) }));
}

/** The fields of another manager that come to have another value. */
function conflictsIn(
  tree: FieldTree,
  from: Json | undefined,
  to: Json | undefined,
  field: string,
  path: string,
): (Omit<FieldConflict, 'manager'> & FieldDifference)[] {
  const elements = elementsOf(tree);
  if (elements.length === 0) return to === undefined || isDeepStrictEqual(from, to) ? [] : [{ field, path, from, to }];
  return elements.flatMap((element) =>
    conflictsIn(
      branch(tree, element) ?? {},
      at(from, element),
      at(to, element),
      field + spelled(element),
      path + labelled(element, path, at(from, element) ?? at(to, element)),
    ),
  );
}

function at(value: Json | undefined, element: string): Json | undefined {
  if (isJsonObject(value)) return value[element.slice(2)];
  if (!Array.isArray(value)) return undefined;
  return value.find((item) => elementOf(item, Object.keys(keysIn(element))) === element);
}

/** As the API server spells it: .spec.containers[name="nats"].image */
function spelled(element: string): string {
  const rest = element.slice(2);
  if (element.startsWith('f:')) return `.${rest}`;
  if (element.startsWith('v:')) return `[=${rest}]`;
  const keys = Object.entries(keysIn(element)).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return `[${keys.join(',')}]`;
}

/** As differences spells it: spec.containers[nats].image */
function labelled(element: string, path: string, value: Json | undefined): string {
  const rest = element.slice(2);
  if (element.startsWith('f:')) return path === '' ? rest : `.${rest}`;
  if (element.startsWith('v:')) return `[${rest}]`;
  return `[${digText(value, 'name') || Object.values(keysIn(element)).join(',')}]`;
}
