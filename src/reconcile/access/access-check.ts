import type { Access, KubeReader } from '../../kube/client.ts';
import { Problem } from '../../problem.ts';
import { isOptional } from './permissions.ts';

/** A rule of a Role: what may be done with which resources, of which names only (all without). */
export interface RuleText {
  group: string;
  resources: string[];
  names: string[];
  verbs: string[];
}

/**
 * Rejects with all missing permissions at once, as rules to be pasted, and tells whom they are missing for. To be called
 * before anything is written.
 *
 * @param purpose what they are needed for, when that is not the run as a whole: "to remove what ..."
 */
export async function checkPermissions(kube: KubeReader, accesses: Access[], purpose = ''): Promise<void> {
  const allowed = await Promise.all(accesses.map((access) => kube.isAllowed(access)));
  const missing = accesses.filter((_, index) => allowed[index] === false);
  if (missing.length === 0) return;
  const identity = (await kube.identity()) ?? 'the identity of the kubeconfig';
  throw new Problem({
    kind: 'permission',
    tried: `Checking what ${identity} may do${purpose === '' ? '' : ` ${purpose}`}`,
    reason: `${missing.length} ${missing.length === 1 ? 'permission is' : 'permissions are'} missing; nothing was written.`,
    findings: missingRules(missing),
    next: [grantTo(identity), ...(missing.some(isOptional) ? [SPARE] : [])].join(' '),
  });
}

function grantTo(identity: string): string {
  return `Add each rule to the Role or ClusterRole that its comment tells, bound to ${identity}: see docs/permissions.md.`;
}

const SPARE =
  'What a feature alone needs is spared by switching it off: vpa_enabled, monitoring_enabled, voluntary_disruption_window_enabled, node_image_cached_enabled.';

/** In YAML, as it stands below `rules:`: { apiGroups: ["apps"], resources: [statefulsets], verbs: [create, patch] } */
export function ruleText({ group, resources, names, verbs }: RuleText): string {
  const only = names.length === 0 ? '' : `, resourceNames: [${names.map((name) => JSON.stringify(name)).join(', ')}]`;
  return `{ apiGroups: ["${group}"], resources: [${resources.join(', ')}]${only}, verbs: [${verbs.join(', ')}] }`;
}

/** The rules that grant the accesses, one a resource. */
export function rulesOf(accesses: Access[]): RuleText[] {
  const byVerb = grouped(accesses, ({ group, resource, verb }) => `${group}/${resource} ${verb}`);
  const rules = byVerb.map((same): RuleText & { key: string } => {
    const { group, resource, verb } = same[0];
    const names = same.flatMap(({ name }) => name ?? []);
    return { key: `${group}/${resource} ${names}`, group, resources: [resource], names, verbs: [verb] };
  });
  return grouped(rules, ({ key }) => key).map((same) => {
    const { group, resources, names } = same[0];
    return { group, resources, names, verbs: same.flatMap(({ verbs }) => verbs) };
  });
}

/** One line a rule, those of a Role together, each with the Role that lacks it: ... # Role in namespace demo */
function missingRules(missing: Access[]): string[] {
  return grouped(missing, ({ namespace }) => namespace ?? '').flatMap((ofRole) => {
    const { namespace } = ofRole[0];
    const role = namespace === undefined ? 'ClusterRole' : `Role in namespace ${namespace}`;
    return rulesOf(ofRole).map((rule) => `${ruleText(rule)} # ${role}`);
  });
}

/** The items with the same key together, in the order of their first. */
function grouped<Item>(items: Item[], keyOf: (item: Item) => string): [Item, ...Item[]][] {
  const groups = new Map<string, [Item, ...Item[]]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return [...groups.values()];
}
