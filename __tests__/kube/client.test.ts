import { describe, expect, test } from '@jest/globals';
import { labelSelector } from '../../src/kube/client.ts';
import { ApplyConflict } from '../../src/kube/errors.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import { groupOf, kindOf, pathOf, RESOURCES } from '../../src/kube/resources.ts';
import { Problem } from '../../src/problem.ts';
import { problemOf } from '../fakes/problem.ts';
import { answer, clientOn, status } from './requests.ts';

const CONFIG: KubeObject = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'nats-a', namespace: 'demo', resourceVersion: '7' },
  data: { a: '1' },
};

describe('paths', () => {
  test.each([
    [pathOf(RESOURCES.ConfigMap, 'demo', 'a'), '/api/v1/namespaces/demo/configmaps/a'],
    [pathOf(RESOURCES.StatefulSet, 'demo'), '/apis/apps/v1/namespaces/demo/statefulsets'],
    [pathOf(RESOURCES.Namespace, undefined, 'demo'), '/api/v1/namespaces/demo'],
    [pathOf(RESOURCES.StorageClass, 'demo', 'a'), '/apis/storage.k8s.io/v1/storageclasses/a'],
    [pathOf(RESOURCES.Pod, 'a/b', '../c?d'), '/api/v1/namespaces/a%2Fb/pods/..%2Fc%3Fd'],
  ])('%s', (path, expected) => {
    expect(path).toBe(expected);
  });

  test('groups, and kinds that are not in the table', () => {
    expect(groupOf(RESOURCES.Pod)).toBe('');
    expect(groupOf(RESOURCES.Certificate)).toBe('cert-manager.io');
    expect(() => kindOf({ kind: 'Gateway' })).toThrow('Gateway is not in the table');
  });
});

