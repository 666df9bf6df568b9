import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadAll } from 'js-yaml';
import { dig, digObjects, digText, type Json, type JsonObject } from '../src/json.ts';
import { ruleText } from '../src/reconcile/access/access-check.ts';

const page = readFileSync(join(import.meta.dirname, '../docs/permissions.md'), 'utf8');

/** What a rule of a Role grants, about one resource. */
export interface Rule {
  group: string;
  resource: string;
  names: string[];
  verbs: string[];
}

/** A Role, or without a namespace a ClusterRole. */
export interface Role {
  namespace: string | null;
  rules: Rule[];
}

/** A value of the input mode. */
type Mode = 'apply' | 'plan' | 'destroy';

/** The Roles of docs/permissions.md for a mode on a cluster in that namespace, their rules taken apart by resource. */
export function rolesFor(namespace: string, mode: Mode = 'apply'): Role[] {
  const documents: Json[] = JSON.parse(JSON.stringify(loadAll(blockOf('Kubernetes', mode, 'yaml'))));
  return documents.map((document) => {
    const onPage = digText(document, 'metadata', 'namespace');
    return {
      namespace: onPage === '' ? null : onPage.replace('messaging', namespace),
      rules: digObjects(document, 'rules').flatMap(rulesIn),
    };
  });
}

/** A rule of the API, taken apart by resource. */
export function rulesIn(rule: JsonObject): Rule[] {
  const texts = (field: string): string[] => {
    const list = dig(rule, field) ?? [];
    return Array.isArray(list) ? list.map(String) : [];
  };
  return texts('apiGroups').flatMap((group) =>
    texts('resources').map((resource) => ({
      group,
      resource,
      names: texts('resourceNames'),
      verbs: texts('verbs'),
    })),
  );
}

/** The rule for the API. */
export function policyRuleOf({ group, resource, names, verbs }: Rule): JsonObject {
  const only = names.length === 0 ? {} : { resourceNames: names };
  return { apiGroups: [group], resources: [resource], ...only, verbs };
}

/** The line by which a run tells that a verb of the rule is missing. */
export function lineOf(role: Role, { group, resource, names }: Rule, verb: string): string {
  const where = role.namespace === null ? 'ClusterRole' : `Role in namespace ${role.namespace}`;
  return `  - ${ruleText({ group, resources: [resource], names, verbs: [verb] })} # ${where}`;
}

/** A rule of a Vault policy. */
export interface VaultRule {
  path: string;
  capabilities: string[];
  /** Whether a run goes on without it. */
  optional: boolean;
}

/** The rules of the Vault policy of docs/permissions.md for a mode on a cluster of that name, at the PKI mount pki/internal. */
export function vaultRulesFor(namespace: string, name: string, mode: Mode = 'apply'): VaultRule[] {
  const lines = blockOf('Vault', mode, 'hcl').split('\n');
  return lines.flatMap((line, index) => {
    const [, onPage, list = ''] = /^path "([^"]+)" \{ capabilities = \[(.+)\] \}$/.exec(line) ?? [];
    if (onPage === undefined) return [];
    const path = onPage.replace('pki/nats/', 'pki/internal/').replace('messaging', namespace).replace('-*', `-${name}`);
    const capabilities = [...list.matchAll(/\w+/g)].map(String);
    return { path, capabilities, optional: (lines[index - 1] ?? '').startsWith('# Only for') };
  });
}

/** The rule as it stands in a policy. */
export function vaultLineOf({ path, capabilities }: VaultRule): string {
  return `path "${path}" { capabilities = ${JSON.stringify(capabilities)} }`;
}

/** The block of code in that language below the heading, of that mode. */
function blockOf(heading: string, mode: Mode, language: string): string {
  const [, section = ''] = page.split(`\n## ${heading}\n`);
  const [, ofMode = ''] = section.split(`\n### \`mode: ${mode}\`\n`);
  const [, block] = new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(ofMode) ?? [];
  if (block === undefined) throw new Error(`docs/permissions.md has no ${language} of mode ${mode} below "${heading}"`);
  return block;
}
