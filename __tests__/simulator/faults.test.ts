import { connect } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeEach, expect, test } from '@jest/globals';
import { FaultInjector } from '../../simulator/faults.ts';
import { resourceOf } from '../../simulator/kubernetes/resources.ts';
import type { RecordedRequest } from '../../simulator/requests.ts';
import { configMap, createWorld, NAME, NAMESPACE, paths, type World } from './world.ts';

const world: World = await createWorld({ certManager: false });

beforeEach(() => {
  world.simulator.faults.clear();
  world.simulator.requests.length = 0;
});
afterAll(() => world.close());

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn();
}

const isConfigMap = ({ path }: RecordedRequest): boolean => path.startsWith(paths.configMap);
const exists = (): boolean =>
  world.simulator.cluster.find({ resource: resourceOf('ConfigMap'), namespace: NAMESPACE, name: NAME }) !== undefined;

test('the second of three matching requests is answered as ordered', async () => {
  world.simulator.faults.add({
    matches: isConfigMap,
    nth: 2,
    effect: 'answer',
    status: 429,
    headers: { 'retry-after': '1' },
  });
  const statuses = [];
  for (let count = 0; count < 3; count += 1) {
    statuses.push((await world.kubernetes({ method: 'GET', path: paths.configMap })).status);
  }
  expect(statuses).toEqual([404, 429, 404]);
});

test('a reset before does nothing, a reset after has done it', async () => {
  world.simulator.faults.add({ matches: isConfigMap, effect: 'reset-before' });
  await expect(world.apply(paths.configMap, configMap('x'))).rejects.toThrow();
  expect(exists()).toBe(false);
  world.simulator.faults.clear();
  world.simulator.faults.add({ matches: isConfigMap, effect: 'reset-after' });
  await expect(world.apply(paths.configMap, configMap('x'))).rejects.toThrow();
  expect(exists()).toBe(true);
});

test('a hanging request is never answered', async () => {
  world.simulator.faults.add({ matches: isConfigMap, effect: 'hang' });
  await expect(world.kubernetes({ method: 'GET', path: paths.configMap, timeout: 1_000 })).rejects.toThrow();
  expect(world.simulator.requests.map(({ status }) => status)).toEqual([0]);
});

test('a client that resets its connection while it waits for a WebSocket ends nothing but that', async () => {
  world.simulator.faults.add({ matches: isConfigMap, effect: 'hang' });
  const { port } = new URL(world.simulator.kubernetesUrl);
  const client = connect(Number(port), '127.0.0.1');
  client.write(`GET ${paths.configMap} HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n`);
  await until(() => world.simulator.requests.length === 1);
  client.resetAndDestroy();
  await until(() => world.simulator.inProgress() === 0);
  expect((await world.kubernetes({ method: 'GET', path: paths.configMap })).status).toBe(200);
});

test('the log holds what was sent and answered', async () => {
  await world.kubernetes({ method: 'GET', path: '/api/v1/namespaces?labelSelector=a%3Db' });
  expect(world.simulator.requests).toEqual([
    {
      server: 'kubernetes',
      method: 'GET',
      path: '/api/v1/namespaces?labelSelector=a%3Db',
      userAgent: 'test',
      body: undefined,
      status: 200,
    },
  ]);
});

test('a wrong token, a denied permission, a missing cert-manager', async () => {
  const anonymous = await fetch(`${world.simulator.kubernetesUrl}/api/v1/namespaces`);
  expect(anonymous.status).toBe(401);
  world.simulator.behaviour.denied = ({ verb, resource }) => verb === 'patch' && resource === 'secrets';
  const review = async (resource: string) =>
    (
      await world.kubernetes({
        method: 'POST',
        path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
        body: { spec: { resourceAttributes: { verb: 'patch', resource } } },
      })
    ).body;
  expect(await review('secrets')).toMatchObject({ status: { allowed: false } });
  expect(await review('pods')).toMatchObject({ status: { allowed: true } });
  expect((await fetch(`${world.simulator.kubernetesUrl}/apis/cert-manager.io/v1`, await authorized())).status).toBe(
    404,
  );
});

async function authorized(): Promise<RequestInit> {
  const [, token = ''] = /token: (\S+)/.exec(world.simulator.kubeconfig) ?? [];
  return { headers: { authorization: `Bearer ${token}` } };
}

test('several faults count for themselves; the first that strikes wins', () => {
  const faults = new FaultInjector();
  const request: RecordedRequest = {
    server: 'vault',
    method: 'GET',
    path: '/',
    userAgent: '',
    body: undefined,
    status: 0,
  };
  faults.add({ matches: () => true, nth: 2, times: 2, effect: 'hang' });
  faults.add({ matches: () => true, nth: 3, times: Number.POSITIVE_INFINITY, effect: 'reset-before' });
  const effects = Array.from({ length: 5 }, () => faults.next(request)?.effect);
  expect(effects).toEqual([undefined, 'hang', 'hang', 'reset-before', 'reset-before']);
});
