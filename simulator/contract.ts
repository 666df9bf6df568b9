import type { HttpRequest, HttpResponse, Transport } from '../src/http/transport.ts';
import { dig, digText, isJsonObject, type Json, type JsonObject } from '../src/json.ts';
import { listAt, mapAt } from './json-at.ts';

/**
 * What the simulator promises to answer as the real servers do: requests in order, and for each the answer with what
 * differs from run to run replaced by names. contract-answers.json holds the answers of Kubernetes 1.34.4 and OpenBao 2.6.2.
 */
export interface ContractCase {
  title: string;
  steps: ContractStep[];
}

export interface ContractStep {
  server: 'kubernetes' | 'vault';
  method: HttpRequest['method'];
  path: string;
  contentType?: string;
  /** Without: Vault's is sent with the root token. */
  token?: 'none' | 'wrong';
  /** May depend on the answers so far in this case, the oldest first. */
  body?: (answers: Json[]) => JsonObject | JsonObject[];
}

/** Where the steps go; `vault` sends with a path below /v1/ and the given token. */
export interface ContractServers {
  kubernetes: Transport;
  vault: (request: HttpRequest) => Promise<HttpResponse>;
  vaultToken: string;
}

/** Method and path of each step, and what was answered. */
export interface ContractAnswer extends JsonObject {
  request: string;
  status: number;
  body: Json;
}

/** Runs one case; the answers come normalised. */
export async function runCase(
  servers: ContractServers,
  { steps }: ContractCase,
  namespace: string,
): Promise<ContractAnswer[]> {
  const bodies: Json[] = [];
  const normalise = normaliser(namespace);
  const answers: ContractAnswer[] = [];
  for (const step of steps) {
    const response = await send(servers, step, bodies);
    const body = parse(response.body);
    bodies.push(body);
    answers.push({
      request: normaliseText(`${step.method} ${step.path}`, namespace),
      status: response.status,
      body: normalise(step.server === 'vault' ? withoutExtras(body) : body),
    });
  }
  return answers;
}

function send(servers: ContractServers, step: ContractStep, earlier: Json[]): Promise<HttpResponse> {
  const { method, path } = step;
  const body = step.body === undefined ? {} : { body: step.body(earlier) };
  const headers = { 'content-type': step.contentType ?? 'application/json' };
  if (step.server === 'kubernetes') {
    return servers.kubernetes.send({ method, path, headers, ...body });
  }
  const token = { none: undefined, wrong: 'no-such-token', root: servers.vaultToken }[step.token ?? 'root'];
  const authentication: { [name: string]: string } = token === undefined ? {} : { 'x-vault-token': token };
  return servers.vault({ method, path, headers: { ...headers, ...authentication }, ...body });
}

