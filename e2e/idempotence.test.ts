import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type Ending, runMain, startMain } from '../simulator/runner.ts';
import { digText } from '../src/json.ts';
import { auditWrites, hasAuditLog, kube, waitFor } from './cluster.ts';
import { asRoot } from './deployer.ts';
import { leaveNamespace, withoutNamespace } from './namespace.ts';
import { metaGroup, podsOf } from './observe.ts';
import { expectNoWrite, run } from './runs.ts';

const namespace = 'e2e-again';
const inputs = { ...asRoot(), namespace, create_namespace: 'true', nats_version: '2.14.6' };
const ofTheAction = { userAgent: 'kube-nats-action/' };

beforeAll(() => withoutNamespace(namespace));

afterAll(async () => {
  await leaveNamespace(namespace);
  kube.close();
});

let completed: Ending;

it('completes what a run left that was killed in the middle of its writes', async () => {
  const killed = startMain(inputs);
  await waitFor(() => killed.printed().includes('Created Certificate'), 'the run has written a Certificate', 60_000);
  killed.process.kill('SIGKILL');
  expect((await killed.ended).exitCode).toBeNull();
  expect(await kube.list(`/apis/apps/v1/namespaces/${namespace}/statefulsets`)).toEqual([]);

  completed = await runMain({ ...inputs, create_namespace: 'false' });
  console.log(`after a killed run, its lock included: ${completed.seconds.toFixed(1)} s`);
  expect(completed).toMatchObject({ exitCode: 0, errors: [] });
  expect(completed.log).toContain('Created StatefulSet');
  const pods = await podsOf(completed.outputs);
  expect(pods.map(({ ready }) => ready)).toEqual([true, true, true]);
  expect((await metaGroup(completed.outputs)).current).toHaveLength(3);
});

it('writes nothing when everything is as the inputs say, and says so', async () => {
  const since = new Date();
  const again = await runMain({ ...inputs, create_namespace: 'false' });
  console.log(`a second run with the same inputs: ${again.seconds.toFixed(1)} s`);
  expect(again).toMatchObject({ exitCode: 0, errors: [], outputs: { ...completed.outputs, changed: 'false' } });
  expect(again.log).toContain('Nothing to change: no write to Kubernetes or Vault.');
  if (hasAuditLog()) expect(await auditWrites(since, ofTheAction)).toEqual([]);
});

it('writes only what differs', async () => {
  const since = new Date();
  const changed = await runMain({ ...inputs, create_namespace: 'false', vault_credential_lifetime_hours: '24' });
  expect(changed).toMatchObject({ exitCode: 0, errors: [], outputs: { changed: 'true' } });
  if (!hasAuditLog()) return;
  const written = (await auditWrites(since, ofTheAction)).map(({ uri }) => uri.replace(/\?.*/, ''));
  const name = completed.outputs.name;
  const expected = ['superuser', 'admin', 'reader'].flatMap((role) => [
    `/apis/cert-manager.io/v1/namespaces/${namespace}/certificates/${name}-${role}-creds`,
    `/api/v1/namespaces/vault/services/http:vault-active:8200/proxy/v1/pki/internal/roles/nats-${role}-${name}`,
  ]);
  const upkeep = new RegExp(`/leases(/|$)|/configmaps/${name}-inventory$`);
  expect(written.filter((uri) => !upkeep.test(uri)).sort()).toEqual(expected.sort());
});

it('puts a nats.conf back that somebody has just edited, and waits for no load that does not come', async () => {
  const path = `/api/v1/namespaces/${namespace}/configmaps/${completed.outputs.name}`;
  const { data } = await kube.get(path);
  const edited = { 'nats.conf': `${digText(data, 'nats.conf')}# edited\n` };
  await kube.patch(`${path}?fieldManager=kubectl-edit`, { data: edited });
  const again = { ...inputs, create_namespace: 'false', vault_credential_lifetime_hours: '24' };
  const ending = await run(again);
  console.log(`after an edit of nats.conf: ${ending.seconds.toFixed(1)} s`);
  expect((await kube.get(path)).data).toEqual(data);
  await expectNoWrite(again);
});
