import { describe, expect, test } from '@jest/globals';
import { isJsonObject, type Json } from '../../src/json.ts';
import { NAME, objectIn, stateWith, valueAt } from './fixture.ts';

describe('ports', () => {
  test.each([
    ['by default', {}, [4222, 8222], [4222, 6222, 8222]],
    ['with monitoring', { monitoring_enabled: true }, [4222, 8222, 7777], [4222, 6222, 8222]],
    ['of one server', { replicas: 1 }, [4222, 8222], [4222, 8222]],
  ] as const)('%s: for clients and for servers', (_, overrides, client, headless) => {
    const state = stateWith(overrides);
    expect(ports(valueAt(objectIn(state, 'Service'), 'spec', 'ports'))).toEqual(client);
    expect(ports(valueAt(objectIn(state, 'Service', `${NAME}-headless`), 'spec', 'ports'))).toEqual(headless);
  });

  test('of the servers among themselves are closed to everyone else', () => {
    const ingress = valueAt(objectIn(stateWith(), 'NetworkPolicy'), 'spec', 'ingress');
    expect(ports(valueAt(ingress, 0, 'ports'))).toEqual([4222, 8222]);
    expect(valueAt(ingress, 1)).toEqual({
      from: [
        { podSelector: { matchLabels: { 'app.kubernetes.io/name': 'nats', 'app.kubernetes.io/instance': NAME } } },
      ],
      ports: [{ port: 6222, protocol: 'TCP' }],
    });
  });

  test('of the metrics are open with monitoring only', () => {
    const open = (monitoring_enabled: boolean) =>
      ports(valueAt(objectIn(stateWith({ monitoring_enabled }), 'NetworkPolicy'), 'spec', 'ingress', 0, 'ports'));
    expect(open(true)).toContain(7777);
    expect(open(false)).not.toContain(7777);
  });
});

test('the servers find each other before any is ready', () => {
  expect(objectIn(stateWith(), 'Service', `${NAME}-headless`).spec).toMatchObject({
    clusterIP: 'None',
    publishNotReadyAddresses: true,
  });
});

test.each([
  [true, 1],
  [false, 0],
])('voluntary_disruptions_enabled %s lets %i server go', (voluntary_disruptions_enabled, maxUnavailable) => {
  const budget = objectIn(stateWith({ voluntary_disruptions_enabled }), 'PodDisruptionBudget');
  expect(budget.spec).toMatchObject({ maxUnavailable, unhealthyPodEvictionPolicy: 'AlwaysAllow' });
});

function ports(list: Json | undefined) {
  return Array.isArray(list) ? list.map((item) => (isJsonObject(item) ? item.port : undefined)) : [];
}
