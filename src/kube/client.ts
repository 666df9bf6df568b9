import http from 'node:http';
import type { Duplex } from 'node:stream';
import { PATIENCE } from '../http/patience.ts';
import { roundTrip } from '../http/round-trip.ts';
import type { HttpRequest, HttpResponse, Transport } from '../http/transport.ts';
import type { WebSockets } from '../http/web-socket.ts';
import { digObjects, digText, isJsonObject, type JsonObject } from '../json.ts';
import { MANAGER } from '../manager.ts';
import { Problem } from '../problem.ts';
import { ApplyConflict, connectionProblem, statusProblem } from './errors.ts';
import type { KubeObject } from './object.ts';
import { forwardedConnection, PORT_FORWARD_PROTOCOL } from './port-forward.ts';
import { type Kind, pathOf, RESOURCES, type Resource, resourceOf } from './resources.ts';

export interface Access {
  verb: string;
  group: string;
  /** With a subresource: "pods/log". */
  resource: string;
  namespace?: string;
  name?: string;
}

/**
 * The Kubernetes API as far as the action reads it. Every method rejects with a Problem that names the object; what does not
 * exist is null, never an error.
 */
export interface KubeReader {
  get(kind: Kind, namespace: string | undefined, name: string): Promise<KubeObject | null>;
  /** The object with nothing but its metadata: what a Secret holds is not even sent. */
  getMetadata(kind: Kind, namespace: string | undefined, name: string): Promise<KubeObject | null>;
  /** Objects carry their kind, unlike in the API server's own lists. An absent CRD or namespace is an empty list. */
  list(kind: Kind, namespace: string | undefined, selectors?: ListSelectors): Promise<KubeObject[]>;
  /** The same objects with nothing but their metadata, as getMetadata answers them; those with the labels, or all. */
  listMetadata(kind: Kind, namespace: string | undefined, labels?: string): Promise<KubeObject[]>;
  /** What KubeClient.apply would store, or reject with. */
  apply(object: KubeObject, options: ApplyOptions & { dryRun: true }): Promise<KubeObject>;
  isAllowed(access: Access): Promise<boolean>;
  /** Whom the API server takes the caller for: "system:serviceaccount:ci:deployer". Null where it does not tell. */
  identity(): Promise<string | null>;
  /** Every API group and version that the API server serves: "apps/v1". A CRD that is not installed lacks here. */
  servedApis(): Promise<ReadonlySet<string>>;
  /** The OpenAPI document (v3) of an API group and version: what its kinds know. Null where there is none. */
  openApi(groupVersion: string): Promise<JsonObject | null>;
  /** "v1.34.4" */
  serverVersion(): Promise<string>;
  /**
   * Connects to a TCP port of a pod by its kubelet (pods/portforward), where no NetworkPolicy is in the way. Null when the
   * pod cannot be reached within 5 s; a port where nothing listens ends the connection with an error. Whoever asked
   * destroys it; the run's end does so too.
   */
  dialPod(namespace: string, pod: string, port: number): Promise<Duplex | null>;
  /** GET of a pod's HTTP port, as dialPod reaches it. Null when it answers no JSON object, whatever the status, within another 5 s. */
  getFromPod(namespace: string, pod: string, port: number, path: string): Promise<JsonObject | null>;
  /** The last lines of a container's log; empty when there is none. */
  podLog(
    namespace: string,
    pod: string,
    container: string,
    options: { tailLines: number; previous: boolean },
  ): Promise<string>;
}

