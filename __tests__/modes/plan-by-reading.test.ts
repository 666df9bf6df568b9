import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bothPlans } from '../../e2e/both-plans.ts';
import type { Values } from '../../simulator/runner.ts';
import { startWorld, type World } from '../action/world.ts';

const EVERYTHING = { monitoring_enabled: 'true', voluntary_disruption_window_enabled: 'true' };

let world: World;

beforeAll(async () => {
  world = await startWorld({
    apiGroups: ['autoscaling.k8s.io', 'monitoring.coreos.com', 'kyverno.io', 'velero.io'],
    namespaces: ['demo', 'node-image-cache'],
  });
  const cache = { metadata: { name: 'pinned-images-amd64' } };
  await world.kube('POST', '/api/v1/namespaces/node-image-cache/configmaps', cache);
  expect((await world.apply(EVERYTHING)).errors).toEqual([]);
}, 120_000);

afterAll(() => world.close());

async function expectEqualPlans(overrides: Values): Promise<string[]> {
  const { reading, dryRun } = await bothPlans({ ...world.inputs, ...overrides });
  expect(reading).toEqual(dryRun);
  return reading;
}

/** Other values of inputs than those that the cluster was made with, of all that reach an object. */
const VALUES: { [input: string]: string[] } = {
  replicas: ['5'],
  nats_version: ['2.10.29', '2.14.6'],
  log_level: ['debug'],
  minimum_memory_mb: ['1000', '1024', '333'],
  max_payload_mb: ['16'],
  fsync_interval_seconds: ['0', '30'],
  labels: ['team: a', '{ team: b, tier: "2" }'],
  monitoring_enabled: ['false'],
  network_policy_enabled: ['false'],
  network_policy_clients: ['[{ podSelector: { matchLabels: { app: x } } }, { ipBlock: { cidr: 10.0.0.0/8 } }]'],
  vpa_enabled: ['false'],
  persistence_backups_enabled: ['false'],
  sla_target: ['1'],
  host_anti_affinity: ['preferred', 'off'],
  zone_spread: ['preferred', 'off'],
  arm_nodes_enabled: ['false'],
  burstable_nodes_enabled: ['true'],
  spot_nodes_enabled: ['false'],
  controller_nodes_enabled: ['true'],
  panfactum_scheduler_enabled: ['false'],
  voluntary_disruptions_enabled: ['false'],
  voluntary_disruption_window_enabled: ['false'],
  voluntary_disruption_window_cron_schedule: ['30 2 * * 6'],
  voluntary_disruption_window_seconds: ['7200'],
  vault_credential_lifetime_hours: ['24', '168'],
  reader_access: ['consuming'],
  vault_token_bound_cidrs: ['10.0.0.0/8'],
  certificate_issuer: ['internal'],
  nats_image: ['registry.example/nats:2.10.26'],
  exporter_image: ['registry.example/exporter:1'],
  pull_through_cache_enabled: ['true'],
  node_image_cached_enabled: ['false'],
};

const changes = fc.record(
  Object.fromEntries(Object.entries(VALUES).map(([input, values]) => [input, fc.constantFrom(...values)])),
  { requiredKeys: [] },
);

describe('a plan by reading alone', () => {
  test('is empty for the inputs that were applied', async () => {
    expect(await expectEqualPlans(EVERYTHING)).toEqual([]);
  });

  test.each(Object.entries(VALUES).flatMap(([input, values]) => values.map((value) => [input, value] as const)))(
    'names the objects and fields that a dry run does: %s %s',
    async (input, value) => {
      expect((await expectEqualPlans({ ...EVERYTHING, [input]: value })).length).toBeGreaterThan(0);
    },
  );

  test('names the objects and fields that a dry run does: many inputs at once', async () => {
    await fc.assert(
      fc.asyncProperty(changes, async (overrides) => {
        const isContradiction =
          overrides.network_policy_enabled === 'false' && overrides.network_policy_clients !== undefined;
        fc.pre(!isContradiction);
        await expectEqualPlans({ ...EVERYTHING, ...overrides });
      }),
      { numRuns: 20 },
    );
  }, 120_000);
});