function parse(text: string): Json {
  if (text.trim() === '') {
    return null;
  }
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z(?!07)/g;
const VERSION_IN_TEXT = /(ResourceVersion in record \()\d+(\))/;
/** Written by controllers at any time, or of no interest. */
const LEFT_OUT = new Set(['request_id', 'deprecation_status', 'platform', 'clusterIP', 'clusterIPs']);

/** Replaces what differs from run to run; equal resourceVersions stay equal, different ones different. */
function normaliser(namespace: string): (value: Json) => Json {
  const versions = new Map<string, string>();
  const version = (value: string): string => {
    const known = versions.get(value) ?? `version ${versions.size + 1}`;
    versions.set(value, known);
    return known;
  };
  const normalise = (value: Json, field: string): Json => {
    if (typeof value === 'string') {
      return field === 'resourceVersion' ? version(value) : normaliseText(value, namespace);
    }
    if (Array.isArray(value)) {
      const items = field === 'managedFields' ? value.toSorted(byManager) : value;
      return items.map((item) => normalise(item, ''));
    }
    if (!isJsonObject(value)) {
      return value;
    }
    const entries = Object.entries(withoutControllers(value)).filter(([key]) => !LEFT_OUT.has(key));
    const kept = entries.map(([key, item]): [string, Json] => [
      normaliseText(key, namespace),
      normalise(item ?? null, key),
    ]);
    return Object.fromEntries(kept.sort(([left], [right]) => (left < right ? -1 : 1)));
  };
  return (value) => normalise(value, '');
}

/** The API server goes by the time, in seconds, before the manager: the order differs with how fast requests follow. */
function byManager(left: Json, right: Json): number {
  const keyOf = (entry: Json) =>
    ['manager', 'operation', 'subresource'].map((field) => digText(entry, field)).join(' ');
  return keyOf(left).localeCompare(keyOf(right));
}

/** Without what the controllers of a whole cluster add to a StatefulSet, the version of a list, the fields of a review. */
function withoutControllers(object: JsonObject): JsonObject {
  if (object.kind === 'StatefulSet') {
    const { status: _, ...rest } = object;
    const { resourceVersion: __, ...metadata } = mapAt(object, 'metadata');
    const managedFields = listAt(metadata, 'managedFields').filter((entry) => dig(entry, 'subresource') === undefined);
    return { ...rest, metadata: { ...metadata, managedFields } };
  }
  if (typeof object.kind === 'string' && /List$|Review$/.test(object.kind)) {
    const { metadata: _, ...rest } = object;
    return rest;
  }
  return object;
}

function normaliseText(text: string, namespace: string): string {
  return text
    .replaceAll(namespace, '<namespace>')
    .replace(UUID, '<uuid>')
    .replace(TIME, '<time>')
    .replace(VERSION_IN_TEXT, '$1<version>$2');
}

/** Vault repeats what `data` says at the top for some paths, and describes mounts and policies at length. */
const VAULT_EXTRAS = new Set([
  'accessor',
  'allow_slashes_in_identity_templates',
  'allow_wildcards_in_identity_templates',
  'cas_required',
  'config',
  'creation_time',
  'display_name',
  'entity_id',
  'expire_time',
  'external_entropy_access',
  'id',
  'issue_time',
  'local',
  'meta',
  'modified',
  'path',
  'plugin_version',
  'running_plugin_version',
  'running_sha256',
  'seal_wrap',
  'uuid',
  'version',
]);

function withoutExtras(body: Json): Json {
  const data = dig(body, 'data');
  if (!isJsonObject(body) || !isJsonObject(data)) {
    return body;
  }
  return { ...body, data: Object.fromEntries(Object.entries(data).filter(([key]) => !VAULT_EXTRAS.has(key))) };
}

const APPLY = 'application/apply-patch+yaml';
const MERGE = 'application/merge-patch+json';
const JSON_PATCH = 'application/json-patch+json';

const kubernetes = (
  method: HttpRequest['method'],
  path: string,
  body?: JsonObject | ContractStep['body'],
  contentType = 'application/json',
): ContractStep => ({
  server: 'kubernetes',
  method,
  path,
  contentType,
  ...(body === undefined ? {} : { body: typeof body === 'function' ? body : () => body }),
});

const vault = (method: HttpRequest['method'], path: string, body?: JsonObject): ContractStep => ({
  server: 'vault',
  method,
  path,
  ...(body === undefined ? {} : { body: () => body }),
});

/** The cases, all of whose objects are in `namespace`, which exists; Vault's carry its name. */
export function contractCases(namespace: string, pkiMount: string): ContractCase[] {
  return [
    ...applyCases(namespace),
    ...otherWriteCases(namespace),
    ...cronJobCases(namespace),
    ...statefulSetCases(namespace),
    ...vaultCases(namespace, pkiMount),
  ];
}

function applyCases(namespace: string): ContractCase[] {
  const at = (name: string, query: string): string =>
    `/api/v1/namespaces/${namespace}/configmaps/${name}?fieldManager=${query}`;
  const map = (name: string, data: JsonObject, labels?: JsonObject): JsonObject => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace, ...(labels === undefined ? {} : { labels }) },
    data,
  });
  const labels = { 'app.kubernetes.io/name': 'nats', tier: 'one' };
  const apply = (name: string, query: string, body: JsonObject) => kubernetes('PATCH', at(name, query), body, APPLY);
  return [
    {
      title: 'apply creates, a second apply changes nothing, a dry run stores nothing',
      steps: [
        apply('a', 'first&dryRun=All', map('a', { key: '1' }, labels)),
        kubernetes('GET', at('a', '')),
        apply('a', 'first&fieldValidation=Strict', map('a', { key: '1' }, labels)),
        apply('a', 'first', map('a', { key: '1' }, labels)),
        apply('a', 'first&dryRun=All', map('a', { key: '2' }, labels)),
        kubernetes('GET', at('a', '')),
      ],
    },
    {
      title: 'fields of another manager: conflicts, shared ownership, removal of what is no longer applied',
      steps: [
        apply('b', 'first', map('b', { shared: '1', own: '1' }, labels)),
        apply('b', 'second', map('b', { shared: '2' })),
        apply('b', 'second', map('b', { shared: '2' }, { tier: 'two' })),
        apply('b', 'second', map('b', { shared: '1', more: '1' })),
        apply('b', 'first', map('b', {}, { tier: 'one' })),
        apply('b', 'first', map('b', {})),
      ],
    },
    {
      title: 'what was written without apply conflicts, too',
      steps: [
        kubernetes(
          'POST',
          `/api/v1/namespaces/${namespace}/configmaps?fieldManager=editor`,
          map('c', { key: '1' }, labels),
        ),
        apply('c', 'first', map('c', { key: '2' })),
        apply('c', 'first', map('c', { key: '2' }, { tier: 'two' })),
        kubernetes('PATCH', at('c', 'editor'), { data: { key: null, other: 'x' } }, MERGE),
        apply('c', 'first', map('c', { key: '2' })),
      ],
    },
    {
      title: 'force takes the fields of others and leaves them what it does not apply',
      steps: [
        apply('h', 'first', map('h', { shared: '1', own: '1' }, labels)),
        kubernetes('PATCH', at('h', 'editor'), { data: { edited: 'x' } }, MERGE),
        apply('h', 'second&force=true', map('h', { shared: '2', edited: 'y' })),
        apply('h', 'first', map('h', { shared: '1', own: '1' }, labels)),
      ],
    },
    {
      title:
        'an empty apply takes back what its manager holds alone, and changes nothing by a manager that holds nothing',
      steps: [
        apply('i', 'first', map('i', { shared: '1', own: '1' })),
        apply('i', 'org/tool/demo/a', map('i', { shared: '1', theirs: '1' })),
        apply('i', 'org/tool/demo/b', { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'i', namespace } }),
        apply('i', 'org/tool/demo/a', map('i', {})),
      ],
    },
    {
      title: 'apply refuses an unknown uid, an old version, another name, a missing manager',
      steps: [
        apply('d', 'first', { ...map('d', {}), metadata: { name: 'd', uid: '00000000-0000-4000-8000-000000000000' } }),
        apply('d', 'first', map('d', { key: '1' })),
        apply('d', 'first', { ...map('d', {}), metadata: { name: 'd', resourceVersion: '1' } }),
        apply('d', 'first', map('e', {})),
        kubernetes('PATCH', `/api/v1/namespaces/${namespace}/configmaps/d`, map('d', {}), APPLY),
        apply('D_d', 'first', map('D_d', {})),
      ],
    },
    {
      title: 'lists by label',
      steps: [
        apply('f', 'first', map('f', {}, { tier: 'one', color: 'red' })),
        apply('g', 'first', map('g', {}, { tier: 'one' })),
        ...['tier=one,color=red', 'tier=one,!color', 'color', 'tier in (one,two),color=red', 'tier=two'].map(
          (selector) =>
            kubernetes(
              'GET',
              `/api/v1/namespaces/${namespace}/configmaps?labelSelector=${encodeURIComponent(selector)}`,
            ),
        ),
      ],
    },
    {
      title: 'a Service, its ports by number and protocol',
      steps: [
        kubernetes(
          'PATCH',
          `/api/v1/namespaces/${namespace}/services/s?fieldManager=first`,
          service(namespace, ['client', 4222], ['monitoring', 8222]),
          APPLY,
        ),
        kubernetes(
          'PATCH',
          `/api/v1/namespaces/${namespace}/services/s?fieldManager=first`,
          service(namespace, ['client', 4222]),
          APPLY,
        ),
      ],
    },
    {
      title: 'a namespace that does not exist',
      steps: [
        kubernetes(
          'PATCH',
          `/api/v1/namespaces/${namespace}-none/configmaps/a?fieldManager=first`,
          { ...map('a', {}), metadata: { name: 'a' } },
          APPLY,
        ),
        kubernetes(
          'PATCH',
          `/api/v1/namespaces/${namespace}-none/configmaps/a?fieldManager=first&dryRun=All`,
          { ...map('a', {}), metadata: { name: 'a' } },
          APPLY,
        ),
        kubernetes('GET', `/api/v1/namespaces/${namespace}-none/configmaps/a`),
        kubernetes('GET', `/api/v1/namespaces/${namespace}-none/configmaps`),
        kubernetes('GET', `/api/v1/namespaces/${namespace}-none`),
        kubernetes('POST', '/api/v1/namespaces', {
          apiVersion: 'v1',
          kind: 'Namespace',
          metadata: { name: namespace },
        }),
      ],
    },
  ];
}

