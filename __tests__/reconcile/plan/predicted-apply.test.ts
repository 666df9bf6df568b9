import { describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../../src/json.ts';
import type { KubeObject } from '../../../src/kube/object.ts';
import { predictApply } from '../../../src/reconcile/plan/predicted-apply.ts';

interface Manager {
  manager?: string;
  operation?: string;
  fieldsV1: JsonObject;
}

/** An object as it is stored, with who holds what of it: this action unless it says otherwise. */
function stored(fields: JsonObject, ...managers: Manager[]): KubeObject {
  const managedFields = managers.map((entry) => ({ manager: 'kube-nats-action', operation: 'Apply', ...entry }));
  return { apiVersion: 'v1', kind: 'Thing', metadata: { name: 'a', namespace: 'demo', managedFields }, ...fields };
}

const wanted = (fields: JsonObject): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Thing',
  metadata: { name: 'a', namespace: 'demo' },
  ...fields,
});

const LEAF = {};

function becomes(live: KubeObject, fields: JsonObject): JsonObject {
  const {
    apiVersion: _version,
    kind: _kind,
    metadata: _metadata,
    ...rest
  } = predictApply(live, wanted(fields), {}).object;
  return rest;
}

describe('what this action held and does not want any more', () => {
  const spec = { a: 1, b: 2 };
  const own = { 'f:spec': { 'f:a': LEAF, 'f:b': LEAF } };

  test('goes', () => {
    expect(becomes(stored({ spec }, { fieldsV1: own }), { spec: { a: 1 } })).toEqual({ spec: { a: 1 } });
  });

  test('goes with what the API server filled in below it', () => {
    const probe = { httpGet: { path: '/', scheme: 'HTTP' } };
    const live = stored({ probe }, { fieldsV1: { 'f:probe': { 'f:httpGet': { 'f:path': LEAF } } } });
    expect(becomes(live, { probe: { exec: { command: ['true'] } } })).toEqual({
      probe: { exec: { command: ['true'] } },
    });
  });

  test('stays where another manager holds it too', () => {
    const live = stored({ spec }, { fieldsV1: own }, { manager: 'helm', fieldsV1: { 'f:spec': { 'f:b': LEAF } } });
    expect(becomes(live, { spec: { a: 1 } })).toEqual({ spec });
  });

  test('stays where nobody but another manager holds it', () => {
    const live = stored({ spec }, { fieldsV1: { 'f:spec': { 'f:a': LEAF } } });
    expect(becomes(live, { spec: { a: 1 } })).toEqual({ spec });
  });
});

describe('a list', () => {
  const byName = (...names: string[]) =>
    Object.fromEntries(names.map((name) => [`k:{"name":"${name}"}`, { '.': LEAF, 'f:name': LEAF, 'f:image': LEAF }]));
  const item = (name: string, image = '1') => ({ name, image });

  test('of which the managers hold items is merged by their keys, and others keep theirs', () => {
    const live = stored(
      { containers: [item('theirs'), { ...item('a'), policy: 'Always' }, item('gone')] },
      { fieldsV1: { 'f:containers': byName('a', 'gone') } },
      { manager: 'injector', operation: 'Update', fieldsV1: { 'f:containers': byName('theirs') } },
    );
    expect(becomes(live, { containers: [item('a', '2'), item('new')] })).toEqual({
      containers: [item('theirs'), { ...item('a', '2'), policy: 'Always' }, item('new')],
    });
  });

  test('that is held whole is replaced whole', () => {
    const live = stored({ names: ['a', 'b'] }, { fieldsV1: { 'f:names': LEAF } });
    expect(becomes(live, { names: ['c'] })).toEqual({ names: ['c'] });
  });

  test('that is a set is merged by its values', () => {
    const live = stored({ names: ['a', 'b', 'theirs'] }, { fieldsV1: { 'f:names': { 'v:"a"': LEAF, 'v:"b"': LEAF } } });
    expect(becomes(live, { names: ['b', 'c'] })).toEqual({ names: ['b', 'c', 'theirs'] });
  });

  test('that nobody holds, as after a restore, keeps what the API server filled in', () => {
    const live = stored({ ports: [{ port: 1, protocol: 'TCP' }] });
    expect(becomes(live, { ports: [{ port: 1 }] })).toEqual({ ports: [{ port: 1, protocol: 'TCP' }] });
  });
});

describe('a map that is held whole', () => {
  const live = stored(
    { selector: { app: 'a', tier: 'b' }, source: { apiVersion: 'v1', fieldPath: 'x' } },
    { fieldsV1: { 'f:selector': LEAF, 'f:source': LEAF } },
  );

  test('loses what is not wanted, but for what the API server fills in', () => {
    expect(becomes(live, { selector: { app: 'a' }, source: { fieldPath: 'x' } })).toEqual({
      selector: { app: 'a' },
      source: { apiVersion: 'v1', fieldPath: 'x' },
    });
  });
});

test('an empty value that was applied before, and that the API server does not store, is no difference', () => {
  const live = stored({ spec: { a: 1 } }, { fieldsV1: { 'f:spec': { 'f:a': LEAF, 'f:readOnly': LEAF } } });
  expect(becomes(live, { spec: { a: 1, readOnly: false } })).toEqual({ spec: { a: 1 } });
});

describe('a field that another manager holds', () => {
  const live = stored(
    { containers: [{ name: 'nats', image: '1' }] },
    { fieldsV1: { 'f:containers': { 'k:{"name":"nats"}': { '.': LEAF, 'f:name': LEAF } } } },
    {
      manager: 'updater',
      operation: 'Update',
      fieldsV1: { 'f:containers': { 'k:{"name":"nats"}': { 'f:image': LEAF } } },
    },
  );
  const conflicts = (image: string, takesFrom: string[] = []) =>
    predictApply(live, wanted({ containers: [{ name: 'nats', image }] }), { takesFrom }).conflicts;

  test('with another value is a conflict, with both values', () => {
    expect(conflicts('2')).toEqual([
      {
        manager: 'updater',
        field: '.containers[name="nats"].image',
        path: 'containers[nats].image',
        from: '1',
        to: '2',
      },
    ]);
  });

  test('with the same value is none', () => {
    expect(conflicts('1')).toEqual([]);
  });

  test('is taken from a manager that gives way', () => {
    expect(conflicts('2', ['updater'])).toEqual([]);
    expect(conflicts('2', ['kubectl'])).toHaveLength(1);
  });
});
