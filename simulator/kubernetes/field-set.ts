import { isDeepStrictEqual } from 'node:util';
import { isJsonObject, type Json, type JsonObject } from '../../src/json.ts';
import { ATOMIC_ITEM, hasAtomicItems, isAtomicMap, itemElement, listType } from './list-types.ts';

/** A set of field paths, as a tree: what metadata.managedFields[].fieldsV1 says. */
export interface FieldSet {
  member: boolean;
  children: Map<string, FieldSet>;
}

export interface Comparison {
  added: FieldSet;
  modified: FieldSet;
  removed: FieldSet;
}

export type FieldPath = string[];

function emptySet(): FieldSet {
  return { member: false, children: new Map() };
}

export function isEmpty(set: FieldSet): boolean {
  return !set.member && [...set.children.values()].every(isEmpty);
}

function insert(set: FieldSet, path: FieldPath): void {
  let node = set;
  for (const element of path) {
    let child = node.children.get(element);
    if (child === undefined) {
      child = emptySet();
      node.children.set(element, child);
    }
    node = child;
  }
  node.member = true;
}

/** Every member's path, in the order of a FieldsV1. */
export function pathsOf(set: FieldSet, prefix: FieldPath = []): FieldPath[] {
  const own = set.member ? [prefix] : [];
  const names = [...set.children.keys()].sort();
  return [
    ...own,
    ...names.flatMap((name) => {
      const child = set.children.get(name);
      return child === undefined ? [] : pathsOf(child, [...prefix, name]);
    }),
  ];
}

export function union(...sets: FieldSet[]): FieldSet {
  const result = emptySet();
  for (const set of sets) {
    for (const path of pathsOf(set)) {
      insert(result, path);
    }
  }
  return result;
}

/** The members of `left` that `right` has not. */
export function difference(left: FieldSet, right: FieldSet): FieldSet {
  return filter(left, (path) => !has(right, path));
}

export function intersection(left: FieldSet, right: FieldSet): FieldSet {
  return filter(left, (path) => has(right, path));
}

/** Whether the path itself is a member. */
export function has(set: FieldSet, path: FieldPath): boolean {
  return nodeAt(set, path)?.member ?? false;
}

function nodeAt(set: FieldSet, path: FieldPath): FieldSet | undefined {
  let node: FieldSet | undefined = set;
  for (const element of path) {
    node = node?.children.get(element);
  }
  return node;
}

export function filter(set: FieldSet, keep: (path: FieldPath) => boolean): FieldSet {
  const result = emptySet();
  for (const path of pathsOf(set).filter(keep)) {
    insert(result, path);
  }
  return result;
}

/** Adds every field that contains a member: what pruning looks at, so that a struct goes with its last field. */
export function withContainers(set: FieldSet): FieldSet {
  const result = union(set);
  markContainers(result);
  return result;
}

function markContainers(set: FieldSet): void {
  for (const [element, child] of set.children) {
    if (isEmpty(child)) {
      continue;
    }
    if (element.startsWith('f:')) {
      child.member = true;
    }
    markContainers(child);
  }
}

export function toFieldsV1(set: FieldSet): JsonObject {
  const result: JsonObject = {};
  if (set.member && set.children.size > 0) {
    result['.'] = {};
  }
  for (const element of [...set.children.keys()].sort()) {
    const child = set.children.get(element);
    if (child !== undefined && !isEmpty(child)) {
      result[element] = toFieldsV1(child);
    }
  }
  return result;
}

export function fromFieldsV1(fields: JsonObject): FieldSet {
  const set = emptySet();
  const entries = Object.entries(fields);
  set.member = entries.length === 0 || '.' in fields;
  for (const [element, child] of entries) {
    if (element !== '.' && isJsonObject(child)) {
      set.children.set(element, fromFieldsV1(child));
    }
  }
  return set;
}

/** The fields that an applied configuration owns (structured-merge-diff, ToFieldSet). */
export function fieldsOf(object: JsonObject): FieldSet {
  const set = emptySet();
  collect(object, '', [], set);
  return set;
}

function collect(value: Json, name: string, path: FieldPath, set: FieldSet): void {
  if (isJsonObject(value)) {
    const entries = definedEntries(value);
    if (entries.length === 0 || isAtomicMap(name)) {
      insert(set, path);
      return;
    }
    for (const [key, child] of entries) {
      collect(child, key, [...path, `f:${key}`], set);
    }
    return;
  }
  if (!Array.isArray(value)) {
    insert(set, path);
    return;
  }
  const type = listType(name, value);
  if (type.type === 'atomic') {
    insert(set, path);
    return;
  }
  for (const item of value) {
    const itemPath = [...path, itemElement(type, item)];
    insert(set, itemPath);
    if (isJsonObject(item)) {
      collect(item, hasAtomicItems(name) ? ATOMIC_ITEM : '', itemPath, set);
    }
  }
}

/** What differs between two versions of an object (structured-merge-diff, Compare). */
export function compare(before: JsonObject, after: JsonObject): Comparison {
  const comparison = { added: emptySet(), modified: emptySet(), removed: emptySet() };
  compareMaps(before, after, [], comparison);
  return comparison;
}

function compareValues(
  before: Json | undefined,
  after: Json | undefined,
  name: string,
  path: FieldPath,
  result: Comparison,
): void {
  const sample = after ?? before;
  if (isJsonObject(sample) && !isAtomicMap(name) && isMapOrNothing(before) && isMapOrNothing(after)) {
    compareMaps(before ?? {}, after ?? {}, path, result);
    markPresence(before, after, path, result);
    return;
  }
  if (Array.isArray(sample)) {
    const type = listType(name, sample);
    const isList = (value: Json | undefined): boolean => value === undefined || Array.isArray(value);
    if (type.type !== 'atomic' && isList(before) && isList(after)) {
      compareLists(before, after, name, path, result);
      markPresence(before, after, path, result);
      return;
    }
  }
  markPresence(before, after, path, result);
  if (before !== undefined && after !== undefined && !isDeepStrictEqual(before, after)) {
    insert(result.modified, path);
  }
}

function compareMaps(before: JsonObject, after: JsonObject, path: FieldPath, result: Comparison): void {
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    compareValues(before[key], after[key], key, [...path, `f:${key}`], result);
  }
}

function compareLists(
  before: Json | undefined,
  after: Json | undefined,
  name: string,
  path: FieldPath,
  result: Comparison,
): void {
  const left = indexed(name, before);
  const right = indexed(name, after);
  for (const element of new Set([...left.keys(), ...right.keys()])) {
    const itemName = hasAtomicItems(name) ? ATOMIC_ITEM : '';
    compareValues(left.get(element), right.get(element), itemName, [...path, element], result);
  }
}

function markPresence(before: Json | undefined, after: Json | undefined, path: FieldPath, result: Comparison): void {
  if (before === undefined) {
    insert(result.added, path);
  } else if (after === undefined) {
    insert(result.removed, path);
  }
}

/** The items of a list by path element, in their order. */
export function indexed(name: string, list: Json | undefined): Map<string, Json> {
  const items = Array.isArray(list) ? list : [];
  const type = listType(name, items);
  return new Map(items.map((item) => [itemElement(type, item), item]));
}

function isMapOrNothing(value: Json | undefined): value is JsonObject | undefined {
  return value === undefined || isJsonObject(value);
}

function definedEntries(object: JsonObject): [string, Json][] {
  return Object.entries(object).filter((entry): entry is [string, Json] => entry[1] !== undefined);
}
