/** One `path` block of a policy. */
interface Rule {
  path: string;
  capabilities: string[];
}

const RULE = /path\s+"([^"]*)"\s*\{\s*capabilities\s*=\s*\[([^\]]*)\]\s*\}/g;

/** What every token with the policy `default` may do. */
const DEFAULT_POLICY = `
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
path "sys/capabilities-self" { capabilities = ["update"] }
path "sys/internal/ui/mounts/*" { capabilities = ["read"] }
`;

/** Null for text that is no policy; HCL beyond path blocks with capabilities is not read. */
export function parsePolicy(text: string): Rule[] | null {
  const withoutComments = text.replace(/#.*$/gm, '');
  const rules = [...withoutComments.matchAll(RULE)].map(([, path = '', list = '']) => ({
    path,
    capabilities: [...list.matchAll(/"([^"]*)"/g)].map(([, capability = '']) => capability),
  }));
  return withoutComments.replace(RULE, '').trim() === '' ? rules : null;
}

/** The capabilities at a path under named policies: ['root'], a sorted list, or ['deny']. */
export function capabilitiesAt(path: string, names: string[], policies: Map<string, string>): string[] {
  if (names.includes('root')) {
    return ['root'];
  }
  const texts = names.map((name) => (name === 'default' ? DEFAULT_POLICY : (policies.get(name) ?? '')));
  const matching = texts.flatMap((text) => parsePolicy(text) ?? []).filter((rule) => matches(rule.path, path));
  const best = matching.map((rule) => rule.path).sort(bySpecificity)[0];
  const granted = matching.filter((rule) => rule.path === best).flatMap((rule) => rule.capabilities);
  return granted.length === 0 || granted.includes('deny') ? ['deny'] : [...new Set(granted)].sort();
}

function matches(pattern: string, path: string): boolean {
  const escaped = pattern.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('\\+', '[^/]+');
  return new RegExp(`^${escaped.endsWith('\\*') ? `${escaped.slice(0, -2)}.*` : escaped}$`).test(path);
}

/** Exact paths before globs, longer globs before shorter. */
function bySpecificity(left: string, right: string): number {
  const rank = (path: string): number => (path.endsWith('*') || path.includes('+') ? path.length : 1_000_000);
  return rank(right) - rank(left);
}
