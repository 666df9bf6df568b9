import type { Duplex } from 'node:stream';
import { digText, isJsonObject, type Json, type JsonObject } from '../../src/json.ts';
import type { AccessAttributes, Behaviour } from '../behaviour.ts';
import type { Handler, SimulatedRequest, SimulatedResponse } from '../http.ts';
import type { Cluster, Target, WriteOptions } from './cluster.ts';
import type { StoredObject } from './object-store.ts';
import { jsonPatch, mergePatch } from './patches.ts';
import { portForward } from './port-forward.ts';
import { apiVersionOf, isCustom, type Resource, servedResources } from './resources.ts';
import { fieldSelector, labelSelector } from './selectors.ts';
import { badRequest, missingVersion, StatusError, unauthorized } from './status.ts';

export interface ApiOptions {
  cluster: Cluster;
  behaviour: Behaviour;
  /** The only bearer token that is let in. */
  token: string;
  /** API groups that a plain Kubernetes does not have: "cert-manager.io". */
  addedGroups: readonly string[];
  /** Takes a connection to a port of a pod; false where nothing listens on it. */
  dialPod: (pod: StoredObject, port: number, connection: Duplex) => boolean;
  /** What answers below a Service's proxy, and a pod's log. */
  serviceProxy: (namespace: string, service: string, request: SimulatedRequest) => Promise<SimulatedResponse>;
  podLog: (pod: StoredObject, query: URLSearchParams) => string;
}

/** A path below a group and version, taken apart. */
interface Address {
  resource: Resource;
  namespace: string;
  name: string | undefined;
  /** What follows the name: ['status'], ['log'], ['proxy', 'v1', 'sys']. */
  rest: string[];
}

const OPENAPI = '/openapi/v3/apis/';
const REVIEWS = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
const IDENTITY = '/apis/authentication.k8s.io/v1/selfsubjectreviews';

/** Whom the token is for. */
const USER = { username: 'simulator', groups: ['system:authenticated'] };

/** The Kubernetes API as far as this project uses it. Not there: watches, paging, strategic merge patches, YAML bodies. */
export function kubernetesApi(options: ApiOptions): Handler {
  return async (request) => {
    try {
      return await route(options, request);
    } catch (error) {
      if (error instanceof StatusError) {
        return error.toResponse();
      }
      throw error;
    }
  };
}

async function route(options: ApiOptions, request: SimulatedRequest): Promise<SimulatedResponse> {
  if (request.path === '/version') {
    return { status: 200, body: { major: '1', minor: '34', gitVersion: 'v1.34.4', platform: 'linux/amd64' } };
  }
  if (request.headers.authorization !== `Bearer ${options.token}`) {
    throw unauthorized();
  }
  if (request.path === REVIEWS && request.method === 'POST') {
    return review(options.behaviour, request.body);
  }
  if (request.path === IDENTITY && request.method === 'POST') {
    return { status: 201, body: { ...objectBody(request.body), metadata: {}, status: { userInfo: USER } } };
  }
  if (request.path === '/apis') {
    return { status: 200, body: groupList(options.addedGroups) };
  }
  if (request.path.startsWith(OPENAPI)) {
    return openApi(options, request.path.slice(OPENAPI.length));
  }
  const [base, ...parts] = request.path.split('/').slice(1).map(decodeURIComponent);
  const [group, version, ...below] = base === 'api' ? ['', ...parts] : parts;
  const served = servedResources(options.addedGroups);
  const known = served.filter((resource) => resource.group === group && resource.version === version);
  if (known.length === 0) {
    return { status: 404, body: '404 page not found\n' };
  }
  if (below.length === 0) {
    return { status: 200, body: discovery(known) };
  }
  return handle(options, request, locate(known, below));
}

/** The schema of the one API whose fields this project asks for; of others it knows as little as of what they are for. */
function openApi({ addedGroups }: ApiOptions, groupVersion: string): SimulatedResponse {
  if (groupVersion !== 'autoscaling.k8s.io/v1' || !addedGroups.includes('autoscaling.k8s.io')) {
    return { status: 404, body: '404 page not found\n' };
  }
  const requirement = { properties: { resources: {}, changeRequirement: {} } };
  const updatePolicy = { properties: { updateMode: {}, evictionRequirements: { items: requirement } } };
  const schema = { properties: { spec: { properties: { updatePolicy } } } };
  const schemas = { 'io.k8s.autoscaling.v1.VerticalPodAutoscaler': schema };
  return { status: 200, body: { openapi: '3.0.0', components: { schemas } } };
}

