import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { startWorld, type World } from './world.ts';

let world: World;

beforeEach(async () => {
  world = await startWorld();
});

afterEach(() => world.close());

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
  expect(stuck.errors[0]).toMatch(
    /0 of 3 pods Ready; nats-0: not scheduled: 0\/\d nodes are available.*host_anti_affinity, zone_spread/,
  );
});
