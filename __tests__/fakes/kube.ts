import { duplexPair } from 'node:stream';
import { isDeepStrictEqual } from 'node:util';
import { secretName } from '../../src/desired/names.ts';
import { digText, isJsonObject, type Json, type JsonObject } from '../../src/json.ts';
import { type Access, describe, type KubeClient } from '../../src/kube/client.ts';
import { ApplyConflict, type FieldConflict } from '../../src/kube/errors.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import { type Kind, kindOf, resourceOf } from '../../src/kube/resources.ts';
import { MANAGER } from '../../src/manager.ts';
import { PORTS } from '../../src/nats/layout.ts';
import { Problem } from '../../src/problem.ts';
import { type KeyPair, serveTls } from './nats-tls.ts';

export interface FakeKube extends KubeClient {
  /** Every write but dry runs: "apply ConfigMap demo/a". */
  writes: string[];
  /** Puts an object there, or replaces it, as somebody else would; the defaults of metadata come from the fake. */
  put(object: KubeObject): KubeObject;
  /** What is stored, for looking at it; fails the test when there is nothing. */
  stored(kind: Kind, name: string, namespace?: string): KubeObject;
  all(kind: Kind): KubeObject[];
  /** Removes it, as somebody else would. */
  take(kind: Kind, name: string, namespace?: string): void;
  /** Fields that others hold, by "ConfigMap demo/a". */
  conflicts: Map<string, FieldConflict[]>;
  /** Called with what the action stored, as controllers are. */
  controllers: ((written: KubeObject) => void)[];
  /** Answers of pods, by "a-0/varz". */
  podAnswers: Map<string, JsonObject>;
  podLogs: Map<string, string>;
  /** What pods serve by TLS, by "a-0:4222"; else it is what their Secret holds. Null: nothing. */
  served: Map<string, KeyPair | null>;
  denies: (access: Access) => boolean;
  /** Whom the API server takes the action for, if it tells. */
  identifies: string | null;
  serving: { apis: Set<string>; openApi: Map<string, JsonObject>; version: string };
}

/**
 * An API server in memory, as far as the action looks: server-side apply with one applier, resourceVersions,
 * generations, label selectors. Objects can only be created in namespaces that exist.
 */