/** The groups of the known resources, and those of which nothing more is known than that they are there. */
function groupList(addedGroups: readonly string[]): JsonObject {
  const known = servedResources(addedGroups).filter(({ group }) => group !== '');
  const versions = new Map([
    ...addedGroups.map((group): [string, string] => [group, 'v1']),
    ...known.map(({ group, version }): [string, string] => [group, version]),
  ]);
  const groups = [...versions].map(([name, version]) => {
    const preferred = { groupVersion: `${name}/${version}`, version };
    return { name, versions: [preferred], preferredVersion: preferred };
  });
  return { kind: 'APIGroupList', apiVersion: 'v1', groups };
}

function discovery(resources: Resource[]): JsonObject {
  const [first] = resources;
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: first === undefined ? '' : apiVersionOf(first),
    resources: resources.map(({ plural, kind, namespaced }) => ({
      name: plural,
      singularName: kind.toLowerCase(),
      namespaced,
      kind,
      verbs: ['create', 'delete', 'get', 'list', 'patch', 'update'],
    })),
  };
}

function locate(known: Resource[], parts: string[]): Address {
  const isNamespaced = parts[0] === 'namespaces' && parts.length > 2;
  const namespace = isNamespaced ? (parts[1] ?? '') : '';
  const [plural, name, ...rest] = isNamespaced ? parts.slice(2) : parts;
  const resource = known.find((candidate) => candidate.plural === plural);
  if (resource === undefined) {
    throw new StatusError(404, 'NotFound', 'the server could not find the requested resource', {});
  }
  return { resource, namespace, name, rest };
}

function handle(
  options: ApiOptions,
  request: SimulatedRequest,
  address: Address,
): SimulatedResponse | Promise<SimulatedResponse> {
  const { resource, namespace, name, rest } = address;
  const [subresource] = rest;
  if (name === undefined) {
    return request.method === 'GET'
      ? list(options.cluster, request, address)
      : create(options.cluster, request, address);
  }
  if (subresource === 'proxy' && resource.kind === 'Service') {
    return options.serviceProxy(namespace, name, request);
  }
  if (resource.kind === 'Pod' && (subresource === 'portforward' || subresource === 'log')) {
    const pod = options.cluster.get({ resource, namespace, name });
    return subresource === 'log'
      ? { status: 200, body: options.podLog(pod, request.query) }
      : portForward(name, request, (port, connection) => options.dialPod(pod, port, connection));
  }
  const target = { resource, namespace, name };
  if (request.method === 'GET') {
    return { status: 200, body: inForm(options.cluster.get(target), request.headers.accept ?? '') };
  }
  return write(options.cluster, request, target, subresource ?? '');
}

/** The object, or its metadata alone where that is what the request accepts. */
function inForm(object: StoredObject, accept: string): JsonObject {
  return accept.includes('as=PartialObjectMetadata') ? metadataOnly(object) : object;
}

function metadataOnly({ metadata }: StoredObject): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata };
}

