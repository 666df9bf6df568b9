import { Problem } from '../problem.ts';
import { crossCheck } from './cross-checks.ts';
import { type Environment, textOf, unknownNames } from './environment.ts';
import { nearest } from './nearest.ts';
import { secretsOf } from './secrets.ts';
import type { InputSpec } from './spec.ts';
import { INPUT_NAMES, INPUTS, type InputName, type Inputs } from './table.ts';

const SPECS: { readonly [Name in InputName]: InputSpec<Inputs[Name]> } = INPUTS;

/**
 * Reads every input from the environment as the runner sets it: INPUT_ and the input's name in upper case. White space
 * around a value does not count; an empty one is the default.
 *
 * @throws Problem of kind input whose findings name every mistake: the input, its value (a secret's never), the rule
 */
export function parseInputs(env: Environment): { inputs: Inputs } {
  const secrets = secretsOf(env);
  const found: Partial<Inputs> = {};
  const mistakes = INPUT_NAMES.flatMap((name) => readInto(found, name, textOf(env, name), secrets));
  const findings = [...mistakes, ...crossCheck(found), ...unknownInputs(env)];
  if (findings.length === 0 && isComplete(found)) return { inputs: found };
  throw new Problem({
    kind: 'input',
    tried: 'Reading the inputs',
    reason: `${findings.length === 1 ? 'one mistake' : `${findings.length} mistakes`}, nothing was sent anywhere.`,
    findings: findings.map(printable),
    next: 'Correct the inputs of the step ("with:") and run the workflow again.',
  });
}

/** Sets the input in `found`, or returns what is wrong with it, a sentence each. */
function readInto<Name extends InputName>(
  found: Partial<Inputs>,
  name: Name,
  text: string,
  secrets: string[],
): string[] {
  const spec = SPECS[name];
  if (text === '') {
    if (spec.default === undefined) return [`${name} is missing: it must be ${spec.rule}`];
    found[name] = spec.default;
    return [];
  }
  const reading = spec.read(text);
  if ('value' in reading) {
    found[name] = reading.value;
    return [];
  }
  if (!spec.secret && secrets.some((secret) => text.includes(secret))) {
    return [`${name} contains a secret, and must be ${spec.rule}`];
  }
  if ('refusals' in reading) return reading.refusals.map((refusal) => `${name} ${refusal}`);
  return [spec.secret ? `${name} ${reading.refusal}` : `${name} ${quoted(text)} ${reading.refusal}`];
}

const LONGEST_QUOTE = 80;

/** A value in one short line: a long one's beginning, and no password of a URL. */
function quoted(text: string): string {
  const [first = '', ...rest] = text
    .replace(/\/\/.*@/, '//***@')
    .replace(/^[^/@]*:[^/@]*@(?!sha\d)/, '***@')
    .split(/\r?\n/);
  const cut = rest.length > 0 || first.length > LONGEST_QUOTE;
  return JSON.stringify(first.slice(0, LONGEST_QUOTE)) + (cut ? '...' : '');
}

/** JSON leaves DEL and the C1 control characters as they are; a terminal may act on them. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function unknownInputs(env: Environment): string[] {
  return unknownNames(env, INPUT_NAMES).map((name) => {
    const meant = nearest(name, INPUT_NAMES);
    return `${name} is not an input of this action${meant ? `: did you mean ${meant}?` : ''}`;
  });
}

function isComplete(found: Partial<Inputs>): found is Inputs {
  return INPUT_NAMES.every((name) => found[name] !== undefined);
}
