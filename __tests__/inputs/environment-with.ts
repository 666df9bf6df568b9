import type { Environment } from '../../src/inputs/environment.ts';
import { parseInputs } from '../../src/inputs/parse.ts';
import { Problem } from '../../src/problem.ts';

/** What a runner sets for a step with these inputs, on top of a namespace and a Vault role. */
export function environmentWith(inputs: { [name: string]: string }): Environment {
  const all = { namespace: 'demo', vault_role: 'deployer', ...inputs };
  return Object.fromEntries(Object.entries(all).map(([name, text]) => [`INPUT_${name.toUpperCase()}`, text]));
}

/** The problem that the inputs end in; null when they are accepted. Any other error is thrown on. */
export function problemOf(inputs: { [name: string]: string }): Problem | null {
  try {
    parseInputs(environmentWith(inputs));
    return null;
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
}

/** What is wrong with the inputs, a sentence each. */
export function findingsOf(inputs: { [name: string]: string }): string[] {
  return problemOf(inputs)?.details.findings ?? [];
}
