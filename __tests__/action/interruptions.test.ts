import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { startMain } from '../../e2e/action.ts';
import type { RecordedRequest } from '../../simulator/http.ts';
import { startWorld, type World } from './world.ts';

const LEASE = '/apis/coordination.k8s.io/v1/namespaces/demo/leases/nats';

let world: World;

beforeEach(async () => {
  world = await startWorld();
});

afterEach(() => world.close());

const writesTo = (part: string) => (request: RecordedRequest) =>
  request.method !== 'GET' && !request.path.includes('dryRun') && request.path.includes(part);

test.each([
  '/v1/pki/internal/roles/nats-reader-nats',
  '/serviceaccounts/issuer-nats',
  '/certificates/nats-admin-creds',
  '/statefulsets/nats',
])('a run that is killed at its write to %s is completed by the next', async (part) => {
  world.faults.add({ effect: 'hang', matches: writesTo(part) });
  const step = startMain(world.inputs);
  await requestTo(part);
  step.process.kill('SIGKILL');
  await step.ended;
  world.faults.clear();
  await world.kube('DELETE', LEASE);
  expect((await world.apply()).errors).toEqual([]);
  expect(await world.writesDuring(() => world.apply())).toEqual([]);
});

test('the lock of a killed run is taken over once it was not renewed for 30 s', async () => {
  world.faults.add({ effect: 'hang', matches: writesTo('/statefulsets/nats') });
  const step = startMain(world.inputs);
  await requestTo('/statefulsets/nats');
  step.process.kill('SIGKILL');
  await step.ended;
  const next = await world.apply();
  expect(next.errors).toEqual([]);
  expect(next.log).toMatch(/Waiting for another run that works on nats: .*\/actions\/runs\/4711/);
  expect(next.log).toContain('stopped renewing');
});

test('a cancelled run ends within seconds, gives the lock back and says what stays', async () => {
  world.behaviour.unschedulable = true;
  const step = startMain(world.inputs);
  await requestTo('/statefulsets/nats');
  const cancelled = performance.now();
  step.process.kill('SIGINT');
  const ending = await step.ended;
  expect(performance.now() - cancelled).toBeLessThan(5_000);
  expect(ending.exitCode).toBe(1);
  expect(ending.errors[0]).toMatch(/cancelled \(SIGINT\).*the next run completes it/);
  const lease = await (await world.kube('GET', LEASE)).json();
  expect(lease.spec.holderIdentity).toBe('');
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

test('an image that does not exist ends the run early, with the pod and the inputs to look at', async () => {
  world.behaviour.missingImages.add('registry.example/nats:typo');
  const stuck = await world.apply({ nats_image: 'registry.example/nats:typo' });
  expect(stuck.exitCode).toBe(1);
  expect(stuck.errors[0]).toMatch(/pod demo\/nats-\d, container nats: .*ImagePull.*nats_image/);
  expect(stuck.seconds).toBeLessThan(60);
});

test('pods that fit on no node are told while waiting, and at the end of timeout', async () => {
  world.behaviour.unschedulable = true;
  const stuck = await world.apply({ timeout: '30' });
  expect(stuck.errors[0]).toMatch(/0 of 3 pods Ready; nats-0: not scheduled: 0\/\d nodes are available/);
});

test('without wait the run ends when all is written', async () => {
  world.behaviour.unschedulable = true;
  const ending = await world.apply({ wait: 'false' });
  expect(ending).toMatchObject({ errors: [], exitCode: 0 });
  expect(ending.outputs.changed).toBe('true');
});

test('two runs at once on one cluster take turns', async () => {
  const [one, two] = await Promise.all([world.apply(), world.apply({ log_level: 'debug' })]);
  expect([one.errors, two.errors]).toEqual([[], []]);
  const holders = world.requests
    .filter(({ method, path, status }) => method !== 'GET' && path.includes('/leases') && status < 300)
    .map(({ body }) => JSON.parse(JSON.stringify(body)).spec.holderIdentity)
    .filter((holder, index, all) => holder !== all[index - 1]);
  expect(holders).toEqual([expect.any(String), '', expect.any(String), '']);
});

/** Resolves when the action has sent a write there. */
async function requestTo(part: string): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!world.requests.some(writesTo(part))) {
    if (Date.now() > deadline) throw new Error(`No write to ${part} was seen`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
