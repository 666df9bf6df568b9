import { expect, test } from '@jest/globals';
import { chooseName } from '../../src/reconcile/identity.ts';
import { problemOf } from '../fakes/problem.ts';

const UID = '3f0e1c9a-6d1e-4b6e-9a53-6d6a3b2f7c11';
const DERIVED = 'nats-ae4859eb';

test('the name asked for counts, whatever exists', () => {
  expect(chooseName('mine', ['a', 'b'], UID, 'demo')).toBe('mine');
});

test('a target and namespace always yield the same name, others another', () => {
  expect(chooseName(null, [], UID, 'demo')).toBe(DERIVED);
  expect(chooseName(null, [], UID, 'other')).not.toBe(DERIVED);
  expect(chooseName(null, [], 'another-uid', 'demo')).not.toBe(DERIVED);
});

test('the one cluster that exists is meant', () => {
  expect(chooseName(null, ['a'], UID, 'demo')).toBe('a');
});

test('of several the one of the derived name is meant', () => {
  expect(chooseName(null, ['a', DERIVED], UID, 'demo')).toBe(DERIVED);
});

test('of several others none is guessed', async () => {
  const existing = ['b', 'a'];
  const { message } = await problemOf(() => chooseName(null, existing, UID, 'demo'));
  expect(message).toBe(
    'Finding the NATS cluster in namespace demo: There are several: a, b. Set the input name to the one that this step is about.',
  );
  expect(existing).toEqual(['b', 'a']);
});
