/** The environment of the process, as far as inputs go. */
export interface Environment {
  readonly [variable: string]: string | undefined;
}

const PREFIX = 'INPUT_';

/** The variable in which the runner hands over an input. */
function variable(name: string): string {
  return `${PREFIX}${name.toUpperCase()}`;
}

/**
 * Moves the inputs and the post step's state out of the process's environment: what it starts, such as an exec plugin, has no
 * use for them.
 */
export function takeInputs(env: { [variable: string]: string | undefined }): Environment {
  const taken = { ...env };
  for (const name of Object.keys(env)) if (/^(INPUT|STATE)_/.test(name)) delete env[name];
  return taken;
}

/** An input's text without the white space around it; empty when it is not set. */
export function textOf(env: Environment, name: string): string {
  return (env[variable(name)] ?? '').trim();
}

/** Names of the inputs in the environment that are not among the known ones, in alphabetical order. */
export function unknownNames(env: Environment, known: readonly string[]): string[] {
  const variables = new Set(known.map(variable));
  return Object.keys(env)
    .filter((key) => key.startsWith(PREFIX) && !variables.has(key))
    .map((key) => key.slice(PREFIX.length).toLowerCase())
    .sort();
}
