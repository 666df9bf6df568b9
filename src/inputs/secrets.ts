import { FAILSAFE_SCHEMA, load } from 'js-yaml';
import { type Environment, textOf } from './environment.ts';
import { isKubeconfigContent, kubeconfigInBase64 } from './kubeconfig.ts';
import { INPUT_NAMES, INPUTS } from './table.ts';

/** Shorter ones would mask ordinary words of the log, and drop outputs that contain them. */
const SHORTEST_MASK = 8;

/**
 * The strings that must be masked before anything is printed, longest first: the secret inputs, of a kubeconfig its
 * credentials alone, and what the job's environment holds besides. Works whatever state the inputs are in.
 */
export function secretsOf(env: Environment): string[] {
  const secretNames = INPUT_NAMES.filter((name) => 'secret' in INPUTS[name] && name !== 'kubeconfig');
  return masks([
    ...secretNames.map((name) => textOf(env, name)),
    ...kubeconfigInput(textOf(env, 'kubeconfig')),
    ...jobSecrets(env),
  ]);
}

/** What asks GitHub for the job's ID token, and the passwords of its proxies. */
function jobSecrets(env: Environment): string[] {
  const proxies = Object.entries(env).filter(([name]) => /^(https?|all)_proxy$/i.test(name));
  return [env.ACTIONS_ID_TOKEN_REQUEST_TOKEN ?? '', ...proxies.flatMap(([, url = '']) => passwordsIn(url))];
}

/** The password of a URL, as it is written there and as it is sent. */
function passwordsIn(url: string): string[] {
  const [, password = ''] = /\/\/[^/@]*?:([^/]*)@/.exec(url) ?? [];
  const parsed = URL.parse(url)?.password ?? '';
  try {
    return [password, decodeURIComponent(parsed)];
  } catch {
    return [password];
  }
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
export const CREDENTIAL_FIELDS = [
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
    typeof value === 'string' ? credentialsOf(key, value) : credentialsIn(value, visited),
  );
}

/** Also the password in a URL: a cluster's proxy-url has one. */
function credentialsOf(field: string, value: string): string[] {
  return CREDENTIAL_FIELDS.includes(field) ? [value] : passwordsIn(value);
}

/** Each line of the secrets by itself, longest first, without those too short to be masked. */
export function masks(secrets: string[]): string[] {
  const lines = secrets.flatMap((secret) => secret.split(/\r?\n/)).map((line) => line.trim());
  return [...new Set(lines)].filter((line) => line.length >= SHORTEST_MASK).sort((a, b) => b.length - a.length);
}
