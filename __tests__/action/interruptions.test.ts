import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { startMain } from '../../simulator/runner.ts';
import { dig, digText } from '../../src/json.ts';
import { startWorld, type World, writesTo } from './world.ts';

const LEASE = '/apis/coordination.k8s.io/v1/namespaces/demo/leases/nats';

let world: World;

beforeEach(async () => {
  world = await startWorld();
});

afterEach(() => world.close());

test.each([
  '/v1/pki/internal/roles/nats-reader-nats',
  '/serviceaccounts/issuer-nats',
  '/certificates/nats-admin-creds',
  '/statefulsets/nats',
])('a run that is killed at its write to %s is completed by the next', async (part) => {
  world.faults.add({ effect: 'hang', matches: writesTo(part) });
  const step = startMain(world.inputs);
  await world.requestTo(part, step);
  step.process.kill('SIGKILL');
  await step.ended;
  world.faults.clear();
  await world.kube('DELETE', LEASE);
  expect((await world.apply()).errors).toEqual([]);
  expect(await world.writesDuring(() => world.apply())).toEqual([]);
});

test.each(['4', '24'])(
  'a run that is killed between Vault and the Certificates of a lifetime of %s h is completed by the next',
  async (hours) => {
    await world.apply();
    const inputs = { ...world.inputs, vault_credential_lifetime_hours: hours };
    world.faults.add({ effect: 'hang', matches: writesTo('/certificates/nats-') });
    const step = startMain(inputs);
    await world.requestTo('/v1/pki/internal/roles/nats-admin-nats', step);
    await world.requestTo('/certificates/nats-admin-creds', step);
    step.process.kill('SIGKILL');
    await step.ended;
    world.faults.clear();
    await world.kube('DELETE', LEASE);
    expect((await world.apply(inputs)).errors).toEqual([]);
    const status = dig(
      await world.kube('GET', '/apis/cert-manager.io/v1/namespaces/demo/certificates/nats-admin-creds'),
      'status',
    );
    const issued = Date.parse(digText(status, 'notBefore'));
    const hoursLater = (field: string) => Math.round((Date.parse(digText(status, field)) - issued) / 3_600_000);
    expect(hoursLater('notAfter')).toBe(Number(hours));
    expect(hoursLater('renewalTime')).toBe(Number(hours) / 2);
    expect(await world.writesDuring(() => world.apply(inputs))).toEqual([]);
  },
);

test('a run that is killed before the servers load what it wrote is completed by the next, which has nothing to write', async () => {
  await world.close();
  // By themselves the kubelets bring it long after the next run.
  world = await startWorld({ speed: 0.1 });
  await world.apply();
  const isTouch = writesTo('/pods/nats-');
  const inputs = { ...world.inputs, log_level: 'debug' };
  // Later than the kubelets look, as the pods were written to before.
  world.faults.add({ effect: 'answer', status: 503, matches: writesTo('/configmaps/nats?'), times: 3 });
  world.faults.add({ effect: 'hang', matches: isTouch, nth: 4, times: 3 });
  const step = startMain(inputs);
  while (world.requests.filter(isTouch).length < 6) await new Promise((resolve) => setTimeout(resolve, 5));
  step.process.kill('SIGKILL');
  await step.ended;
  await world.kube('DELETE', LEASE);
  expect(world.nats.outdated()).toEqual(['nats-0', 'nats-1', 'nats-2']);
  const next = await world.apply(inputs);
  expect(next.errors).toEqual([]);
  expect(next.log).toContain('Nothing to change');
  expect(next.log).toMatch(/before the servers loaded ConfigMap demo\/nats: hastening nats-0, nats-1, nats-2/);
  expect(world.nats.outdated()).toEqual([]);
  expect(await world.writesDuring(() => world.apply(inputs))).toEqual([]);
});

test('a nats.conf that somebody edited is put back before a server has loaded the edit: no load is waited for in vain', async () => {
  await world.close();
  // By themselves the kubelets bring the edit long after the run.
  world = await startWorld({ speed: 0.1 });
  await world.apply();
  const path = '/api/v1/namespaces/demo/configmaps/nats';
  const { data } = Object(await world.kube('GET', path));
  const edited = { data: { 'nats.conf': `${data['nats.conf']}# edited` } };
  await world.kube('PATCH', `${path}?fieldManager=kubectl-edit`, edited, 'application/merge-patch+json');
  expect((await world.apply()).errors).toEqual([]);
  expect(await world.kube('GET', path)).toMatchObject({ data });
  expect(await world.writesDuring(() => world.apply())).toEqual([]);
});

test('a cancelled run ends within seconds, gives the lock back and says what stays', async () => {
  world.behaviour.unschedulable = true;
  const step = startMain(world.inputs);
  await world.requestTo('/statefulsets/nats', step);
  const cancelled = performance.now();
  step.process.kill('SIGINT');
  const ending = await step.ended;
  expect(performance.now() - cancelled).toBeLessThan(5_000);
  expect(ending.exitCode).toBe(1);
  expect(ending.errors[0]).toMatch(/cancelled \(SIGINT\).*the next run completes it/);
  expect(dig(await world.kube('GET', LEASE), 'spec', 'holderIdentity')).toBe('');
});

test.each([
  { name: '429 with Retry-After', fault: { effect: 'answer', status: 429, headers: { 'retry-after': '1' } } },
  { name: '503', fault: { effect: 'answer', status: 503 } },
  { name: 'a connection reset before the server acted', fault: { effect: 'reset-before' } },
  { name: 'a connection reset after the server acted', fault: { effect: 'reset-after' } },
] as const)('a write that meets $name is sent again', async ({ fault }) => {
  for (const part of ['/v1/sys/policies/acl/', '/issuers/nats-admin-nats', '/statefulsets/nats', '/leases']) {
    world.faults.add({ ...fault, matches: writesTo(part) });
  }
  const ending = await world.apply();
  expect(ending.errors).toEqual([]);
  expect(await world.writesDuring(() => world.apply())).toEqual([]);
});

test('a refused certificate ends the run with the refusal; the next run asks again at once', async () => {
  world.behaviour.refusedCertificates.set('nats-admin-creds', 'role does not allow this name');
  const refused = await world.apply();
  expect(refused.exitCode).toBe(1);
  expect(refused.errors[0]).toMatch(/Certificate demo\/nats-admin-creds.*role does not allow this name/);
  expect(refused.outputs.admin_creds_secret).toBe('nats-admin-creds');
  world.behaviour.refusedCertificates.clear();
  const next = await world.apply();
  expect(next.errors).toEqual([]);
  expect(next.log).toContain('Asked cert-manager to request Certificate nats-admin-creds again');
});

test('without wait the run ends when all is written', async () => {
  world.behaviour.unschedulable = true;
  const ending = await world.apply({ wait: 'false' });
  expect(ending).toMatchObject({ errors: [], exitCode: 0 });
  expect(ending.outputs.changed).toBe('true');
});
