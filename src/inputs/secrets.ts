import { FAILSAFE_SCHEMA, load } from 'js-yaml';
import { type Environment, textOf } from './environment.ts';
import { isKubeconfigContent, kubeconfigInBase64 } from './kubeconfig.ts';
import { INPUT_NAMES, INPUTS } from './table.ts';

/** Shorter ones would mask ordinary words of the log, and drop outputs that contain them. */
const SHORTEST_MASK = 8;

/**
 * The strings that must be masked before anything is printed, longest first: the secret inputs, and of a kubeconfig its
 * credentials alone. Works whatever state the inputs are in.
 */
export function secretsOf(env: Environment): string[] {
  const secretNames = INPUT_NAMES.filter((name) => 'secret' in INPUTS[name] && name !== 'kubeconfig');
  return masks([...secretNames.map((name) => textOf(env, name)), ...kubeconfigInput(textOf(env, 'kubeconfig'))]);
}

function kubeconfigInput(text: string): string[] {
  if (isKubeconfigContent(text)) return kubeconfigSecrets(text);
  const decoded = kubeconfigInBase64(text);
  return decoded === null ? [] : [text, ...kubeconfigSecrets(decoded)];
}

/**
 * Fields of a kubeconfig that hold credentials: of a user, of its auth provider, and the values of an exec plugin's
 * environment. https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
 */
const CREDENTIAL_FIELDS = [
  'token',
  'client-key-data',
  'password',
  'access-token',
  'id-token',
  'refresh-token',
  'client-secret',
  'value',
];

/** The rest of the line, and its first word, since which of them is the value cannot be told in broken YAML. */
const CREDENTIAL_LINE = new RegExp(
  `\\b(?:${CREDENTIAL_FIELDS.join('|')})["']?\\s*:\\s*["']?(?=(?<line>[^"'\\n]*))(?<word>[^\\s"',}]+)`,
  'g',
);

/** The credentials in a kubeconfig's content, each line of a long one by itself. Broken YAML is searched line by line. */
export function kubeconfigSecrets(content: string): string[] {
  let config: unknown;
  try {
    config = load(content, { schema: FAILSAFE_SCHEMA });
  } catch {
    return masks([...content.matchAll(CREDENTIAL_LINE)].flatMap(([, line = '', word = '']) => [line, word]));
  }
  return masks(credentialsIn(config, new Set()));
}

/** `visited` ends the search in YAML that contains itself by an alias. */
function credentialsIn(node: unknown, visited: Set<object>): string[] {
  if (typeof node !== 'object' || node === null || visited.has(node)) return [];
  visited.add(node);
  return Object.entries(node).flatMap(([key, value]) =>
    typeof value === 'string' && CREDENTIAL_FIELDS.includes(key) ? [value] : credentialsIn(value, visited),
  );
}

function masks(secrets: string[]): string[] {
  const lines = secrets.flatMap((secret) => secret.split(/\r?\n/)).map((line) => line.trim());
  return [...new Set(lines)].filter((line) => line.length >= SHORTEST_MASK).sort((a, b) => b.length - a.length);
}
