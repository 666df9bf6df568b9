import type { JsonObject } from '../../src/json.ts';
import {
  compare,
  difference,
  type FieldPath,
  type FieldSet,
  fieldsOf,
  filter,
  fromFieldsV1,
  intersection,
  isEmpty,
  pathsOf,
  toFieldsV1,
  union,
  withContainers,
} from './field-set.ts';
import { mergeObjects, withoutFields } from './merge.ts';
import { type ManagedFieldsEntry, type StoredObject, timestamp } from './object-store.ts';
import { applyConflict, type FieldConflict } from './status.ts';

/** Who writes: one line of managedFields. */
export interface FieldManager {
  name: string;
  operation: 'Apply' | 'Update';
  subresource: string;
}

interface Owner {
  manager: FieldManager;
  apiVersion: string;
  time: string;
  fields: FieldSet;
}

/** Fields that nobody owns (apimachinery, managedfields/internal/stripmeta.go). */
const UNOWNED = new Set(
  [
    ['f:apiVersion'],
    ['f:kind'],
    ['f:metadata'],
    ...[
      'name',
      'namespace',
      'creationTimestamp',
      'selfLink',
      'uid',
      'clusterName',
      'generation',
      'managedFields',
      'resourceVersion',
    ].map((field) => ['f:metadata', `f:${field}`]),
  ].map((path) => path.join('/')),
);

export interface Outcome {
  /** The new object, without managedFields. */
  object: JsonObject;
  managedFields: ManagedFieldsEntry[];
}

/**
 * Server-side apply. Throws the 409 that lists every field another manager owns with another value, which `force` takes
 * from it. Fields that the manager applied last time and leaves out now are removed, unless another owns them too.
 */
export function applyConfiguration(
  live: StoredObject | undefined,
  applied: JsonObject,
  apiVersion: string,
  { fieldManager, force }: { fieldManager: string; force: boolean },
): Outcome {
  const applier: FieldManager = { name: fieldManager, operation: 'Apply', subresource: '' };
  const before = withoutManagedFields(live);
  const owners = ownersOf(live);
  const previous = owners.find((owner) => isSame(owner.manager, applier));
  const others = owners.filter((owner) => owner !== previous);
  const fields = owned(fieldsOf(applied), '');

  const everyone = union(fields, ...others.map((owner) => owner.fields));
  const dropped =
    previous === undefined
      ? difference(fields, fields)
      : difference(withContainers(previous.fields), withContainers(everyone));
  const object = withoutFields(mergeObjects(before, applied), dropped);

  const { added, modified, removed } = compare(before, object);
  const changed = union(added, modified);
  const conflicts = others.flatMap((owner) => conflictsWith(owner, intersection(owner.fields, changed)));
  if (conflicts.length > 0 && !force) {
    throw applyConflict(conflicts);
  }
  const lost = union(removed, changed);
  const remaining = others.map((owner) => ({ ...owner, fields: difference(owner.fields, lost) }));
  const own: Owner = { manager: applier, apiVersion, time: timestamp(), fields };
  return { object, managedFields: toManagedFields([...remaining, own]) };
}

/** A create, replace or patch: the manager takes over what it changed. */
export function updateOwnership(
  live: StoredObject | undefined,
  updated: JsonObject,
  apiVersion: string,
  name: string,
  subresource: string,
): ManagedFieldsEntry[] {
  const updater: FieldManager = { name, operation: 'Update', subresource };
  const before = live === undefined ? { metadata: {}, spec: {}, status: {} } : withoutManagedFields(live);
  const { added, modified, removed } = compare(before, updated);
  const changed = owned(union(added, modified), subresource);
  const owners = ownersOf(live);
  const previous = owners.find((owner) => isSame(owner.manager, updater));
  const fields = union(previous === undefined ? changed : difference(previous.fields, removed), changed);
  const isUnchanged = previous !== undefined && isEmpty(difference(fields, previous.fields));
  const others = owners
    .filter((owner) => owner !== previous)
    .map((owner) => ({ ...owner, fields: difference(difference(owner.fields, changed), removed) }));
  const time = isUnchanged ? previous.time : timestamp();
  return toManagedFields([...others, { manager: updater, apiVersion, time, fields }]);
}

/** The object as it is compared and merged. */
export function withoutManagedFields(object: StoredObject | undefined): JsonObject {
  if (object === undefined) {
    return {};
  }
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/** Only an update of the status subresource owns status, and nothing else. */
function owned(fields: FieldSet, subresource: string): FieldSet {
  return filter(fields, (path) => {
    const isStatus = path[0] === 'f:status';
    return !UNOWNED.has(path.join('/')) && isStatus === (subresource === 'status');
  });
}

function ownersOf(object: StoredObject | undefined): Owner[] {
  return (object?.metadata.managedFields ?? []).map((entry) => ({
    manager: {
      name: entry.manager,
      operation: entry.operation === 'Apply' ? 'Apply' : 'Update',
      subresource: entry.subresource ?? '',
    },
    apiVersion: entry.apiVersion,
    time: entry.time,
    fields: fromFieldsV1(entry.fieldsV1),
  }));
}

function toManagedFields(owners: Owner[]): ManagedFieldsEntry[] {
  return owners
    .filter((owner) => !isEmpty(owner.fields))
    .map((owner) => ({
      manager: owner.manager.name,
      operation: owner.manager.operation,
      apiVersion: owner.apiVersion,
      time: owner.time,
      fieldsType: 'FieldsV1',
      fieldsV1: toFieldsV1(owner.fields),
      ...(owner.manager.subresource === '' ? {} : { subresource: owner.manager.subresource }),
    }))
    .sort((left, right) => (sortKey(left) < sortKey(right) ? -1 : 1));
}

function sortKey(entry: ManagedFieldsEntry): string {
  return [entry.operation, entry.time, entry.manager, entry.subresource ?? ''].join('\0');
}

function isSame(left: FieldManager, right: FieldManager): boolean {
  return left.name === right.name && left.operation === right.operation && left.subresource === right.subresource;
}

function conflictsWith(owner: Owner, fields: FieldSet): FieldConflict[] {
  return pathsOf(fields).map((path) => ({
    manager: owner.manager.name,
    operation: owner.manager.operation,
    apiVersion: owner.apiVersion,
    subresource: owner.manager.subresource,
    field: spell(path),
  }));
}

/** .spec.containers[name="nats"].image */
function spell(path: FieldPath): string {
  return path.map(spellElement).join('');
}

function spellElement(element: string): string {
  const rest = element.slice(2);
  if (element.startsWith('f:')) {
    return `.${rest}`;
  }
  if (element.startsWith('v:')) {
    return `[=${rest}]`;
  }
  const keys: JsonObject = JSON.parse(rest);
  const spelled = Object.entries(keys).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return `[${spelled.join(',')}]`;
}
