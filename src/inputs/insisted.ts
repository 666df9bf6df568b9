import { isDeepStrictEqual } from 'node:util';
import { INPUTS, type InputName, type Inputs } from './table.ts';

/** The runner fills in defaults: a default that was typed cannot be told from one that was not. */
export function isDefault(inputs: Inputs, name: InputName): boolean {
  const spec = INPUTS[name];
  return 'default' in spec && isDeepStrictEqual(inputs[name], spec.default);
}

/**
 * Whether a target that lacks what the input asks for is an error (true), or is adapted to with a warning (false): a
 * value other than the default was asked for by name, and `adapt: false` asks for all of them.
 */
export function isInsistedOn(inputs: Inputs, name: InputName): boolean {
  return !inputs.adapt || !isDefault(inputs, name);
}
