import { afterEach, expect, jest, test } from '@jest/globals';
import { PORTS } from '../../src/nats/layout.ts';
import { servedCertificate } from '../../src/reconcile/verify/served-certificate.ts';
import { createAuthority } from '../fakes/certificates.ts';
import { configMap, createWorld, eventually, NAMESPACE, paths, statefulSet, type World } from './world.ts';

let world: World;

afterEach(() => world.close());

const authority = createAuthority('CA');

async function putSecret(name: string, certificate: string, key: string): Promise<void> {
  const encode = (text: string) => Buffer.from(text).toString('base64');
  const data = { 'tls.crt': encode(certificate), 'tls.key': encode(key), 'ca.crt': encode(authority.certificate) };
  const path = `/api/v1/namespaces/${NAMESPACE}/secrets/${name}`;
  await world.apply(path, { apiVersion: 'v1', kind: 'Secret', metadata: { name }, type: 'kubernetes.io/tls', data });
}

async function issueTo(name: string): Promise<void> {
  const { certificate, key } = authority.issue([name]);
  await putSecret('servers', certificate, key);
}

const shown = async (port: typeof PORTS.client | typeof PORTS.cluster) =>
  (await servedCertificate(world.kube, NAMESPACE, 'n-0', port))?.subjectAltName;

/** Has a server end the connection of a client that it trusts when the client does: no timer runs that would. */
async function expectPartingBothWays(): Promise<void> {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] });
  try {
    const client = authority.issue(['client']);
    expect(await servedCertificate(world.kube, NAMESPACE, 'n-0', PORTS.client, client)).not.toBeNull();
  } finally {
    jest.useRealTimers();
  }
}

async function touch(value: string): Promise<void> {
  const headers = { 'content-type': 'application/merge-patch+json' };
  const body = { metadata: { annotations: { touched: value } } };
  await world.kubernetes({ method: 'PATCH', path: `/api/v1/namespaces/${NAMESPACE}/pods/n-0`, headers, body });
  world.simulator.nats.reconcile();
}

test('a server shows the certificates it has loaded; a new one once its pod is touched, none that is broken', async () => {
  world = await createWorld({ speed: 1 });
  await issueTo('first');
  const routes = authority.issue(['routes']);
  await putSecret('peers', routes.certificate, routes.key);
  await world.apply(paths.configMap, configMap('conf'));
  const volumeMounts = [
    { name: 'a', mountPath: '/etc/server-certs' },
    { name: 'b', mountPath: '/etc/cluster-certs' },
  ];
  const volumes = [
    { name: 'a', secret: { secretName: 'servers' } },
    { name: 'b', secret: { secretName: 'peers' } },
    { name: 'config', configMap: { name: 'n' } },
  ];
  const containers = [{ name: 'nats', image: 'nats:2.14.6', volumeMounts }];
  await world.apply(paths.statefulSet, statefulSet('', { containers, volumes }));
  await eventually('n-0 runs', () => world.simulator.nats.configOf('n-0') === 'conf');
  expect([await shown(PORTS.client), await shown(PORTS.cluster)]).toEqual(['DNS:first', 'DNS:routes']);
  await expectPartingBothWays();

  await issueTo('second');
  expect(await shown(PORTS.client)).toBe('DNS:first');
  await touch('1');
  expect(await shown(PORTS.client)).toBe('DNS:second');

  const { certificate } = authority.issue(['third']);
  await putSecret('servers', certificate, routes.key);
  await world.apply(paths.configMap, configMap('changed'));
  await touch('2');
  expect([await shown(PORTS.client), world.simulator.nats.configOf('n-0')]).toEqual(['DNS:second', 'conf']);
  await issueTo('fourth');
  await touch('3');
  expect([await shown(PORTS.client), world.simulator.nats.configOf('n-0')]).toEqual(['DNS:fourth', 'changed']);
});
