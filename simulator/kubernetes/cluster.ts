import { isDeepStrictEqual } from 'node:util';
import { isJsonObject, type Json, type JsonObject } from '../../src/json.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import { withDefaults } from './defaults.ts';
import { applyConfiguration, updateOwnership, withoutManagedFields } from './managed-fields.ts';
import { type ManagedFieldsEntry, ObjectStore, type StoredObject, withSystemMetadata } from './object-store.ts';
import { apiVersionOf, type Resource, resourceOf } from './resources.ts';
import { alreadyExists, badRequest, conflict, failedPrecondition, invalid, modified, notFound } from './status.ts';
import { validate } from './validation.ts';

/** Where a request points: one object of a resource. */
export interface Target {
  resource: Resource;
  /** Empty for cluster-scoped resources. */
  namespace: string;
  name: string;
}

export interface WriteOptions {
  fieldManager: string;
  dryRun: boolean;
}

export interface Written {
  object: StoredObject;
  created: boolean;
}

/** The writes of the API server on top of the store: defaulting, validation, field ownership, generation, preconditions. */
export class Cluster {
  readonly store = new ObjectStore();

  get(target: Target): StoredObject {
    const object = this.find(target);
    if (object === undefined) {
      throw notFound(target.resource, target.name);
    }
    return object;
  }

  find({ resource, namespace, name }: Target): StoredObject | undefined {
    return this.store.get(resource, namespace, name);
  }

  create(target: Target, body: JsonObject, options: WriteOptions): StoredObject {
    this.#requireNamespace(target);
    if (this.find(target) !== undefined) {
      throw alreadyExists(target.resource, target.name);
    }
    const object = withSystemMetadata(target.resource, this.#complete(target, body, undefined));
    const managed = updateOwnership(undefined, object, apiVersionOf(target.resource), options.fieldManager, '');
    return this.#keep(target, withManagedFields(object, managed), options.dryRun);
  }

  /** PUT, merge-patch and json-patch; an update that changes nothing writes nothing. */
  update(target: Target, body: JsonObject, options: WriteOptions, subresource = ''): StoredObject {
    const live = this.get(target);
    requireVersion(target, body, live);
    const wanted = subresource === 'status' ? { ...live, status: body.status } : { ...body, status: live.status };
    const object = settled(target.resource, this.#complete(target, wanted, live), live);
    const managed =
      subresource === '' && isJsonObject(body.metadata) && Array.isArray(body.metadata.managedFields)
        ? withReplacedManagers(live, body.metadata.managedFields)
        : live;
    const owners = updateOwnership(managed, object, apiVersionOf(target.resource), options.fieldManager, subresource);
    const updated = withManagedFields(object, owners);
    return isDeepStrictEqual(updated, live) ? live : this.#keep(target, updated, options.dryRun);
  }

  /** Server-side apply; one that changes nothing writes nothing and moves no timestamp. */
  apply(target: Target, body: JsonObject, options: WriteOptions & { force: boolean }): Written {
    const { resource, name } = target;
    const metadata = isJsonObject(body.metadata) ? body.metadata : {};
    if (metadata.name !== name) {
      throw badRequest(
        `the name of the object (${String(metadata.name)}) does not match the name on the URL (${name})`,
      );
    }
    if (options.fieldManager === '') {
      throw missingFieldManager();
    }
    const live = this.find(target);
    if (live === undefined) {
      this.#requireNamespace(target);
      if (metadata.uid !== undefined) {
        const uid = String(metadata.uid);
        const why = `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`;
        throw conflict(resource, name, why);
      }
    } else {
      requireVersion(target, body, live);
    }
    this.#requireRole(target, body);
    const outcome = applyConfiguration(live, configuration(body), apiVersionOf(resource), options);
    const complete = this.#complete(target, outcome.object, live);
    if (live === undefined) {
      const created = withManagedFields(withSystemMetadata(resource, complete), outcome.managedFields);
      return { object: this.#keep(target, created, options.dryRun), created: true };
    }
    const object = withManagedFields(settled(resource, complete, live), outcome.managedFields);
    if (isDeepStrictEqual(withoutTimes(object), withoutTimes(live))) {
      return { object: live, created: false };
    }
    return { object: this.#keep(target, object, options.dryRun), created: false };
  }

  /** Removes the object, and with a Namespace all that is in it. */
  delete(target: Target, preconditions: JsonObject, dryRun: boolean): StoredObject {
    const { resource, namespace, name } = target;
    const live = this.get(target);
    requirePrecondition(target, 'UID', preconditions.uid, live.metadata.uid);
    requirePrecondition(target, 'ResourceVersion', preconditions.resourceVersion, live.metadata.resourceVersion);
    if (dryRun) {
      return live;
    }
    if (resource.kind === 'Namespace') {
      for (const { resource: kind, object } of this.store.contents(name)) {
        this.store.remove(kind, name, object.metadata.name);
      }
    }
    this.store.remove(resource, namespace, name);
    return live;
  }

  /** A controller's write to the status subresource; nothing where the object is gone. */
  updateStatus(target: Target, manager: string, status: JsonObject): void {
    const live = this.find(target);
    if (live !== undefined) {
      this.update(target, { ...live, status }, { fieldManager: manager, dryRun: false }, 'status');
    }
  }

  #requireNamespace({ resource, namespace }: Target): void {
    const namespaces = resourceOf('Namespace');
    if (resource.namespaced && this.store.get(namespaces, '', namespace) === undefined) {
      throw notFound(namespaces, namespace);
    }
  }

  /** As for who may not do everything: a binding of a Role that does not exist is refused, as nobody knows what it grants. */
  #requireRole({ resource, namespace }: Target, body: JsonObject): void {
    const { roleRef } = body;
    if (resource.kind !== 'RoleBinding' || !isJsonObject(roleRef) || roleRef.kind !== 'Role') return;
    const name = String(roleRef.name);
    if (this.store.get(resourceOf('Role'), namespace, name) === undefined) throw notFound(resource, name);
  }

  /** The object as it would be stored, but for the metadata that the API server sets. */
  #complete(target: Target, body: JsonObject, live: StoredObject | undefined): KubeObject {
    const { resource, namespace, name } = target;
    const { managedFields: _, ...metadata } = isJsonObject(body.metadata) ? body.metadata : {};
    const named = { ...metadata, name, ...(namespace === '' ? {} : { namespace }) };
    const identity = { apiVersion: apiVersionOf(resource), kind: resource.kind };
    const object = withDefaults({ ...body, ...identity, metadata: named });
    validate(resource, name, object, live);
    return { ...object, ...identity, metadata: { ...(isJsonObject(object.metadata) ? object.metadata : {}), name } };
  }

  #keep(target: Target, object: StoredObject, dryRun: boolean): StoredObject {
    return dryRun ? object : this.store.put(target.resource, object);
  }
}