/** The same, and what changes it. */
export interface KubeClient extends KubeReader {
  /**
   * Server-side apply. Resolves to the object as it is stored, or with `dryRun` as it would be. Rejects with
   * ApplyConflict when another manager holds a field; those that `takesFrom` names have to give theirs up.
   */
  apply(object: KubeObject, options?: ApplyOptions): Promise<KubeObject>;
  /** Resolves to null when it exists already. */
  create(object: KubeObject): Promise<KubeObject | null>;
  /** Resolves to null when the object has changed since `object.metadata.resourceVersion`, or is gone. */
  replace(object: KubeObject): Promise<KubeObject | null>;
  /** JSON merge patch (RFC 7386). Resolves to null when the object is gone. */
  patch(
    kind: Kind,
    namespace: string,
    name: string,
    patch: JsonObject,
    subresource?: 'status',
  ): Promise<KubeObject | null>;
  /**
   * Puts these entries in the place of an object's managedFields, and changes nothing else: how fields are handed from one
   * manager to another. Resolves to null when the object has changed since `object.metadata.resourceVersion`, or is gone.
   */
  replaceManagers(object: KubeObject, managedFields: JsonObject[]): Promise<KubeObject | null>;
  /**
   * Resolves to false when the object, which its uid tells from a successor of the same name, is gone already.
   *
   * @param options gracePeriodSeconds in place of a pod's own
   */
  remove(object: KubeObject, options?: { gracePeriodSeconds?: number }): Promise<boolean>;
  /** Deletes the object as it was read, with what it owns; one that changed since stays as it is. */
  removeUnchanged(object: KubeObject): Promise<'removed' | 'gone' | 'changed'>;
}

/** How an object is applied; by default for good, as this action, and forcing nothing. */
export interface ApplyOptions {
  /** Stores nothing. */
  dryRun?: boolean;
  /** The field manager, where that is not this action as a whole. */
  manager?: string;
  /** Field managers whose conflicting fields are taken over; those of any other are an error. */
  takesFrom?: string[];
}

/** Which objects to list, all by default. */
export interface ListSelectors {
  /** A label selector: "app.kubernetes.io/name=nats,tier" */
  labels?: string;
  /** A field selector: "involvedObject.uid=1234" */
  fields?: string;
  /** Most objects to answer, for who only wants to know whether there are any. */
  limit?: number;
}

/** https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches */
const METADATA_ONLY = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
const METADATA_LIST = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';

/** Answers to a port-forward that no waiting changes: no credentials, no permission, a kubelet that takes none. */
const FORWARD_REFUSALS = [401, 403, 405];

/**
 * @param progress is told why a pod cannot be reached, where that is no matter of the pod's own
 * @param podTimeout milliseconds for reaching a pod, and again for its answer
 */
