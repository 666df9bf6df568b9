import { describe, expect, test } from '@jest/globals';
import { containerIn, NAME, objectIn, stateWith, valueAt } from './fixture.ts';

const SERVED = { verticalPodAutoscaler: true };

describe('the VerticalPodAutoscaler', () => {
  test('raises the servers, by evictions of those that need more', () => {
    expect(objectIn(stateWith({}, SERVED), 'VerticalPodAutoscaler').spec).toMatchObject({
      targetRef: { apiVersion: 'apps/v1', kind: 'StatefulSet', name: NAME },
      updatePolicy: {
        updateMode: 'Recreate',
        evictionRequirements: [{ resources: ['cpu', 'memory'], changeRequirement: 'TargetHigherThanRequests' }],
      },
    });
  });

  test('leaves alone every container but the server', () => {
    const state = stateWith({ monitoring_enabled: true }, SERVED);
    const policies = valueAt(objectIn(state, 'VerticalPodAutoscaler').spec, 'resourcePolicy', 'containerPolicies');
    const containers = ['nats', 'reloader', 'exporter'];
    expect(containers.map((name) => containerIn(state, name))).not.toContain(undefined);
    expect(policies).toEqual([
      { containerName: 'nats', minAllowed: { memory: '50Mi' } },
      { containerName: 'reloader', mode: 'Off' },
      { containerName: 'exporter', mode: 'Off' },
    ]);
  });

  test.each([
    [{ minimum_memory_mb: 2048 }, '2Gi'],
    [{ nats_version: '2.14.6' }, '256Mi'],
  ])('goes no lower than the memory that the servers ask for: %j', (overrides, memory) => {
    const state = stateWith(overrides, SERVED);
    const policies = valueAt(objectIn(state, 'VerticalPodAutoscaler').spec, 'resourcePolicy', 'containerPolicies');
    expect(valueAt(policies, 0, 'minAllowed')).toEqual({ memory });
    expect(valueAt(containerIn(state, 'nats'), 'resources', 'requests')).toMatchObject({ memory });
  });

  test.each([
    ['is not wanted', { vpa_enabled: false }, SERVED],
    ['cannot be had', {}, { verticalPodAutoscaler: false }],
  ])('is not made where it %s', (_, overrides, facts) => {
    const kinds = stateWith(overrides, facts).objects.map(({ kind }) => kind);
    expect(kinds).not.toContain('VerticalPodAutoscaler');
  });
});
