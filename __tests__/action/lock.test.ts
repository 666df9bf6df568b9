import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { resourceOf } from '../../simulator/kubernetes/resources.ts';
import { startMain } from '../../simulator/runner.ts';
import { digText } from '../../src/json.ts';
import { startWorld, type World, writesTo } from './world.ts';

let world: World;

beforeEach(async () => {
  world = await startWorld();
});

afterEach(() => world.close());

test('the lock of a killed run is taken over once it was not renewed for a minute', async () => {
  world.faults.add({ effect: 'hang', matches: writesTo('/statefulsets/nats') });
  const step = startMain(world.inputs);
  await world.requestTo('/statefulsets/nats', step);
  step.process.kill('SIGKILL');
  await step.ended;
  const next = await world.apply({ timeout: '120' });
  expect(next.errors).toEqual([]);
  expect(next.log).toMatch(/Waiting for another run that works on nats: .*\/actions\/runs\/4711/);
  expect(next.log).toContain('stopped renewing');
}, 120_000);

test('two runs at once on one cluster take turns', async () => {
  const [one, two] = await Promise.all([world.apply(), world.apply({ log_level: 'debug' })]);
  expect([one.errors, two.errors]).toEqual([[], []]);
  const holders = world.requests
    .filter(({ method, path, status }) => method !== 'GET' && path.includes('/leases') && status < 300)
    .map(({ body }) => digText(body, 'spec', 'holderIdentity'))
    .filter((holder, index, all) => holder !== all[index - 1]);
  expect(holders).toEqual([expect.any(String), '', expect.any(String), '']);
});

describe('a run that has nothing to change', () => {
  beforeEach(async () => {
    expect((await world.apply()).errors).toEqual([]);
  });

  /** "PATCH /certificates/nats-admin-creds", without the Lease's renewals. */
  const shortened = (writes: string[]) =>
    writes
      .map((write) => write.replace(/\/apis?\/.*\/namespaces\/demo/, ''))
      .filter((write, index, all) => write !== all[index - 1]);
  const LEASE = 'PUT /leases/nats';

  test('takes the lock before it asks for a refused certificate again', async () => {
    world.behaviour.refusedCertificates.set('nats-admin-creds', 'no');
    await world.kube('DELETE', '/api/v1/namespaces/demo/secrets/nats-admin-creds');
    await waitFor(() => JSON.stringify(world.cluster.store.list(resourceOf('Certificate'))).includes('"Failed"'));
    world.behaviour.refusedCertificates.clear();
    const writes = await world.writesDuring(async () => expect((await world.apply()).errors).toEqual([]));
    expect(shortened(writes)).toEqual([LEASE, 'PATCH /certificates/nats-admin-creds/status', LEASE]);
    expect(await world.writesDuring(() => world.apply())).toEqual([]);
  });

  test('takes the lock before it restarts a server, and another one that sees the same restarts none', async () => {
    const uid = world.cluster.get({ resource: resourceOf('Pod'), namespace: 'demo', name: 'nats-2' }).metadata.uid;
    world.behaviour.natsMetaLeader = false;
    const writes = await world.writesDuring(async () => {
      const steps = [startMain(world.inputs), startMain(world.inputs)];
      for (const step of steps) await world.printed('JetStream has no meta leader', step);
      world.behaviour.natsOutsiders.add(uid);
      world.behaviour.natsMetaLeader = true;
      for (const { ended } of steps) {
        const { errors, log, outputs } = await ended;
        expect(errors).toEqual([]);
        expect(log).toContain('something to do all the same: restart nats-2');
        expect(outputs.changed).toBe(String(log.includes('Deleted Pod demo/nats-2')));
      }
    });
    expect(shortened(writes)).toEqual([LEASE, 'DELETE /pods/nats-2', LEASE]);
  });
});

async function waitFor(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}