export function createKubeClient(
  transport: Transport,
  webSockets: WebSockets,
  progress: (message: string) => void = () => {},
  podTimeout = PATIENCE.pod,
): KubeClient {
  const told = new Set<string>();

  /** Tells a reason once for each pod and port; numbers in it aside, such as the ports that the API server dials from. */
  function tellOnce(tried: string, reason: string): void {
    const key = tried + reason.replaceAll(/\d+/g, '');
    // On one line, also where it is a page of a proxy.
    if (!told.has(key)) progress(`${tried}: ${reason.replaceAll(/\s+/g, ' ')}`);
    told.add(key);
  }

  async function send(tried: string, request: HttpRequest): Promise<HttpResponse> {
    try {
      return await transport.send(request);
    } catch (error) {
      throw connectionProblem(tried, error);
    }
  }

  async function dialPod(namespace: string, pod: string, port: number): Promise<Duplex | null> {
    const path = `${pathOf(RESOURCES.Pod, namespace, pod)}/portforward?ports=${port}`;
    const tried = `Connecting to port ${port} of pod ${namespace}/${pod}`;
    // The API server waits in vain for a pod whose node is gone or firewalled, and so does the caller.
    const opening = webSockets.open(path, PORT_FORWARD_PROTOCOL, podTimeout);
    const answer = await orNull(opening, (error) => tellOnce(tried, `${error.message}.`));
    if (answer === null) return null;
    if (!('status' in answer)) return forwardedConnection(answer);
    if (answer.body.includes('Upgrade request required')) throw noWebSockets(tried);
    const problem = statusProblem(tried, answer);
    if (FORWARD_REFUSALS.includes(answer.status)) throw problem;
    // It passes while a node restarts; where it does not, these words are all that tells why.
    if (answer.status >= 500) tellOnce(tried, problem.details.reason);
    return null;
  }

  /** Answers the object, or null for the statuses that the caller expects. */
  async function exchange(tried: string, request: HttpRequest, absent: number[]): Promise<KubeObject | null> {
    const response = await send(tried, request);
    if (response.status < 300) return parseObject(tried, response);
    if (absent.includes(response.status)) return null;
    throw statusProblem(tried, response);
  }

  async function listed(resource: Resource, namespace: string | undefined, request: HttpRequest) {
    const tried = `Listing ${resource.plural}${namespace === undefined ? '' : ` in namespace ${namespace}`}`;
    const answer = await exchange(tried, request, [404]);
    return answer === null ? [] : listItems(resource, answer);
  }

  /** Resolves to the status of the answer: that of success, 404 or 409. */
  async function sendDelete(object: KubeObject, preconditions: JsonObject, options: JsonObject): Promise<number> {
    const { name, namespace } = object.metadata;
    const tried = `Deleting ${describe(object.kind, namespace, name)}`;
    const response = await send(tried, {
      method: 'DELETE',
      path: pathOf(resourceOf(object), namespace, name),
      body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions, ...options },
      idempotent: true,
    });
    if (response.status < 300 || [404, 409].includes(response.status)) return response.status;
    throw statusProblem(tried, response);
  }

  return {
    get(kind, namespace, name) {
      const path = pathOf(RESOURCES[kind], namespace, name);
      return exchange(`Reading ${describe(kind, namespace, name)}`, { method: 'GET', path }, [404]);
    },

    async getMetadata(kind, namespace, name) {
      const path = pathOf(RESOURCES[kind], namespace, name);
      const request: HttpRequest = { method: 'GET', path, headers: { accept: METADATA_ONLY } };
      const found = await exchange(`Reading the metadata of ${describe(kind, namespace, name)}`, request, [404]);
      return found === null ? null : { apiVersion: RESOURCES[kind].apiVersion, kind, metadata: found.metadata };
    },

    async list(kind, namespace, selectors = {}) {
      const resource = RESOURCES[kind];
      const query = new URLSearchParams();
      if (selectors.labels !== undefined) query.set('labelSelector', selectors.labels);
      if (selectors.fields !== undefined) query.set('fieldSelector', selectors.fields);
      if (selectors.limit !== undefined) query.set('limit', String(selectors.limit));
      const path = `${pathOf(resource, namespace)}${query.size === 0 ? '' : `?${query}`}`;
      return listed(resource, namespace, { method: 'GET', path });
    },

    async listMetadata(kind, namespace, labels) {
      const resource = RESOURCES[kind];
      const query = labels === undefined ? '' : `?${new URLSearchParams({ labelSelector: labels })}`;
      const headers = { accept: METADATA_LIST };
      const path = `${pathOf(resource, namespace)}${query}`;
      const objects = await listed(resource, namespace, { method: 'GET', path, headers });
      return objects.map(({ apiVersion, metadata }) => ({ apiVersion, kind, metadata }));
    },

    async apply(object, { dryRun = false, manager = MANAGER, takesFrom = [] } = {}) {
      const { name, namespace } = object.metadata;
      const query = new URLSearchParams({ fieldManager: manager, fieldValidation: 'Strict' });
      if (dryRun) query.set('dryRun', 'All');
      const tried = `Applying ${describe(object.kind, namespace, name)}`;
      const attempt = () =>
        send(tried, {
          method: 'PATCH',
          path: `${pathOf(resourceOf(object), namespace, name)}?${query}`,
          headers: { 'content-type': 'application/apply-patch+yaml' },
          body: object,
          idempotent: true,
        });
      let response = await attempt();
      if (response.status === 409 && ApplyConflict.from(object, response)?.isOnlyWith(takesFrom)) {
        query.set('force', 'true');
        response = await attempt();
      }
      if (response.status === 409) throw ApplyConflict.from(object, response) ?? statusProblem(tried, response);
      if (response.status >= 300) throw statusProblem(tried, response);
      return parseObject(tried, response);
    },

    create(object) {
      const { name, namespace } = object.metadata;
      const path = `${pathOf(resourceOf(object), namespace)}?fieldManager=${MANAGER}`;
      const tried = `Creating ${describe(object.kind, namespace, name)}`;
      return exchange(tried, { method: 'POST', path, body: object, idempotent: true }, [409]);
    },

    replace(object) {
      const { name, namespace } = object.metadata;
      const path = `${pathOf(resourceOf(object), namespace, name)}?fieldManager=${MANAGER}`;
      const tried = `Updating ${describe(object.kind, namespace, name)}`;
      return exchange(tried, { method: 'PUT', path, body: object, idempotent: true }, [404, 409]);
    },

    patch(kind, namespace, name, patch, subresource) {
      const suffix = subresource === undefined ? '' : `/${subresource}`;
      return exchange(
        `Patching ${describe(kind, namespace, name)}`,
        {
          method: 'PATCH',
          path: `${pathOf(RESOURCES[kind], namespace, name)}${suffix}?fieldManager=${MANAGER}`,
          headers: { 'content-type': 'application/merge-patch+json' },
          body: patch,
          idempotent: true,
        },
        [404],
      );
    },

    replaceManagers(object, managedFields) {
      const { name, namespace, resourceVersion } = object.metadata;
      return exchange(
        `Handing over the fields of ${describe(object.kind, namespace, name)}`,
        {
          method: 'PATCH',
          path: `${pathOf(resourceOf(object), namespace, name)}?fieldManager=${MANAGER}`,
          headers: { 'content-type': 'application/json-patch+json' },
          // Another resourceVersion than the stored one makes it a conflict, as client-go's csaupgrade does it.
          body: [
            { op: 'replace', path: '/metadata/managedFields', value: managedFields },
            { op: 'replace', path: '/metadata/resourceVersion', value: resourceVersion ?? '' },
          ],
          idempotent: true,
        },
        [404, 409],
      );
    },

    async remove(object, options = {}) {
      return (await sendDelete(object, { uid: object.metadata.uid }, options)) < 300;
    },

    async removeUnchanged(object) {
      const { uid, resourceVersion } = object.metadata;
      // The default of some kinds is to leave behind what they own.
      const status = await sendDelete(object, { uid, resourceVersion }, { propagationPolicy: 'Background' });
      return status === 404 ? 'gone' : status === 409 ? 'changed' : 'removed';
    },

    async isAllowed(access) {
      const [resource = '', subresource = ''] = access.resource.split('/');
      const answer = await exchange(
        `Checking the permission to ${access.verb} ${access.resource}`,
        {
          method: 'POST',
          path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
          body: {
            apiVersion: 'authorization.k8s.io/v1',
            kind: 'SelfSubjectAccessReview',
            spec: { resourceAttributes: { ...access, resource, subresource } },
          },
          idempotent: true,
        },
        [],
      );
      return isJsonObject(answer?.status) && answer.status.allowed === true;
    },

    async identity() {
      const answer = await exchange(
        'Asking the API server whom it takes this for',
        {
          method: 'POST',
          path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
          body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
          idempotent: true,
        },
        // Kubernetes before 1.28 has no such API.
        [403, 404],
      );
      return digText(answer?.status, 'userInfo', 'username') || null;
    },

    async servedApis() {
      const tried = 'Asking the API server which APIs it serves';
      const list = await exchange(tried, { method: 'GET', path: '/apis' }, []);
      const versions = digObjects(list ?? undefined, 'groups').flatMap((group) => digObjects(group, 'versions'));
      return new Set(versions.map((version) => digText(version, 'groupVersion')));
    },

    async openApi(groupVersion) {
      const tried = `Reading the schema of ${groupVersion}`;
      const response = await send(tried, { method: 'GET', path: `/openapi/v3/apis/${groupVersion}` });
      if (response.status === 404) return null;
      if (response.status >= 300) throw statusProblem(tried, response);
      return parseJson(response);
    },

    async serverVersion() {
      const tried = 'Connecting to the Kubernetes API server';
      const response = await send(tried, { method: 'GET', path: '/version' });
      if (response.status >= 300) throw statusProblem(tried, response);
      const version = parseJson(response)?.gitVersion;
      if (typeof version !== 'string') throw notKubernetes(tried);
      return version;
    },

    dialPod,

    async getFromPod(namespace, pod, port, path) {
      const connection = await dialPod(namespace, pod, port);
      if (connection === null) return null;
      const request: HttpRequest = { method: 'GET', path };
      const options = {
        timeout: podTimeout,
        hostname: pod,
        port,
        path,
        createConnection: () => connection,
        headers: {},
      };
      const response = await orNull(roundTrip(http, request, options)).finally(() => connection.destroy());
      return response === null ? null : parseJson(response);
    },

    async podLog(namespace, pod, container, { tailLines, previous }) {
      const query = new URLSearchParams({ container, tailLines: String(tailLines), previous: String(previous) });
      const path = `${pathOf(RESOURCES.Pod, namespace, pod)}/log?${query}`;
      const response = await send(`Reading the log of pod ${namespace}/${pod}`, { method: 'GET', path });
      return response.status < 300 ? response.body : '';
    },
  };
}