describe('reading', () => {
  test('an object', async () => {
    const { client, requests } = clientOn(answer(200, CONFIG));
    await expect(client.get('ConfigMap', 'demo', 'nats-a')).resolves.toEqual(CONFIG);
    expect(requests).toEqual([{ method: 'GET', path: '/api/v1/namespaces/demo/configmaps/nats-a' }]);
  });

  test('the metadata of a Secret, without what it holds', async () => {
    const { metadata } = CONFIG;
    const found = { apiVersion: 'meta.k8s.io/v1', kind: 'PartialObjectMetadata', metadata };
    const { client, requests } = clientOn(answer(200, found));
    const expected = { apiVersion: 'v1', kind: 'Secret', metadata };
    await expect(client.getMetadata('Secret', 'demo', 'nats-a')).resolves.toEqual(expected);
    const list = { apiVersion: 'meta.k8s.io/v1', kind: 'PartialObjectMetadataList', items: [{ metadata }] };
    const lister = clientOn(answer(200, list));
    await expect(lister.client.listMetadata('Secret', 'demo')).resolves.toEqual([expected]);
    const accept = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';
    expect(lister.requests).toMatchObject([{ path: '/api/v1/namespaces/demo/secrets', headers: { accept } }]);
    expect(requests).toMatchObject([{ headers: { accept: expect.stringContaining('as=PartialObjectMetadata;') } }]);
  });

  test('what does not exist is null', async () => {
    await expect(clientOn(status(404, 'not found')).client.get('Pod', 'demo', 'a')).resolves.toBeNull();
  });

  test('a list: each item gets its kind, which the API server leaves out', async () => {
    const items = [{ metadata: { name: 'a', uid: '1' }, spec: {} }, { metadata: { name: 'b' } }];
    const { client, requests } = clientOn(answer(200, { kind: 'CertificateList', items }));
    await expect(client.list('Certificate', 'demo', { labels: 'a=b,c', fields: 'x.y=1' })).resolves.toEqual([
      { apiVersion: 'cert-manager.io/v1', kind: 'Certificate', metadata: { name: 'a', uid: '1' }, spec: {} },
      { apiVersion: 'cert-manager.io/v1', kind: 'Certificate', metadata: { name: 'b' } },
    ]);
    expect(requests[0]?.path).toBe(
      '/apis/cert-manager.io/v1/namespaces/demo/certificates?labelSelector=a%3Db%2Cc&fieldSelector=x.y%3D1',
    );
  });

  test.each([
    ['an absent CRD', status(404, 'the server could not find the requested resource')],
    ['null items, as Go writes none', answer(200, { kind: 'List', items: null })],
    ['no items at all', answer(200, { kind: 'List' })],
  ])('a list of %s is empty', async (_, response) => {
    const { client, requests } = clientOn(response);
    await expect(client.list('StorageClass', undefined)).resolves.toEqual([]);
    expect(requests[0]?.path).toBe('/apis/storage.k8s.io/v1/storageclasses');
  });

  test('the version, and the API groups that are served', async () => {
    await expect(clientOn(answer(200, { gitVersion: 'v1.34.4' })).client.serverVersion()).resolves.toBe('v1.34.4');
    const groups = [
      { name: 'apps', versions: [{ groupVersion: 'apps/v1' }] },
      {
        name: 'cert-manager.io',
        versions: [{ groupVersion: 'cert-manager.io/v1' }, { groupVersion: 'cert-manager.io/v2' }],
      },
    ];
    const { client, requests } = clientOn(answer(200, { kind: 'APIGroupList', groups }));
    await expect(client.servedApis()).resolves.toEqual(
      new Set(['apps/v1', 'cert-manager.io/v1', 'cert-manager.io/v2']),
    );
    expect(requests.map(({ path }) => path)).toEqual(['/apis']);
  });

  test.each([true, false])('an access review that says %s', async (allowed) => {
    const { client, requests } = clientOn(answer(201, { kind: 'SelfSubjectAccessReview', status: { allowed } }));
    const access = { verb: 'get', group: '', resource: 'pods/log', namespace: 'demo' };
    await expect(client.isAllowed(access)).resolves.toBe(allowed);
    expect(requests[0]).toMatchObject({
      method: 'POST',
      path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
      body: {
        spec: {
          resourceAttributes: { verb: 'get', group: '', resource: 'pods', subresource: 'log', namespace: 'demo' },
        },
      },
      idempotent: true,
    });
  });

  test.each([
    ['tells its name', 201, { status: { userInfo: { username: 'system:serviceaccount:ci:deployer' } } }],
    ['of before Kubernetes 1.28', 404, null],
    ['that may not ask', 403, null],
  ])('an identity %s', async (_, status, body) => {
    const { client, requests } = clientOn(answer(status, { kind: 'SelfSubjectReview', ...body }));
    await expect(client.identity()).resolves.toBe(body?.status.userInfo.username ?? null);
    expect(requests).toMatchObject([
      { method: 'POST', path: '/apis/authentication.k8s.io/v1/selfsubjectreviews', idempotent: true },
    ]);
  });

  test('an access review without a status allows nothing', async () => {
    const { client } = clientOn(answer(201, { kind: 'SelfSubjectAccessReview' }));
    await expect(client.isAllowed({ verb: 'get', group: '', resource: 'pods' })).resolves.toBe(false);
  });
});

