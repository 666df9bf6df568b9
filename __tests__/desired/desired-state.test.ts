import { describe, expect, test } from '@jest/globals';
import { dump } from 'js-yaml';
import { inventoryId } from '../../src/desired/apply-set.ts';
import type { DesiredState } from '../../src/desired/state.ts';
import { isJsonObject, type Json } from '../../src/json.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import { NAME, objectIn, stateWith, valueAt } from './fixture.ts';

const VARIANTS = {
  'a newer server with monitoring': { nats_version: '2.14.6', monitoring_enabled: true },
  'one replica': { replicas: 1 },
  'another issuer for the servers': { certificate_issuer: 'internal' },
} as const;

describe('the whole desired state', () => {
  test('by default', () => {
    const state = stateWith();
    expect(state.objects.map(yaml).join('---\n')).toMatchSnapshot('objects');
    expect(yaml(state.vault)).toMatchSnapshot('vault');
    expect(state.notices).toEqual([]);
  });

  test.each(Object.entries(VARIANTS))('%s: what differs from the default', (_, overrides) => {
    expect(differences(stateWith(), stateWith(overrides))).toMatchSnapshot();
  });

  test('is the same bytes for the same inputs', () => {
    expect(JSON.stringify(stateWith())).toBe(JSON.stringify(stateWith()));
  });
});

describe('every object', () => {
  const state = stateWith({
    labels: { team: 'payments', 'app.kubernetes.io/name': 'hijacked' },
    monitoring_enabled: true,
  });

  test('is in the namespace, under a name of its own', () => {
    const keys = state.objects.map((object) => `${object.kind}/${object.metadata.name}`);
    expect(new Set(keys).size).toBe(keys.length);
    expect(new Set(state.objects.map((object) => object.metadata.namespace))).toEqual(new Set(['demo']));
  });

  test('carries the labels of the input, which replace none of the action', () => {
    for (const object of state.objects) {
      expect(object.metadata.labels).toMatchObject({
        team: 'payments',
        'app.kubernetes.io/name': 'nats',
        'app.kubernetes.io/instance': 'nats-1a2b3c4d',
        'app.kubernetes.io/managed-by': 'kube-nats-action',
        'applyset.kubernetes.io/part-of': inventoryId('demo', NAME),
      });
    }
  });

  test('keeps them from selectors and claims, which cannot change', () => {
    const selectors = state.objects.map((object) => valueAt(object, 'spec', 'selector'));
    const claims = valueAt(objectIn(state, 'StatefulSet'), 'spec', 'volumeClaimTemplates');
    expect(JSON.stringify([selectors, claims])).toMatch(/"app.kubernetes.io\/name":"nats"/);
    expect(JSON.stringify([selectors, claims])).not.toContain('payments');
  });

  test.each([
    ['three servers', { replicas: 3 }],
    ['one server', { replicas: 1 }],
    ['five servers, another issuer', { replicas: 5, certificate_issuer: 'internal' }],
  ] as const)('refers to nothing that is not there: %s', (_, overrides) => {
    expect(danglingReferences(stateWith({ ...overrides, monitoring_enabled: true }))).toEqual([]);
  });
});

function yaml(value: object): string {
  return dump(value, { lineWidth: -1, noRefs: true });
}

/** The objects of `next` that are not the same in `base`, and the names of those that are gone. */
function differences(base: DesiredState, next: DesiredState): string {
  const key = (object: KubeObject) => `${object.kind}/${object.metadata.name}`;
  const before = new Map(base.objects.map((object) => [key(object), yaml(object)]));
  const after = new Map(next.objects.map((object) => [key(object), yaml(object)]));
  const roles = (state: DesiredState) => state.vault.pkiRoles.map((role) => role.path.join('/'));
  return yaml({
    gone: [...before.keys()].filter((name) => !after.has(name)),
    changed: next.objects.filter((object) => before.get(key(object)) !== yaml(object)),
    vaultRolesGone: roles(base).filter((role) => !roles(next).includes(role)),
    policy: next.vault.policy.rules,
    notices: next.notices,
  });
}

/** References between objects, and from objects to Vault, that lead nowhere. */
function danglingReferences(state: DesiredState): string[] {
  const present = new Set([
    ...state.objects.map((object) => `${object.kind}/${object.metadata.name}`),
    ...state.objects.filter(({ kind }) => kind === 'Certificate').map((object) => `Secret/${object.metadata.name}`),
    ...state.vault.pkiRoles.map(({ path }) => `sign/${path.join('/').replace('/roles/', '/sign/')}`),
  ]);
  return state.objects
    .flatMap((object) => [...references(object)])
    .filter((reference) => !reference.startsWith('ClusterIssuer/') && !present.has(reference));
}

function* references(value: Json | undefined): Generator<string> {
  if (Array.isArray(value)) for (const item of value) yield* references(item);
  if (!isJsonObject(value)) return;
  const { issuerRef, serviceAccountRef, secretName, configMap, serviceName, vault } = value;
  if (isJsonObject(issuerRef)) yield `${issuerRef.kind}/${issuerRef.name}`;
  if (isJsonObject(serviceAccountRef)) yield `ServiceAccount/${serviceAccountRef.name}`;
  if (isJsonObject(configMap)) yield `ConfigMap/${configMap.name}`;
  if (isJsonObject(vault)) yield `sign/${vault.path}`;
  if (typeof secretName === 'string') yield `Secret/${secretName}`;
  if (typeof serviceName === 'string') yield `Service/${serviceName}`;
  for (const inner of Object.values(value)) yield* references(inner);
}