/** "app.kubernetes.io/name=nats,app.kubernetes.io/instance=nats-1a2b3c4d" */
export function labelSelector(labels: { [key: string]: string }): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

/** "StatefulSet demo/nats-1a2b3c4d" */
export function describe(kind: string, namespace: string | undefined, name: string): string {
  return `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}

/** Null where the body is no JSON object. */
function parseJson(response: HttpResponse): JsonObject | null {
  try {
    const value = JSON.parse(response.body);
    return isJsonObject(value) ? value : null;
  } catch {
    return null;
  }
}

function parseObject(tried: string, response: HttpResponse): KubeObject {
  const value = parseJson(response);
  if (value === null) throw notKubernetes(tried);
  const { apiVersion, kind, metadata } = value;
  return {
    ...value,
    apiVersion: String(apiVersion),
    kind: String(kind),
    metadata: { name: '', ...(isJsonObject(metadata) ? metadata : {}) },
  };
}

/** Null in place of an error that is no Problem, of which `tell` is told. */
async function orNull<T>(promise: Promise<T>, tell: (error: Error) => void = () => {}): Promise<T | null> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof Problem) throw error;
    if (error instanceof Error) tell(error);
    return null;
  }
}

function noWebSockets(tried: string): Problem {
  return new Problem({
    kind: 'connection',
    tried,
    reason: 'The API server was asked to open a WebSocket, and did not see that (HTTP 400: Upgrade request required).',
    next: 'Have the proxy in front of the API server pass on WebSockets, as kubectl port-forward needs it too, or go around it.',
  });
}

function notKubernetes(tried: string): Problem {
  return new Problem({
    kind: 'connection',
    tried,
    reason: 'The answer is not that of a Kubernetes API server.',
    next: 'Check the server address of the kubeconfig and any proxy in between.',
  });
}

function listItems(resource: Resource, list: KubeObject): KubeObject[] {
  const items = Array.isArray(list.items) ? list.items.filter(isJsonObject) : [];
  return items.map((item) => ({
    ...item,
    apiVersion: resource.apiVersion,
    kind: resource.kind,
    metadata: { name: '', ...(isJsonObject(item.metadata) ? item.metadata : {}) },
  }));
}