describe('writing', () => {
  const path = '/api/v1/namespaces/demo/configmaps/nats-a';

  test.each([
    [{ dryRun: false }, '?fieldManager=kube-nats-action&fieldValidation=Strict'],
    [{ dryRun: true }, '?fieldManager=kube-nats-action&fieldValidation=Strict&dryRun=All'],
  ])('applies without force (%j)', async (options, query) => {
    const { client, requests } = clientOn(answer(200, CONFIG));
    await expect(client.apply(CONFIG, options)).resolves.toEqual(CONFIG);
    expect(requests).toEqual([
      {
        method: 'PATCH',
        path: path + query,
        headers: { 'content-type': 'application/apply-patch+yaml' },
        body: CONFIG,
        idempotent: true,
      },
    ]);
  });

  test('tells who holds which fields when an apply is refused', async () => {
    const causes = [
      { reason: 'FieldManagerConflict', message: 'conflict with "helm" using apps/v1', field: '.spec.replicas' },
      { reason: 'FieldManagerConflict', message: 'conflict with "kubectl"', field: '.data.a' },
    ];
    const { client } = clientOn(status(409, 'Apply failed with 2 conflicts', { details: { causes } }));
    const refused = client.apply(CONFIG);
    await expect(refused).rejects.toBeInstanceOf(ApplyConflict);
    await expect(refused).rejects.toMatchObject({
      message: 'ConfigMap nats-a: helm holds .spec.replicas, kubectl holds .data.a',
      conflicts: [
        { manager: 'helm', field: '.spec.replicas' },
        { manager: 'kubectl', field: '.data.a' },
      ],
    });
  });

  test('tells other conflicts apart', async () => {
    const { client } = clientOn(status(409, 'uid mismatch'));
    const problem = await problemOf(client.apply(CONFIG));
    expect(problem.message).toBe(
      'Applying ConfigMap demo/nats-a: HTTP 409: uid mismatch. Something else changes this object at the same time: run again when it is done.',
    );
  });

  test('creates, or tells that it exists', async () => {
    const { client, requests } = clientOn(answer(201, CONFIG));
    await expect(client.create(CONFIG)).resolves.toEqual(CONFIG);
    expect(requests[0]).toMatchObject({
      method: 'POST',
      path: '/api/v1/namespaces/demo/configmaps?fieldManager=kube-nats-action',
      body: CONFIG,
    });
    await expect(clientOn(status(409, 'exists')).client.create(CONFIG)).resolves.toBeNull();
  });

  test.each([409, 404])('replaces, or tells that it changed or went meanwhile (%i)', async (code) => {
    const { client, requests } = clientOn(answer(200, CONFIG));
    await expect(client.replace(CONFIG)).resolves.toEqual(CONFIG);
    expect(requests[0]).toMatchObject({ method: 'PUT', path: `${path}?fieldManager=kube-nats-action`, body: CONFIG });
    await expect(clientOn(status(code, 'no')).client.replace(CONFIG)).resolves.toBeNull();
  });

  test('patches an object or its status, or tells that it is gone', async () => {
    const { client, requests } = clientOn(answer(200, CONFIG));
    await client.patch('Pod', 'demo', 'a-0', { metadata: {} });
    await client.patch('Certificate', 'demo', 'a', { status: {} }, 'status');
    expect(requests.map((request) => request.path)).toEqual([
      '/api/v1/namespaces/demo/pods/a-0?fieldManager=kube-nats-action',
      '/apis/cert-manager.io/v1/namespaces/demo/certificates/a/status?fieldManager=kube-nats-action',
    ]);
    expect(requests[0]).toMatchObject({ method: 'PATCH', headers: { 'content-type': 'application/merge-patch+json' } });
    await expect(clientOn(status(404, '')).client.patch('Pod', 'demo', 'a', {})).resolves.toBeNull();
  });

  test.each([
    [200, true],
    [404, false],
    [409, false],
  ])('deletes this object and no successor (%i)', async (code, removed) => {
    const { client, requests } = clientOn(status(code, ''));
    await expect(client.remove({ ...CONFIG, metadata: { ...CONFIG.metadata, uid: 'u' } })).resolves.toBe(removed);
    expect(requests).toEqual([
      {
        method: 'DELETE',
        path,
        body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid: 'u' } },
        idempotent: true,
      },
    ]);
  });
});

describe('deleting what was read', () => {
  const READ = { ...CONFIG, metadata: { ...CONFIG.metadata, uid: 'u', resourceVersion: '7' } };

  test.each([
    [200, 'removed'],
    [404, 'gone'],
    [409, 'changed'],
  ] as const)('takes along what it owns, and is of this state alone (%i: %s)', async (code, outcome) => {
    const { client, requests } = clientOn(status(code, ''));
    await expect(client.removeUnchanged(READ)).resolves.toBe(outcome);
    expect(requests).toMatchObject([
      {
        method: 'DELETE',
        body: { preconditions: { uid: 'u', resourceVersion: '7' }, propagationPolicy: 'Background' },
        idempotent: true,
      },
    ]);
  });

  test('that is refused is an error', async () => {
    const { client } = clientOn(status(403, 'configmaps "nats-a" is forbidden'));
    expect((await problemOf(client.removeUnchanged(READ))).details.kind).toBe('permission');
  });
});