function list(cluster: Cluster, request: SimulatedRequest, { resource, namespace }: Address): SimulatedResponse {
  const byLabel = labelSelector(request.query.get('labelSelector') ?? '');
  const byField = fieldSelector(request.query.get('fieldSelector') ?? '');
  const items = cluster.store
    .list(resource, namespace === '' ? undefined : namespace)
    .filter((object) => byLabel(object.metadata.labels ?? {}) && byField(object));
  const metadata = { resourceVersion: cluster.store.version };
  if (request.headers.accept?.includes('as=PartialObjectMetadataList')) {
    const identity = { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1' };
    return { status: 200, body: { ...identity, metadata, items: items.map(metadataOnly) } };
  }
  return {
    status: 200,
    body: {
      kind: `${resource.kind}List`,
      apiVersion: apiVersionOf(resource),
      metadata,
      // Items of a list carry no apiVersion and kind, except those of custom resources.
      items: isCustom(resource) ? items : items.map(({ apiVersion, kind, ...rest }) => rest),
    },
  };
}

function create(cluster: Cluster, request: SimulatedRequest, { resource, namespace }: Address): SimulatedResponse {
  const body = objectBody(request.body);
  const { name } = isJsonObject(body.metadata) ? body.metadata : {};
  const target = { resource, namespace, name: typeof name === 'string' ? name : '' };
  return { status: 201, body: answered(cluster.create(target, body, writeOptions(request))) };
}

function write(cluster: Cluster, request: SimulatedRequest, target: Target, subresource: string): SimulatedResponse {
  switch (request.method) {
    case 'PUT':
      return replace(cluster, request, target, subresource);
    case 'PATCH':
      return patch(cluster, request, target, subresource);
    case 'DELETE':
      return remove(cluster, request, target);
    default:
      throw new StatusError(
        405,
        'MethodNotAllowed',
        'the server does not allow this method on the requested resource',
        {},
      );
  }
}

/** A Lease is made by a PUT where it is missing, and cannot be replaced without its version where it is there. */
function replace(cluster: Cluster, request: SimulatedRequest, target: Target, subresource: string): SimulatedResponse {
  const body = objectBody(request.body);
  if (target.resource.kind === 'Lease') {
    if (cluster.find(target) === undefined) {
      return { status: 201, body: answered(cluster.create(target, body, writeOptions(request))) };
    }
    if (digText(body, 'metadata', 'resourceVersion') === '') {
      throw missingVersion(target.resource, target.name);
    }
  }
  return { status: 200, body: cluster.update(target, body, writeOptions(request), subresource) };
}

function patch(cluster: Cluster, request: SimulatedRequest, target: Target, subresource: string): SimulatedResponse {
  const contentType = request.headers['content-type']?.split(';')[0] ?? '';
  if (contentType === 'application/apply-patch+yaml') {
    const fieldManager = request.query.get('fieldManager') ?? '';
    const options = { ...writeOptions(request), fieldManager, force: request.query.get('force') === 'true' };
    const { object, created } = cluster.apply(target, objectBody(request.body), options);
    return { status: created ? 201 : 200, body: answered(object) };
  }
  const patcher = PATCHERS[contentType];
  if (patcher === undefined) {
    throw new StatusError(415, 'UnsupportedMediaType', 'the body of the request was in an unknown format', {});
  }
  const patched = objectBody(patcher(cluster.get(target), request.body ?? null));
  return { status: 200, body: cluster.update(target, patched, writeOptions(request), subresource) };
}

const PATCHERS: { [contentType: string]: (live: Json, patch: Json) => Json } = {
  'application/merge-patch+json': mergePatch,
  'application/json-patch+json': jsonPatch,
};

/** Pods and Namespaces answer with themselves, everything else with a Status. */
function remove(cluster: Cluster, request: SimulatedRequest, target: Target): SimulatedResponse {
  const options = isJsonObject(request.body) ? request.body : {};
  const preconditions = isJsonObject(options.preconditions) ? options.preconditions : {};
  const removed = cluster.delete(target, preconditions, writeOptions(request).dryRun);
  const { resource, name } = target;
  if (resource.kind === 'Pod' || resource.kind === 'Namespace') {
    return { status: 200, body: removed };
  }
  const group = resource.group === '' ? {} : { group: resource.group };
  const details = { name, ...group, kind: resource.plural, uid: removed.metadata.uid };
  return { status: 200, body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details } };
}

function review(behaviour: Behaviour, body: Json | undefined): SimulatedResponse {
  const object = objectBody(body);
  const spec = isJsonObject(object.spec) ? object.spec : {};
  const wanted = isJsonObject(spec.resourceAttributes) ? spec.resourceAttributes : {};
  const text = (field: string): string => String(wanted[field] ?? '');
  const attributes: AccessAttributes = {
    verb: text('verb'),
    group: text('group'),
    resource: text('resource'),
    subresource: text('subresource'),
    namespace: text('namespace'),
    name: text('name'),
  };
  const status = { allowed: !behaviour.denied(attributes) };
  return { status: 201, body: { ...object, metadata: {}, status } };
}

/** An object that a dry run would create has no version yet. */
function answered(object: StoredObject): JsonObject {
  const { resourceVersion, ...metadata } = object.metadata;
  return resourceVersion === '' ? { ...object, metadata } : object;
}

/** Without the parameter, the manager is the user agent up to its first slash. */
function writeOptions(request: SimulatedRequest): WriteOptions {
  const agent = request.headers['user-agent']?.split('/')[0] ?? 'unknown';
  return {
    fieldManager: request.query.get('fieldManager') ?? agent,
    dryRun: request.query.get('dryRun') === 'All',
  };
}

function objectBody(body: Json | undefined): JsonObject {
  if (!isJsonObject(body)) {
    throw badRequest('the object provided is unrecognized (must be of type object)');
  }
  return body;
}
