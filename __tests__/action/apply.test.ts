import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Ending } from '../../simulator/runner.ts';
import { digObjects, digText } from '../../src/json.ts';
import { startWorld, type World } from './world.ts';

let world: World;
let first: Ending;
let firstWrites: string[];

beforeAll(async () => {
  world = await startWorld({
    namespaces: [],
    pkiMounts: ['pki/internal', 'pki/nats'],
    clusterIssuers: ['internal', 'foreign'],
  });
  firstWrites = await world.writesDuring(async () => {
    first = await world.apply({ create_namespace: 'true' });
  });
});

afterAll(() => world.close());

test('a cluster comes up from nothing', () => {
  expect(first.errors).toEqual([]);
  expect(first.exitCode).toBe(0);
  expect(first.outputs).toEqual({
    superuser_creds_secret: 'nats-superuser-creds',
    admin_creds_secret: 'nats-admin-creds',
    reader_creds_secret: 'nats-reader-creds',
    host: 'nats.demo.svc.cluster.local',
    client_port: '4222',
    cluster_port: '6222',
    metrics_port: '8222',
    nats_url: 'tls://nats.demo.svc.cluster.local:4222',
    name: 'nats',
    namespace: 'demo',
    match_labels: '{"app.kubernetes.io/name":"nats","app.kubernetes.io/instance":"nats"}',
    changed: 'true',
    rolled_back: 'false',
  });
});

test('writes go out in the order that an interrupted run can be completed from', () => {
  const at = (part: string) => firstWrites.findIndex((write) => write.includes(part));
  const order = [
    '/namespaces',
    '/leases',
    '/configmaps/nats-inventory',
    '/sys/policies/acl/demo-issuer-nats',
    '/roles/nats-admin-nats',
    '/auth/kubernetes/role/demo-issuer-nats',
    '/serviceaccounts/issuer-nats',
    '/issuers/nats-admin-nats',
    '/certificates/nats-admin-creds',
    '/poddisruptionbudgets/nats',
    '/statefulsets/nats',
  ].map(at);
  expect(order).not.toContain(-1);
  expect(order).toEqual([...order].sort((a, b) => a - b));
});

test('the log and the summary tell each change and the health', () => {
  const readable = (text: string) =>
    text.replace(/^ +\d+ s .*\n/gm, '').replaceAll(/leader is `?nats-\d`?/g, 'leader is nats-N');
  const sorted = readable(first.log).trim().split('\n');
  expect(sorted[0]).toBe('NATS cluster nats in namespace demo, Kubernetes v1.34.4');
  expect(sorted.slice(-2)).toEqual([
    "Verified: JetStream's meta leader is nats-N, all peers are current, every role has valid credentials.",
    expect.stringMatching(/^Remembered as the last good state \(\d+ bytes\)\.$/),
  ]);
  expect(sorted.slice(1, -2).sort()).toMatchSnapshot();
  expect(readable(first.summary).split('### Changes')[0]).toMatchSnapshot();
});

test('the same inputs again write nothing at all, and say so', async () => {
  let again: Ending | undefined;
  const writes = await world.writesDuring(async () => {
    again = await world.apply({ create_namespace: 'true' });
  });
  expect(writes).toEqual([]);
  expect(again?.exitCode).toBe(0);
  expect(again?.outputs.changed).toBe('false');
  expect(again?.log).toContain('Nothing to change: no write to Kubernetes or Vault.');
});

test('without a name the one cluster in the namespace is found', async () => {
  const found = await world.apply({ name: '' });
  expect(found.outputs).toMatchObject({ name: 'nats', changed: 'false' });
});

test('the inventory is an ApplySet and tells who deployed', async () => {
  const inventory = await world.kube('GET', '/api/v1/namespaces/demo/configmaps/nats-inventory');
  expect(inventory).toMatchObject({
    metadata: {
      labels: { 'applyset.kubernetes.io/id': expect.stringMatching(/^applyset-[\w-]{43}-v1$/) },
      annotations: {
        'applyset.kubernetes.io/tooling': expect.stringMatching(/^kube-nats-action\/v\d+\.\d+\.\d+$/),
        'applyset.kubernetes.io/contains-group-kinds':
          'Certificate.cert-manager.io,ConfigMap,Issuer.cert-manager.io,NetworkPolicy.networking.k8s.io,PodDisruptionBudget.policy,' +
          'Role.rbac.authorization.k8s.io,RoleBinding.rbac.authorization.k8s.io,Service,ServiceAccount,StatefulSet.apps',
      },
    },
    data: { repository: 'acme/messaging', 'run-url': 'https://github.com/acme/messaging/actions/runs/4711' },
  });
});

test('a changed log level reaches the servers without a restart, in two writes to each pod and one of the ConfigMap', async () => {
  const before = await podUids();
  let changed: Ending | undefined;
  const writes = await world.writesDuring(async () => {
    changed = await world.apply({ log_level: 'debug' });
  });
  expect(changed?.log).toContain('Updated ConfigMap demo/nats: data.nats.conf\n');
  expect(changed?.outputs.changed).toBe('true');
  expect(await podUids()).toEqual(before);
  expect(writes.filter((write) => !/leases|inventory/.test(write)).sort()).toEqual([
    'PATCH /api/v1/namespaces/demo/configmaps/nats',
    ...['nats-0', 'nats-1', 'nats-2'].flatMap((pod) => {
      const write = `PATCH /api/v1/namespaces/demo/pods/${pod}`;
      return [write, write];
    }),
  ]);
});

test('a setting that needs a restart rolls the pods', async () => {
  const before = await podUids();
  const changed = await world.apply({ log_level: 'debug', fsync_interval_seconds: '5' });
  expect(changed.log).toContain('restart-hash');
  const after = await podUids();
  expect(after).toHaveLength(3);
  expect(after.filter((uid) => before.includes(uid))).toEqual([]);
});

test('another PKI mount is refused on a live cluster: clients and servers would part', async () => {
  const moved = await world.apply({ vault_internal_pki_backend_mount_path: 'pki/nats' });
  expect(moved.exitCode).toBe(1);
  expect(moved.errors[0]).toMatch(/from pki\/internal to pki\/nats.*Nothing was written/);
});

test('what is not wanted any more is removed: Issuers of the servers when a ClusterIssuer signs instead', async () => {
  const switched = await world.apply({ certificate_issuer: 'internal' });
  expect(switched.errors).toEqual([]);
  expect(switched.log).toContain('Deleted Issuer demo/nats-server-nats\n');
  const issuers = await world.kube('GET', '/apis/cert-manager.io/v1/namespaces/demo/issuers');
  expect(JSON.stringify(issuers)).not.toContain('nats-cluster-nats');
});

test('a ClusterIssuer of another CA is told: servers would not trust the clients', async () => {
  const parted = await world.apply({ certificate_issuer: 'foreign' });
  expect(parted.exitCode).toBe(1);
  expect(parted.errors[0]).toMatch(/Secret nats-admin-creds: the servers do not trust the CA that signed it/);
});

async function podUids(): Promise<string[]> {
  const list = await world.kube('GET', '/api/v1/namespaces/demo/pods');
  return digObjects(list, 'items')
    .map((pod) => digText(pod, 'metadata', 'uid'))
    .sort();
}