describe('pods', () => {
  test.each([
    [
      '500, as the API server does not reach their kubelet',
      status(500, 'error dialing backend'),
      'HTTP 500: error dialing backend.',
    ],
    ['502, as a proxy does not reach the API server', answer(502, 'Bad\n\nGateway'), 'HTTP 502: Bad Gateway.'],
    ['400, as they have no node yet', status(400, 'pod a-0 does not have a host assigned'), ''],
    ['404, as they are gone', status(404, 'not found'), ''],
    ['nothing in time, as their node is gone', new Error('no answer within 5 s'), 'no answer within 5 s.'],
  ])('that answer %s cannot be reached', async (_, outcome, told) => {
    const { client, requests, progress } = clientOn(outcome);
    await expect(client.dialPod('demo', 'a-0', 4222)).resolves.toBeNull();
    await expect(client.getFromPod('demo', 'a-0', 8222, '/varz')).resolves.toBeNull();
    expect(requests).toEqual([
      { method: 'GET', path: '/api/v1/namespaces/demo/pods/a-0/portforward?ports=4222', timeout: 5_000 },
      { method: 'GET', path: '/api/v1/namespaces/demo/pods/a-0/portforward?ports=8222', timeout: 5_000 },
    ]);
    expect(progress).toEqual(
      told === '' ? [] : [4222, 8222].map((port) => `Connecting to port ${port} of pod demo/a-0: ${told}`),
    );
  });

  test('that cannot be reached are told of once for each reason, whatever ports the API server dials from', async () => {
    const reasonOf = (port: number) => `error dialing backend: read tcp 10.0.0.1:${port}->10.0.0.2:10250: i/o timeout`;
    const outcome = status(502, reasonOf(40_001));
    const { client, progress } = clientOn(outcome);
    await client.dialPod('demo', 'a-0', 8222);
    Object.assign(outcome, status(502, reasonOf(40_002)));
    await client.dialPod('demo', 'a-0', 8222);
    Object.assign(outcome, status(502, 'error dialing backend: no route to host'));
    await client.dialPod('demo', 'a-0', 8222);
    expect(progress).toEqual([
      `Connecting to port 8222 of pod demo/a-0: HTTP 502: ${reasonOf(40_001)}.`,
      'Connecting to port 8222 of pod demo/a-0: HTTP 502: error dialing backend: no route to host.',
    ]);
  });

  const plugin = new Problem({ kind: 'connection', tried: 'Getting credentials', reason: 'r', next: 'n' });
  test.each([
    ['not allowed', status(403, 'cannot get resource "pods/portforward"'), 'port 8222 of pod demo/a-0: HTTP 403'],
    ['not known who asks', status(401, 'Unauthorized'), 'HTTP 401: Unauthorized. The credentials of the kubeconfig'],
    [
      'not for the kubelet',
      answer(405, 'Debug endpoints are disabled.\n'),
      'disabled. The kubelet (enableDebuggingHandlers',
    ],
    ['not possible through a proxy', status(400, 'Upgrade request required'), 'pass on WebSockets'],
    ['not possible for want of credentials', plugin, 'Getting credentials: r'],
  ])('that cannot be reached, as it is %s, are a Problem', async (_, outcome, message) => {
    const { client } = clientOn(outcome);
    expect((await problemOf(client.getFromPod('demo', 'a-0', 8222, '/varz'))).message).toContain(message);
  });

  test('have logs, empty when there are none', async () => {
    const { client, requests } = clientOn(answer(200, 'line 1\nline 2\n'));
    const options = { tailLines: 8, previous: true };
    await expect(client.podLog('demo', 'a-0', 'nats', options)).resolves.toBe('line 1\nline 2\n');
    expect(requests[0]?.path).toBe('/api/v1/namespaces/demo/pods/a-0/log?container=nats&tailLines=8&previous=true');
    const none = clientOn(status(400, 'previous terminated container not found'));
    await expect(none.client.podLog('demo', 'a-0', 'nats', options)).resolves.toBe('');
  });
});

test.each([
  ['a page of a proxy', answer(200, '<html>Sign in</html>')],
  ['JSON of another API', answer(200, ['a'])],
])('%s is no API server', async (_, response) => {
  const { client } = clientOn(response);
  for (const call of [() => client.get('Pod', 'demo', 'a'), () => client.serverVersion(), () => client.apply(CONFIG)]) {
    expect((await problemOf(call)).message).toContain('The answer is not that of a Kubernetes API server.');
  }
});

test('a version endpoint without a version is no API server', async () => {
  const problem = await problemOf(clientOn(answer(200, { errors: [] })).client.serverVersion());
  expect(problem.details.kind).toBe('connection');
});

test('selectors', () => {
  expect(labelSelector({ a: 'b', 'c.d/e': 'f' })).toBe('a=b,c.d/e=f');
});