/** A job that does nothing, once an hour. */
function cronJobCases(namespace: string): ContractCase[] {
  const path = `/apis/batch/v1/namespaces/${namespace}/cronjobs/hourly?fieldManager=first`;
  const template = {
    spec: { restartPolicy: 'Never', containers: [{ name: 'job', image: 'registry.k8s.io/pause:3.10' }] },
  };
  const cronJob = (spec: JsonObject): JsonObject => ({
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'hourly', namespace },
    spec: { schedule: '0 * * * *', suspend: true, jobTemplate: { spec: { template } }, ...spec },
  });
  return [
    {
      title: 'a CronJob and what the API server adds to it',
      steps: [
        kubernetes('PATCH', path, cronJob({ timeZone: 'Etc/UTC' }), APPLY),
        kubernetes('PATCH', path, cronJob({ timeZone: 'Etc/UTC', concurrencyPolicy: 'Replace' }), APPLY),
      ],
    },
  ];
}

function service(namespace: string, ...ports: [name: string, port: number][]): JsonObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's', namespace },
    spec: { selector: { app: 'nats' }, ports: ports.map(([name, port]) => ({ name, port, targetPort: name })) },
  };
}

function otherWriteCases(namespace: string): ContractCase[] {
  const leases = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  const spec = { holderIdentity: 'one', leaseDurationSeconds: 60, renewTime: '2026-01-01T00:00:00.500000Z' };
  const lease = (holderIdentity: string, resourceVersion?: string): JsonObject => ({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'lock', namespace, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
    spec: { ...spec, holderIdentity },
  });
  const versionOf = (answer: Json | undefined): string => digText(answer, 'metadata', 'resourceVersion');
  const remove = (preconditions: JsonObject): JsonObject => ({
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    preconditions,
  });
  const query = '?fieldManager=locker';
  return [
    {
      title: 'a Lease: create once, replace only the version that was read, delete with preconditions',
      steps: [
        kubernetes('POST', `${leases}${query}`, lease('one')),
        kubernetes('POST', `${leases}${query}`, lease('two')),
        kubernetes('PUT', `${leases}/lock${query}`, ([created]) => lease('two', versionOf(created))),
        kubernetes('PUT', `${leases}/lock${query}`, ([created]) => lease('three', versionOf(created))),
        kubernetes('PATCH', `${leases}/lock${query}`, { spec: { holderIdentity: null } }, MERGE),
        kubernetes('PATCH', `${leases}/lock${query}`, { spec: { holderIdentity: '' } }, MERGE),
        kubernetes('DELETE', `${leases}/lock`, remove({ uid: '00000000-0000-4000-8000-000000000000' })),
        kubernetes('DELETE', `${leases}/lock`, remove({ resourceVersion: '1' })),
        kubernetes('DELETE', `${leases}/lock`, (answers) => remove({ uid: digText(answers[0], 'metadata', 'uid') })),
        kubernetes('DELETE', `${leases}/lock`, remove({})),
        kubernetes('GET', `${leases}/lock`),
        kubernetes('POST', `${leases}${query}`, { ...lease('one'), spec: { renewTime: '2026-01-01T00:00:00.5Z' } }),
      ],
    },
    {
      title: 'a Lease that is gone is made by a PUT, one that is there needs its version',
      steps: [
        kubernetes('PUT', `${leases}/lock${query}`, lease('one', '1')),
        kubernetes('PUT', `${leases}/lock${query}`, lease('two')),
        kubernetes('DELETE', `${leases}/lock`, remove({})),
      ],
    },
    {
      title: 'a JSON patch whose test fails changes nothing',
      steps: [
        kubernetes('POST', `${leases}${query}`, lease('one')),
        kubernetes('PATCH', `${leases}/lock${query}`, () => patch('two', 'three'), JSON_PATCH),
        kubernetes('PATCH', `${leases}/lock${query}`, () => patch('one', 'three'), JSON_PATCH),
        kubernetes('DELETE', `${leases}/lock`, remove({})),
      ],
    },
    {
      title: 'may I?',
      steps: [
        kubernetes('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SelfSubjectAccessReview',
          spec: { resourceAttributes: { namespace, verb: 'patch', group: 'apps', resource: 'statefulsets' } },
        }),
      ],
    },
    {
      title: 'APIs that are not there',
      steps: [kubernetes('GET', '/apis/example.org/v1'), kubernetes('GET', `/api/v1/namespaces/${namespace}/nothings`)],
    },
  ];
}

