import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { differences } from '../../../src/reconcile/plan/difference.ts';

describe('differences', () => {
  test.each([
    ['a scalar', { a: { b: 1 } }, { a: { b: 2 } }, [{ path: 'a.b', from: 1, to: 2 }]],
    ['a field that comes', {}, { a: { b: 2 } }, [{ path: 'a', from: undefined, to: { b: 2 } }]],
    ['a field that goes', { a: null }, {}, [{ path: 'a', from: null, to: undefined }]],
    ['an empty list that comes', {}, { a: [] }, [{ path: 'a', from: undefined, to: [] }]],
    ['the type', { a: '1' }, { a: 1 }, [{ path: 'a', from: '1', to: 1 }]],
    [
      'an item, by its name',
      { c: [{ name: 'x', i: 1 }] },
      { c: [{ name: 'x', i: 2 }] },
      [{ path: 'c[x].i', from: 1, to: 2 }],
    ],
    ['an item, by its place', { c: ['x', 'y'] }, { c: ['x', 'z'] }, [{ path: 'c[1]', from: 'y', to: 'z' }]],
    ['the length of a list', { c: [1] }, { c: [1, 2] }, [{ path: 'c', from: [1], to: [1, 2] }]],
    [
      'two fields',
      { a: 1, b: { c: 2 } },
      { a: 0, b: { c: 0 } },
      [
        { path: 'a', from: 1, to: 0 },
        { path: 'b.c', from: 2, to: 0 },
      ],
    ],
  ])('tell %s', (_, from, to, expected) => {
    expect(differences(from, to)).toEqual(expected);
  });

  const objects = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }));

  test('of a value and its copy are none, in whatever order its keys are', () => {
    fc.assert(
      fc.property(objects, (object) => {
        const reversed = Object.fromEntries(Object.entries(structuredClone(object)).reverse());
        expect(differences(object as never, reversed as never)).toEqual([]);
      }),
    );
  });

  test('of two values are none only when they are equal', () => {
    fc.assert(
      fc.property(objects, objects, (a, b) => {
        const equal = fc.stringify(sorted(a)) === fc.stringify(sorted(b));
        expect(differences(a as never, b as never).length === 0).toBe(equal);
      }),
    );
  });
});

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, item]) => [key, sorted(item)]);
}
