import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { readInteger } from '../../src/inputs/integers.ts';
import { parseInputs } from '../../src/inputs/parse.ts';
import { kubeconfigSecrets, secretsOf } from '../../src/inputs/secrets.ts';
import { INPUT_NAMES, type InputName } from '../../src/inputs/table.ts';
import { environmentWith, problemOf } from './environment-with.ts';

const BOUNDS = { min: 0, max: 1_000_000 };

/** Texts around what the rules look at, besides any text at all. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom('1', '0', 'e', 'x', '.', '_', '/', ':', '-', ' ', '\n', '@', '"', '{', '[', '&', '*'),
  }),
  fc.webUrl({ withQueryParameters: true }),
  fc.json(),
);

const someInputs = fc.dictionary(fc.constantFrom<InputName>(...INPUT_NAMES), anyText, { noNullPrototype: true });

const SECRET_INPUTS = ['vault_token', 'vault_secret_id'] as const;

describe('properties', () => {
  test('every whole number within the bounds is read as it is written', () => {
    fc.assert(
      fc.property(fc.nat(BOUNDS.max), (number) => {
        expect(readInteger(String(number), BOUNDS, 'a number')).toEqual({ value: number });
      }),
    );
  });

  test('a text that is accepted as a number is the usual way to write that number', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const reading = readInteger(text, BOUNDS, 'a number');
        if ('value' in reading) expect(String(reading.value)).toBe(text);
      }),
    );
  });

  test('a number that a refusal proposes is accepted and means the same', () => {
    const notations = fc
      .nat(2_000_000)
      .chain((number) =>
        fc.constantFrom(
          `0x${number.toString(16)}`,
          `${number}e0`,
          `0${number}`,
          `${number}.0`,
          number.toLocaleString('en'),
        ),
      );
    fc.assert(
      fc.property(notations, (text) => {
        const reading = readInteger(text, BOUNDS, 'a number');
        const proposed = 'refusal' in reading ? /write (\S+)/.exec(reading.refusal)?.[1] : undefined;
        if (proposed !== undefined) expect(Number(proposed)).toBe(Number(text.replaceAll(',', '')));
      }),
    );
  });

  test('reading inputs ends with all of them, or with the one problem', () => {
    fc.assert(
      fc.property(someInputs, (inputs) => {
        const problem = problemOf(inputs);
        if (problem === null)
          expect(Object.keys(parseInputs(environmentWith(inputs)).inputs)).toHaveLength(INPUT_NAMES.length);
        else expect(problem.details.findings?.length).toBeGreaterThan(0);
      }),
      { numRuns: 500 },
    );
  });

  test('each finding is one line and printable', () => {
    fc.assert(
      fc.property(someInputs, (inputs) => {
        for (const finding of problemOf(inputs)?.details.findings ?? []) expect(finding).not.toMatch(/\p{Cc}/u);
      }),
      { numRuns: 500, examples: [[{ namespace: '\u007f' }], [{ vault_token_bound_cidrs: '\u0080' }]] },
    );
  });

  test('no secret is in the message, wherever it was pasted', () => {
    const secret = fc
      .string({ minLength: 12, maxLength: 200, unit: 'grapheme-ascii' })
      .map((text) => `hvs.${text.trim()}`);
    const place = fc.constantFrom(...INPUT_NAMES.filter((name) => name !== 'vault_token'));
    fc.assert(
      fc.property(secret, fc.constantFrom(...SECRET_INPUTS), place, anyText, (text, input, wrongPlace, around) => {
        fc.pre(secretsOf(environmentWith({ [input]: text })).length > 0);
        const problem = problemOf({ [wrongPlace]: `${around} ${text} ${around}`, [input]: text, wait: 'maybe' });
        expect(problem?.message).toContain('wait');
        for (let at = 0; at + 12 <= text.length; at += 4)
          expect(problem?.message).not.toContain(text.slice(at, at + 12));
      }),
      { numRuns: 500 },
    );
  });

  test('looking for secrets never fails, and finds none that is too short to mask', () => {
    fc.assert(
      fc.property(anyText, someInputs, (content, inputs) => {
        for (const secret of [...kubeconfigSecrets(content), ...secretsOf(environmentWith(inputs))]) {
          expect(secret.length).toBeGreaterThanOrEqual(8);
        }
      }),
    );
  });
});