export function fakeKube(journal: string[] = []): FakeKube {
  const objects = new Map<string, KubeObject>();
  const applied = new Map<string, KubeObject>();
  let counter = 0;

  function save(key: string, object: KubeObject): KubeObject {
    const live = objects.get(key);
    const kept = live?.metadata;
    const metadata = {
      ...object.metadata,
      uid: kept?.uid ?? `uid-${++counter}`,
      resourceVersion: kept?.resourceVersion ?? '',
      generation: Number(kept?.generation ?? 1),
    };
    const next: KubeObject = { ...object, metadata };
    if (live !== undefined && isDeepStrictEqual(next, live)) return structuredClone(live);
    if (live !== undefined && !isDeepStrictEqual(next.spec, live.spec)) metadata.generation += 1;
    metadata.resourceVersion = String(++counter);
    objects.set(key, structuredClone(next));
    return structuredClone(next);
  }

  function record(verb: string, object: KubeObject): void {
    fake.writes.push(`${verb} ${keyOf(object)}`);
    journal.push(`${verb} ${keyOf(object)}`);
  }

  function write(verb: string, object: KubeObject, result: KubeObject): KubeObject {
    record(verb, object);
    for (const controller of fake.controllers) controller(result);
    return result;
  }

  function requireNamespace({ kind, metadata: { namespace } }: KubeObject): void {
    if (namespace === undefined || objects.has(`Namespace ${namespace}`)) return;
    const tried = `Writing ${kind}`;
    throw new Problem({ kind: 'target', tried, reason: `namespaces "${namespace}" not found.`, next: '' });
  }

  function requireVersion(
    { kind, metadata: { name, resourceVersion } }: KubeObject,
    live: KubeObject | undefined,
  ): void {
    if (resourceVersion === undefined || resourceVersion === live?.metadata.resourceVersion) return;
    const reason = 'the object has been modified.';
    throw new Problem({ kind: 'conflict', tried: `Applying ${kind} ${name}`, reason, next: '' });
  }

  const fake: FakeKube = {
    writes: [],
    conflicts: new Map(),
    controllers: [],
    podAnswers: new Map(),
    podLogs: new Map(),
    served: new Map(),
    denies: () => false,
    identifies: 'system:serviceaccount:ci:deployer',
    serving: { apis: new Set(['apps/v1', 'batch/v1', 'cert-manager.io/v1']), openApi: new Map(), version: 'v1.34.4' },

    put: (object) => save(keyOf(object), object),
    stored(kind, name, namespace = 'demo') {
      const object = objects.get(keyOf({ apiVersion: '', kind, metadata: { name, namespace } }));
      if (object === undefined) throw new Error(`${kind} ${name} is not stored`);
      return structuredClone(object);
    },
    all: (kind) => structuredClone([...objects.values()].filter((object) => object.kind === kind)),
    take(kind, name, namespace = 'demo') {
      const key = keyOf({ apiVersion: '', kind, metadata: { name, namespace } });
      objects.delete(key);
      for (const held of applied.keys()) if (held.startsWith(`${key} `)) applied.delete(held);
    },

    async get(kind, namespace, name) {
      return structuredClone(objects.get(describe(kind, namespace, name)) ?? null);
    },
    async getMetadata(kind, namespace, name) {
      const found = await fake.get(kind, namespace, name);
      return found === null ? null : { apiVersion: found.apiVersion, kind, metadata: found.metadata };
    },
    async listMetadata(kind, namespace, labels) {
      const found = await fake.list(kind, namespace, labels === undefined ? {} : { labels });
      return found.map(({ apiVersion, metadata }) => ({ apiVersion, kind, metadata }));
    },
    async list(kind, namespace, { labels, fields } = {}) {
      return fake
        .all(kind)
        .filter(({ metadata }) => namespace === undefined || metadata.namespace === namespace)
        .filter((object) => selects(labels, (key) => object.metadata.labels?.[key]))
        .filter((object) => selects(fields, (key) => digText(object, ...key.split('.'))));
    },
    async apply(object, { dryRun = false, manager = MANAGER, takesFrom = [] } = {}) {
      const key = keyOf(object);
      const conflict = new ApplyConflict(object, fake.conflicts.get(key) ?? []);
      if (!conflict.isOnlyWith(takesFrom)) throw conflict;
      requireNamespace(object);
      const live = objects.get(key);
      requireVersion(object, live);
      const before = applied.get(`${key} ${manager}`);
      const rest = live === undefined || before === undefined ? live : without(live, before);
      const own = { manager, operation: 'Apply', fieldsV1: ownedBy(object) };
      const managers = Array.isArray(live?.metadata.managedFields)
        ? live.metadata.managedFields.filter(isJsonObject)
        : [];
      const others = managers.filter((entry) => entry.manager !== manager);
      const merged = merge(rest ?? {}, object);
      const { metadata } = object;
      const next = {
        ...object,
        ...merged,
        metadata: { ...metadata, ...asObject(merged.metadata), managedFields: [...others, own] },
      };
      if (dryRun) return structuredClone({ ...next, metadata: { ...next.metadata, uid: live?.metadata.uid } });
      applied.set(`${key} ${manager}`, structuredClone(object));
      return write('apply', object, save(key, next));
    },
    async create(object) {
      if (objects.has(keyOf(object))) return null;
      requireNamespace(object);
      return write('create', object, save(keyOf(object), object));
    },
    async replace(object) {
      const live = objects.get(keyOf(object));
      if (live === undefined || live.metadata.resourceVersion !== object.metadata.resourceVersion) return null;
      return write('replace', object, save(keyOf(object), object));
    },
    async patch(kind, namespace, name, patch) {
      const live = objects.get(describe(kind, namespace, name));
      if (live === undefined) return null;
      return write('patch', live, save(keyOf(live), { ...live, ...merge(live, patch) }));
    },
    async replaceManagers(object, managedFields) {
      const live = objects.get(keyOf(object));
      if (live === undefined || live.metadata.resourceVersion !== object.metadata.resourceVersion) return null;
      return write('hand over', live, save(keyOf(live), { ...live, metadata: { ...live.metadata, managedFields } }));
    },
    async remove(object) {
      const live = objects.get(keyOf(object));
      if (live === undefined || live.metadata.uid !== object.metadata.uid) return false;
      fake.take(kindOf(object), object.metadata.name, object.metadata.namespace);
      record('delete', object);
      return true;
    },
    async removeUnchanged(object) {
      const live = objects.get(keyOf(object));
      if (live === undefined) return 'gone';
      if (live.metadata.resourceVersion !== object.metadata.resourceVersion) return 'changed';
      return (await fake.remove(object)) ? 'removed' : 'changed';
    },
    isAllowed: async (access) => !fake.denies(access),
    identity: async () => fake.identifies,
    servedApis: async () => fake.serving.apis,
    openApi: async (groupVersion) => fake.serving.openApi.get(groupVersion) ?? null,
    serverVersion: async () => fake.serving.version,
    async dialPod(namespace, pod, port) {
      const pair = fake.served.has(`${pod}:${port}`)
        ? fake.served.get(`${pod}:${port}`)
        : pairIn(objects.get(describe('Secret', namespace, secretBehind(pod, port))));
      if (pair === null || pair === undefined) return null;
      const [client, server] = duplexPair();
      serveTls(server, pair, { toClients: port === PORTS.client });
      return client;
    },
    getFromPod: async (_namespace, pod, _port, path) => fake.podAnswers.get(`${pod}${path.split('?')[0]}`) ?? null,
    podLog: async (_namespace, pod, container, { previous }) =>
      fake.podLogs.get(`${pod}/${container}${previous ? '/previous' : ''}`) ?? '',
  };
  return fake;
}

