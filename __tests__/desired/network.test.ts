import { describe, expect, test } from '@jest/globals';
import type { Inputs } from '../../src/inputs/table.ts';
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
    const peer = {
      podSelector: { matchLabels: { 'app.kubernetes.io/name': 'nats', 'app.kubernetes.io/instance': NAME } },
    };
    expect(openTo({})[6222]).toEqual([peer]);
    expect(openTo({ replicas: 1 })).not.toHaveProperty('6222');
  });

  test('of clients are open to everyone, or to those alone that the input names', () => {
    const shop = { podSelector: { matchLabels: { app: 'shop' } } };
    expect(openTo({})[4222]).toBe('everyone');
    expect(openTo({ network_policy_clients: [shop] })).toMatchObject({ 4222: [shop] });
  });

  test('of the metrics are open with monitoring only, to everyone', () => {
    const network_policy_clients = [{ podSelector: {} }];
    expect(openTo({ monitoring_enabled: true, network_policy_clients })[7777]).toBe('everyone');
    expect(openTo({ monitoring_enabled: false })).not.toHaveProperty('7777');
  });

  test('of the JSON monitoring is open to no pod', () => {
    for (const monitoring_enabled of [true, false]) expect(openTo({ monitoring_enabled })).not.toHaveProperty('8222');
  });

  test('are open as the cluster has them when there is no policy', () => {
    const { objects } = stateWith({ network_policy_enabled: false });
    expect(objects.filter(({ kind }) => kind === 'NetworkPolicy')).toEqual([]);
  });
});

/** From where each port may be reached. */
function openTo(overrides: Partial<Inputs>): { [port: string]: Json } {
  const rules = valueAt(objectIn(stateWith(overrides), 'NetworkPolicy'), 'spec', 'ingress');
  const open = (Array.isArray(rules) ? rules : []).flatMap((rule) =>
    ports(valueAt(rule, 'ports')).map((port): [string, Json] => [String(port), valueAt(rule, 'from') ?? 'everyone']),
  );
  return Object.fromEntries(open);
}

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
