import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { startMain } from '../../simulator/runner.ts';
import { digText } from '../../src/json.ts';
import { startWorld, type World, writesTo } from './world.ts';

let world: World;

beforeEach(async () => {
  world = await startWorld();
});

afterEach(() => world.close());

test('the lock of a killed run is taken over once it was not renewed for 30 s', async () => {
  world.faults.add({ effect: 'hang', matches: writesTo('/statefulsets/nats') });
  const step = startMain(world.inputs);
  await world.requestTo('/statefulsets/nats', step);
  step.process.kill('SIGKILL');
  await step.ended;
  const next = await world.apply();
  expect(next.errors).toEqual([]);
  expect(next.log).toMatch(/Waiting for another run that works on nats: .*\/actions\/runs\/4711/);
  expect(next.log).toContain('stopped renewing');
});

test('two runs at once on one cluster take turns', async () => {
  const [one, two] = await Promise.all([world.apply(), world.apply({ log_level: 'debug' })]);
  expect([one.errors, two.errors]).toEqual([[], []]);
  const holders = world.requests
    .filter(({ method, path, status }) => method !== 'GET' && path.includes('/leases') && status < 300)
    .map(({ body }) => digText(body, 'spec', 'holderIdentity'))
    .filter((holder, index, all) => holder !== all[index - 1]);
  expect(holders).toEqual([expect.any(String), '', expect.any(String), '']);
});
