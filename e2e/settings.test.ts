import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runMain, type Values } from '../simulator/runner.ts';
import { dig, digObjects, digText, type JsonObject } from '../src/json.ts';
import { kube, vault } from './cluster.ts';
import { asRoot } from './deployer.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';
import { logOf, podsOf, reportOf } from './observe.ts';

const namespace = 'e2e-settings';
const SECOND = 1_000_000_000;

let outputs: Values;
let pod: string;
let varz: JsonObject;

/** None of these is the default. */
const settings: Values = {
  replicas: '1',
  name: 'events',
  helm_version: '9.0.28',
  log_level: 'trace',
  minimum_memory_mb: '320',
  max_connections: '1234',
  max_control_line_kb: '8',
  max_payload_mb: '4',
  max_outstanding_catchup_mb: '256',
  fsync_interval_seconds: '7',
  ping_interval_seconds: '15',
  write_deadline_seconds: '20',
  labels: 'team: payments',
  persistence_storage_class_name: 'standard',
  vault_internal_pki_backend_mount_path: 'pki/nats',
  vault_credential_lifetime_hours: '4',
  vault_token_bound_cidrs: '10.244.0.0/16',
};

beforeAll(async () => {
  await emptyNamespace(namespace);
  const ending = await runMain({ ...asRoot(), namespace, ...settings });
  expect(ending.errors).toEqual([]);
  outputs = ending.outputs;
  pod = (await podsOf(outputs))[0]?.name ?? '';
  varz = await reportOf(namespace, pod, '/varz');
});

afterAll(async () => {
  await leaveNamespace(namespace);
  kube.close();
});

const inNamespace = (path: string): Promise<JsonObject> =>
  kube.get(path.replace('NAMESPACE', `namespaces/${namespace}`));

describe('a server', () => {
  it('is of the version that the chart ships', () => {
    expect(varz.version).toBe('2.11.8');
  });

  it('runs under the limits and intervals of the inputs', () => {
    expect(varz).toMatchObject({
      max_connections: 1234,
      max_control_line: 8 * 1024,
      max_payload: 4 * 1024 * 1024,
      ping_interval: 15 * SECOND,
      write_deadline: 20 * SECOND,
    });
  });

  it('syncs and catches up as the inputs say', async () => {
    const { data } = await inNamespace(`/api/v1/NAMESPACE/configmaps/${outputs.name}`);
    expect(dig(varz, 'jetstream', 'config', 'sync_interval')).toBe(7 * SECOND);
    expect(digText(data, 'nats.conf')).toMatch(/max_outstanding_catchup: 268435456/);
  });

  it('logs as much as it was told to', async () => {
    expect(await logOf(namespace, pod)).toMatch(/\[DBG\]/);
  });

  it('has the memory of the input, and a tenth more as its limit', async () => {
    const { spec } = await inNamespace(`/api/v1/NAMESPACE/pods/${pod}`);
    const [container] = digObjects(spec, 'containers').filter(({ name }) => name === 'nats');
    expect(dig(container, 'resources')).toMatchObject({ requests: { memory: '320Mi' }, limits: { memory: '352Mi' } });
  });

  it('keeps its data on a volume of the StorageClass', async () => {
    const { spec } = await inNamespace(`/api/v1/NAMESPACE/persistentvolumeclaims/data-${pod}`);
    expect(dig(spec, 'storageClassName')).toBe('standard');
  });
});

describe('the credentials', () => {
  it('come from the PKI mount, live as long as the input says, and are renewed at half of it', async () => {
    const { status } = await inNamespace(
      `/apis/cert-manager.io/v1/NAMESPACE/certificates/${outputs.admin_creds_secret}`,
    );
    const { data } = await inNamespace(`/api/v1/NAMESPACE/secrets/${outputs.admin_creds_secret}`);
    const pem = (key: string) => new X509Certificate(Buffer.from(digText(data, key), 'base64'));
    const leaf = pem('tls.crt');
    const hoursAfterIssue = (date: Date) => Math.round((date.getTime() - leaf.validFromDate.getTime()) / 3_600_000);
    expect(hoursAfterIssue(leaf.validToDate)).toBe(4);
    expect(hoursAfterIssue(new Date(digText(status, 'renewalTime')))).toBe(2);
    const mount = await vault().call('GET', 'pki/nats/cert/ca');
    const authority = new X509Certificate(digText(mount, 'data', 'certificate'));
    expect(leaf.verify(authority.publicKey)).toBe(true);
  });

  it('are issued to who asks from the networks of the input', async () => {
    const role = await vault().call('GET', `auth/kubernetes/role/${namespace}-issuer-${outputs.name}`);
    expect(dig(role, 'data', 'token_bound_cidrs')).toEqual(['10.244.0.0/16']);
  });

  it('let the cert-manager of the input ask for them, and nobody else', async () => {
    const { subjects } = await inNamespace(
      `/apis/rbac.authorization.k8s.io/v1/NAMESPACE/rolebindings/issuer-${outputs.name}`,
    );
    expect(subjects).toEqual([{ kind: 'ServiceAccount', name: 'cert-manager', namespace: 'cert-manager' }]);
  });
});

it('carries the labels of the input on every object', async () => {
  const objects = await Promise.all([
    inNamespace(`/apis/apps/v1/NAMESPACE/statefulsets/${outputs.name}`),
    inNamespace(`/api/v1/NAMESPACE/services/${outputs.name}`),
    inNamespace(`/api/v1/NAMESPACE/pods/${pod}`),
    inNamespace(`/apis/cert-manager.io/v1/NAMESPACE/issuers/nats-admin-${outputs.name}`),
  ]);
  expect(objects.map(({ metadata }) => digText(metadata, 'labels', 'team'))).toEqual(Array(4).fill('payments'));
});
