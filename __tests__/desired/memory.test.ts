import { describe, expect, test } from '@jest/globals';
import { containerIn, stateWith, valueAt } from './fixture.ts';

describe('minimum_memory_mb', () => {
  test('at its default serves 2.10', () => {
    expect(requestOf({})).toEqual(['50Mi', []]);
  });

  test.each(['2.11.8', '2.12.8', '2.14.6'])('at its default is raised for %s', (nats_version) => {
    expect(requestOf({ nats_version })).toEqual([
      '256Mi',
      [
        {
          severity: 'notice',
          input: 'minimum_memory_mb',
          message: `Raised to 256 MiB: NATS ${nats_version} is killed for its memory in 50 MiB once a few streams are written.`,
        },
      ],
    ]);
  });

  test('stands when it was chosen, with a warning', () => {
    expect(requestOf({ nats_version: '2.14.6', minimum_memory_mb: 100 })).toEqual([
      '100Mi',
      [
        {
          severity: 'warning',
          input: 'minimum_memory_mb',
          message: 'NATS 2.14.6 is killed for its memory in 100 MiB once a few streams are written: set at least 256.',
        },
      ],
    ]);
  });

  test('stands at its default too when nothing may be adapted', () => {
    const [request, notices] = requestOf({ nats_version: '2.14.6', adapt: false });
    expect(request).toBe('50Mi');
    expect(notices).toMatchObject([{ severity: 'warning' }]);
  });
});

test('Go keeps to the memory that the pod really has, also when an autoscaler gives it more', () => {
  const server = containerIn(stateWith({ minimum_memory_mb: 100 }), 'nats');
  expect(valueAt(server, 'env')).toContainEqual({
    name: 'GOMEMLIMIT',
    valueFrom: { resourceFieldRef: { containerName: valueAt(server, 'name'), resource: 'requests.memory' } },
  });
});

function requestOf(overrides: Parameters<typeof stateWith>[0]) {
  const state = stateWith(overrides);
  return [valueAt(containerIn(state, 'nats'), 'resources', 'requests', 'memory'), state.notices];
}