function patch(expected: string, wanted: string): JsonObject[] {
  const path = '/spec/holderIdentity';
  return [
    { op: 'test', path, value: expected },
    { op: 'replace', path, value: wanted },
  ];
}

function statefulSetCases(namespace: string): ContractCase[] {
  const path = `/apis/apps/v1/namespaces/${namespace}/statefulsets/n?fieldManager=first`;
  const labels = { app: 'nats' };
  const body = (changes: JsonObject = {}, podChanges: JsonObject = {}): JsonObject => ({
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'n', namespace },
    spec: {
      replicas: 0,
      serviceName: 's',
      podManagementPolicy: 'Parallel',
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          containers: [
            {
              name: 'nats',
              image: 'nats:2.14.6',
              ports: [{ name: 'client', containerPort: 4222 }],
              env: [{ name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
              resources: { requests: { cpu: '0.1', memory: '1024Mi' }, limits: { memory: '1073741824' } },
              readinessProbe: { httpGet: { path: '/healthz', port: 'client' } },
              volumeMounts: [{ name: 'config', mountPath: '/etc/nats' }],
            },
          ],
          volumes: [{ name: 'config', configMap: { name: 'n' } }],
          ...podChanges,
        },
      },
      volumeClaimTemplates: [
        {
          metadata: { name: 'data' },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '0.5Gi' } } },
        },
      ],
      ...changes,
    },
  });
  const apply = (changes?: JsonObject, podChanges?: JsonObject) =>
    kubernetes('PATCH', path, body(changes, podChanges), APPLY);
  return [
    {
      title: 'a StatefulSet: defaults, spelling of quantities, fields that cannot change, generation',
      steps: [
        apply(),
        apply(),
        apply({ podManagementPolicy: 'OrderedReady' }),
        apply({ serviceName: 'other' }),
        apply({ selector: { matchLabels: { app: 'other' } } }),
        apply({ updateStrategy: { type: 'RollingUpdate' } }),
        apply({}, { terminationGracePeriodSeconds: 60 }),
      ],
    },
  ];
}

