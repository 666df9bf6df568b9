import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type Ending, type Step, startMain, type Values } from '../../simulator/runner.ts';
import { dig } from '../../src/json.ts';
import { startWorld, type World, writesTo } from './world.ts';

const LEASE = '/apis/coordination.k8s.io/v1/namespaces/demo/leases/nats';

/** Milliseconds after SIGINT at which a runner sends SIGTERM: a run that is left alone takes a third of that. */
const BOUND = 7_500;

/** A write of each sort, in the order in which an apply makes them. */
const WRITES = [
  '/namespaces/demo/leases',
  '/configmaps/nats-inventory',
  '/v1/sys/policies/acl/',
  '/v1/auth/kubernetes/role/',
  '/issuers/nats-server-nats',
  '/certificates/nats-reader-creds',
  '/statefulsets/nats',
];

let world: World;
let inputs: Values;
let restore: () => void;

beforeAll(async () => {
  world = await startWorld();
  await world.vaultRequest('POST', 'auth/approle/role/deployer', { token_policies: ['root'], token_ttl: '1h' });
  const read = async (method: string, what: string) =>
    String(dig(await world.vaultRequest(method, `auth/approle/role/deployer/${what}`), 'data', what.replace('-', '_')));
  inputs = {
    ...world.inputs,
    vault_auth_method: 'approle',
    vault_token: '',
    vault_role_id: await read('GET', 'role-id'),
    vault_secret_id: await read('POST', 'secret-id'),
  };
  restore = world.snapshot();
});

beforeEach(() => {
  restore();
  world.requests.length = 0;
});

afterAll(() => world.close());

/** Sends the signal, and tells how the step ends and how long it takes to. */
async function cancel(step: Step, signal: NodeJS.Signals): Promise<Ending & { milliseconds: number }> {
  const sent = performance.now();
  step.process.kill(signal);
  const ending = await step.ended;
  return { ...ending, milliseconds: performance.now() - sent };
}

async function isLockFree(): Promise<boolean> {
  const lease = await world.kube('GET', LEASE).catch(() => null);
  return lease === null || dig(lease, 'spec', 'holderIdentity') === '';
}

test.each(WRITES)(
  'cancelled while %s hangs, a run ends in seconds, gives all back and is completed by the next',
  async (part) => {
    world.faults.add({ effect: 'hang', matches: writesTo(part) });
    const step = startMain(inputs);
    await world.requestTo(part, step);
    const ending = await cancel(step, 'SIGINT');
    console.log(`${part}: ended ${Math.round(ending.milliseconds)} ms after SIGINT`);
    expect(ending.milliseconds).toBeLessThan(BOUND);
    expect(ending.exitCode).toBe(1);
    expect(ending.errors).toEqual([expect.stringMatching(/cancelled \(SIGINT\).*the next run completes it/)]);
    expect(await isLockFree()).toBe(true);
    expect(world.vault.tokens.alive).toEqual([]);
    expect((await world.post(ending, inputs)).log).toBe('');
    world.faults.clear();
    expect((await startMain(inputs).ended).errors).toEqual([]);
  },
);

test('a cancelled run tells what it wrote and what not', async () => {
  world.faults.add({ effect: 'hang', matches: writesTo('/statefulsets/nats') });
  const step = startMain(inputs);
  await world.requestTo('/statefulsets/nats', step);
  const { log, summary } = await cancel(step, 'SIGTERM');
  expect(log).toContain('Created Certificate demo/nats-admin-creds\n');
  expect(log).toContain('Not written, or not confirmed: StatefulSet demo/nats\n');
  expect(summary).toContain('| create | `Certificate demo/nats-admin-creds` |');
  expect(summary).toContain('### Not written, or not confirmed\n\n| Object |\n| --- |\n| `StatefulSet demo/nats` |');
});

test('a cancelled run sends nothing more but what gives the lock and the token back', async () => {
  world.faults.add({ effect: 'hang', matches: writesTo('/issuers/nats-admin-nats') });
  const step = startMain(inputs);
  await world.requestTo('/issuers/nats-admin-nats', step);
  await cancel(step, 'SIGINT');
  const first = world.requests.findIndex(writesTo('/issuers/'));
  const sent = world.requests.slice(first).map(({ method, path }) => `${method} ${path.split('?')[0]}`);
  expect(sent.filter((request) => !/^PATCH .*\/issuers\//.test(request))).toEqual([
    `PUT ${LEASE}`,
    expect.stringMatching(/^POST .*\/v1\/auth\/token\/revoke-self$/),
  ]);
});

test('a run ends in seconds also when nothing answers any more; the post step still has the token', async () => {
  const step = startMain(inputs);
  await world.requestTo('/issuers/nats-admin-nats', step);
  world.faults.add({ effect: 'hang', matches: () => true, times: Number.POSITIVE_INFINITY });
  const ending = await cancel(step, 'SIGINT');
  console.log(`nothing answers: ended ${Math.round(ending.milliseconds)} ms after SIGINT`);
  expect(ending.milliseconds).toBeLessThan(BOUND);
  expect(ending.errors[0]).toMatch(/cancelled/);
  expect(ending.log).toContain('could not be released');
  world.faults.clear();
  expect((await world.post(ending, inputs)).log).toContain('Revoked the Vault token');
  expect(world.vault.tokens.alive).toEqual([]);
});

test('a second signal ends a run at once', async () => {
  world.faults.add({ effect: 'hang', matches: () => true, nth: 5, times: Number.POSITIVE_INFINITY });
  const step = startMain(inputs);
  while (world.requests.length < 5) await new Promise((resolve) => setTimeout(resolve, 5));
  step.process.kill('SIGINT');
  // Of two signals at once either may come first.
  while (!step.printed().includes('Cancelled (SIGINT)')) await new Promise((resolve) => setTimeout(resolve, 5));
  const ending = await cancel(step, 'SIGTERM');
  expect(ending.exitCode).toBe(1);
  expect(ending.errors).toEqual([expect.stringMatching(/second signal \(SIGTERM\)/)]);
});
