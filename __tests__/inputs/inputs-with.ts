import { parseInputs } from '../../src/inputs/parse.ts';
import type { Inputs } from '../../src/inputs/table.ts';

const VALID = parseInputs({ INPUT_NAMESPACE: 'demo', INPUT_VAULT_ROLE: 'deployer' }).inputs;

/** Valid inputs for tests: every default, namespace "demo", jwt login as "deployer", and what the test is about. */
export function inputsWith(overrides: Partial<Inputs> = {}): Inputs {
  return { ...VALID, ...overrides };
}