function vaultCases(namespace: string, pkiMount: string): ContractCase[] {
  const role = `${pkiMount}/roles/${namespace}`;
  const policy = `sys/policies/acl/${namespace}`;
  const authRole = `auth/kubernetes/role/${namespace}`;
  return [
    {
      title: 'a PKI role: defaults, how parameters read back, writing replaces',
      steps: [
        vault('GET', role),
        vault('POST', role, { allowed_domains: ['a', 'b'], max_ttl: 57_600, key_type: 'ec', key_bits: 256 }),
        vault('PUT', role, { allowed_domains: 'a,b', max_ttl: '16h', key_usage: 'DigitalSignature', no_store: true }),
        vault('GET', role),
        vault('POST', role, { key_type: 'nope' }),
        vault('DELETE', role),
        vault('DELETE', role),
        vault('GET', role),
      ],
    },
    {
      title: 'a policy: names in lower case, refusals',
      steps: [
        vault('GET', policy),
        vault('PUT', policy, { policy: 'path "a/b" { capabilities = ["update"] }' }),
        vault('GET', policy),
        vault('PUT', policy, {}),
        vault('DELETE', policy),
        vault('GET', policy),
      ],
    },
    {
      title: 'a Kubernetes auth role: writing merges',
      steps: [
        vault('GET', authRole),
        vault('POST', authRole, { token_ttl: 60 }),
        vault('POST', authRole, {
          bound_service_account_names: 'issuer',
          bound_service_account_namespaces: [namespace],
          audience: 'vault://x/y',
          token_policies: 'p',
          token_ttl: 120,
          token_max_ttl: '2m',
          token_no_default_policy: true,
          token_bound_cidrs: ['10.0.0.0/8'],
        }),
        vault('POST', authRole, { token_ttl: 60, token_bound_cidrs: [] }),
        vault('GET', authRole),
        vault('DELETE', authRole),
      ],
    },
    {
      title: 'capabilities, mounts, tokens and logins that are refused',
      steps: [
        vault('POST', 'sys/capabilities-self', { paths: [role, policy] }),
        { ...vault('POST', 'sys/capabilities-self', { paths: [role] }), token: 'wrong' },
        { ...vault('GET', role), token: 'none' },
        { ...vault('GET', 'auth/token/lookup-self'), token: 'wrong' },
        vault('GET', `sys/internal/ui/mounts/${pkiMount}`),
        vault('GET', 'sys/internal/ui/mounts/auth/kubernetes'),
        vault('GET', 'sys/internal/ui/mounts/nowhere'),
        vault('GET', 'nowhere/roles/x'),
        { ...vault('POST', 'auth/kubernetes/login', { role: 'no-such-role', jwt: 'a.b.c' }), token: 'none' },
        { ...vault('POST', 'auth/nowhere/login', { role: 'x', jwt: 'a.b.c' }), token: 'none' },
      ],
    },
  ];
}
