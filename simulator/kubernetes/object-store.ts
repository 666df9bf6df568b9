import { randomUUID } from 'node:crypto';
import type { JsonObject } from '../../src/json.ts';
import type { KubeObject, ObjectMeta } from '../../src/kube/object.ts';
import { copyOf, frozen } from '../json-at.ts';
import type { Resource } from './resources.ts';

/** metadata.managedFields[] */
export interface ManagedFieldsEntry extends JsonObject {
  manager: string;
  operation: string;
  apiVersion: string;
  time: string;
  fieldsType: string;
  fieldsV1: JsonObject;
  subresource?: string;
}

export interface OwnerReference extends JsonObject {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
}

export interface StoredMeta extends ObjectMeta {
  uid: string;
  resourceVersion: string;
  creationTimestamp: string;
  generation?: number;
  deletionTimestamp?: string;
  managedFields?: ManagedFieldsEntry[];
  ownerReferences?: OwnerReference[];
}

export interface StoredObject extends KubeObject {
  metadata: StoredMeta;
}

/** The objects of a cluster, by resource, namespace and name. What goes in is copied, what comes out is frozen. */
export class ObjectStore {
  #objects = new Map<string, { resource: Resource; object: StoredObject }>();
  readonly #listeners = new Set<() => void>();
  #version = 1;

  /** Calls `listener` after every change. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** The resourceVersion of the latest change. */
  get version(): string {
    return String(this.#version);
  }

  get(resource: Resource, namespace: string, name: string): StoredObject | undefined {
    return this.#objects.get(keyOf(resource, namespace, name))?.object;
  }

  /** In the order of namespace and name; of every namespace without one. */
  list(resource: Resource, namespace?: string): StoredObject[] {
    return [...this.#objects]
      .filter(([, entry]) => entry.resource === resource)
      .filter(([, entry]) => namespace === undefined || entry.object.metadata.namespace === namespace)
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([, entry]) => entry.object);
  }

  /** Everything in a namespace, of every kind. */
  contents(namespace: string): { resource: Resource; object: StoredObject }[] {
    return [...this.#objects.values()].filter((entry) => entry.object.metadata.namespace === namespace);
  }

  /** Stores the object under the next resourceVersion, as it is. */
  put(resource: Resource, object: StoredObject): StoredObject {
    this.#version += 1;
    const stored = copyOf(object);
    stored.metadata.resourceVersion = this.version;
    const kept = frozen(stored);
    this.#objects.set(keyOf(resource, stored.metadata.namespace ?? '', stored.metadata.name), {
      resource,
      object: kept,
    });
    this.#changed();
    return kept;
  }

  remove(resource: Resource, namespace: string, name: string): void {
    if (this.#objects.delete(keyOf(resource, namespace, name))) {
      this.#version += 1;
      this.#changed();
    }
  }

  /** Remembers what is there; to call what it returns brings that back. */
  snapshot(): () => void {
    const objects = new Map(this.#objects);
    const version = this.#version;
    return () => {
      this.#objects = new Map(objects);
      this.#version = version;
    };
  }

  #changed(): void {
    for (const listener of this.#listeners) {
      listener();
    }
  }
}

/** Gives an object the metadata that the API server adds on creation. */
export function withSystemMetadata(resource: Resource, object: KubeObject): StoredObject {
  return {
    ...object,
    metadata: {
      ...object.metadata,
      uid: randomUUID(),
      resourceVersion: '',
      ...(resource.generation ? { generation: 1 } : {}),
      creationTimestamp: timestamp(),
    },
  };
}

/** Now, as Kubernetes writes times: whole seconds, UTC. */
export function timestamp(date: Date = new Date()): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z');
}

function keyOf(resource: Resource, namespace: string, name: string): string {
  return `${resource.group}/${resource.plural}/${namespace}/${name}`;
}