/** What of an applied body counts: apply sets no status and no system metadata. */
function configuration(body: JsonObject): JsonObject {
  const { status: _, ...rest } = body;
  const { uid, resourceVersion, generation, creationTimestamp, managedFields, ...metadata } = isJsonObject(
    body.metadata,
  )
    ? body.metadata
    : {};
  return { ...rest, metadata };
}

/** Puts the system metadata of the live object back and counts the generation. */
function settled(resource: Resource, object: KubeObject, live: StoredObject): StoredObject {
  const { uid, resourceVersion, creationTimestamp, deletionTimestamp, generation } = live.metadata;
  const settledObject: StoredObject = {
    ...object,
    ...(live.status === undefined || object.status !== undefined ? {} : { status: live.status }),
    metadata: {
      ...object.metadata,
      uid,
      resourceVersion,
      creationTimestamp,
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
      ...(generation === undefined ? {} : { generation }),
    },
  };
  if (resource.generation && !isDeepStrictEqual(counted(settledObject), counted(live))) {
    settledObject.metadata.generation = (generation ?? 0) + 1;
  }
  return settledObject;
}

/** What a generation counts. A Pod's, too: its labels and annotations do not move it. */
function counted(object: StoredObject): JsonObject {
  const { metadata: _, status: __, ...rest } = object;
  return rest;
}

function withManagedFields(object: StoredObject, managedFields: ManagedFieldsEntry[]): StoredObject {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata: managedFields.length === 0 ? metadata : { ...metadata, managedFields } };
}

/** A client may rewrite managedFields: how ownership is handed from one manager to another. */
function withReplacedManagers(live: StoredObject, entries: Json[]): StoredObject {
  const managedFields = entries.filter((entry): entry is ManagedFieldsEntry => isJsonObject(entry));
  return withManagedFields(live, managedFields);
}

function withoutTimes(object: StoredObject): JsonObject {
  const managedFields = (object.metadata.managedFields ?? []).map(({ time: _, ...entry }) => entry);
  return { ...withoutManagedFields(object), managedFields };
}

function requireVersion(target: Target, body: JsonObject, live: StoredObject): void {
  const { resourceVersion, uid } = isJsonObject(body.metadata) ? body.metadata : {};
  if (resourceVersion !== undefined && resourceVersion !== live.metadata.resourceVersion) {
    throw modified(target.resource, target.name);
  }
  if (uid !== undefined && uid !== live.metadata.uid) {
    const message = `Invalid value: ${JSON.stringify(uid)}: field is immutable`;
    const cause = { reason: 'FieldValueInvalid', message, field: 'metadata.uid' };
    throw invalid(target.resource, target.name, [cause]);
  }
}

const PRECONDITION_HINTS = {
  UID: 'The object might have been deleted and then recreated',
  ResourceVersion: 'The object might have been modified',
};

function requirePrecondition(
  target: Target,
  field: keyof typeof PRECONDITION_HINTS,
  wanted: Json | undefined,
  actual: string,
): void {
  if (wanted !== undefined && wanted !== actual) {
    const why = `the ${field} in the precondition (${String(wanted)}) does not match the ${field} in record (${actual}). ${PRECONDITION_HINTS[field]}`;
    throw failedPrecondition(target.resource, target.name, why);
  }
}

function missingFieldManager() {
  const options: Resource = {
    kind: 'PatchOptions',
    group: 'meta.k8s.io',
    version: 'v1',
    plural: 'patchoptions',
    namespaced: false,
    generation: false,
  };
  const message = 'Required value: is required for apply patch';
  return invalid(options, '', [{ reason: 'FieldValueRequired', message, field: 'fieldManager' }]);
}