function secretBehind(pod: string, port: number): string {
  return secretName(pod.replace(/-\d+$/, ''), port === PORTS.client ? 'server' : 'cluster');
}

function pairIn(secret: KubeObject | undefined): KeyPair | null {
  const pem = (key: string) => Buffer.from(digText(secret?.data, key), 'base64').toString('utf8');
  return secret === undefined ? null : { certificate: pem('tls.crt'), key: pem('tls.key') };
}

function keyOf(object: KubeObject): string {
  const { namespace, name } = object.metadata;
  return describe(object.kind, resourceOf(object).namespaced ? namespace : undefined, name);
}

/** "a=b,c": equality and existence. */
function selects(selector: string | undefined, value: (key: string) => string | undefined): boolean {
  return (selector ?? '')
    .split(',')
    .filter((term) => term !== '')
    .every((term) => {
      const [key = '', wanted] = term.split('=');
      return wanted === undefined ? value(key) !== undefined : value(key) === wanted;
    });
}

/** Lists are replaced whole. */
function merge(base: JsonObject, over: JsonObject): JsonObject {
  const entries = Object.entries(over).map(([key, value]): [string, Json | undefined] => {
    const below = base[key];
    return [key, isJsonObject(value) && isJsonObject(below) ? merge(below, value) : value];
  });
  return { ...base, ...Object.fromEntries(entries) };
}

/** `live` without the fields that the last apply set: what the new one leaves out is to go. */
function without(live: JsonObject, before: JsonObject): JsonObject {
  const entries = Object.entries(live).flatMap(([key, value]): [string, Json | undefined][] => {
    const set = before[key];
    if (set === undefined) return [[key, value]];
    return isJsonObject(value) && isJsonObject(set) ? [[key, without(value, set)]] : [];
  });
  return Object.fromEntries(entries);
}

/** The fields of an object that a manager owns: not what tells it from others. */
function ownedBy({ apiVersion: _version, kind: _kind, metadata, ...rest }: KubeObject): JsonObject {
  const { name: _name, namespace: _namespace, uid: _uid, ...held } = metadata;
  return fieldsOf(Object.keys(held).length === 0 ? rest : { ...rest, metadata: held });
}

/** The shape of fieldsV1. */
function fieldsOf(value: JsonObject): JsonObject {
  const entries = Object.entries(value).map(([key, below]): [string, Json] => [
    `f:${key}`,
    isJsonObject(below) ? fieldsOf(below) : {},
  ]);
  return Object.fromEntries(entries);
}

function asObject(value: Json | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}
