import type { DesiredVault } from '../desired/state.ts';
import { OWNER_FIELD, OWNER_MARK, OWNER_URI } from '../desired/vault-objects.ts';
import { type Json, type JsonObject, textsIn } from '../json.ts';
import { Problem } from '../problem.ts';
import { type FieldChange, type LiveVault, policyPath, type VaultChange } from './objects.ts';
import { pathText } from './path.ts';

/** Items of a list that a message shows. */
const SHOWN = 4;

/** An object of the right name that is not this cluster's. */
export interface ForeignObject {
  path: string[];
  /** Whose it is, or why nobody knows. */
  words: string;
  /** Whether it tells who owns it: then it can only be removed, else also be handed over. */
  owned: boolean;
}

/**
 * Throws a Problem (conflict) that names every object which is not this cluster's, rather than have one overwritten or
 * shared. Their names leave the namespace out or join it ambiguously; whose they are is told by the policy's first line,
 * by a URI of the PKI roles, and by the ServiceAccount that the auth role is bound to. What carries no mark follows the
 * policy: under one of this cluster it was made by an earlier version of this action, and under one of the Terraform
 * module's it goes to who takes the cluster over.
 */
export function checkOwnership(desired: DesiredVault, live: LiveVault, changes: VaultChange[]): void {
  const foreign = [
    foreignPolicy(desired, live.policy),
    ...desired.pkiRoles.map((role, index) => foreignPkiRole(desired, live, changes, role.path, live.pkiRoles[index])),
    foreignAuthRole(desired, live, changes),
  ].filter((object) => object !== null);
  if (foreign.length > 0) throw foreignProblem(desired, foreign);
}

function foreignPolicy(desired: DesiredVault, live: string | null): ForeignObject | null {
  const path = policyPath(desired.policy.name);
  if (live === null) return null;
  const owner = policyOwner(live);
  if (owner !== null) return owner === desired.owner ? null : ownedBy(desired, path, owner);
  if (hasSameRules(desired, live) || isModulePolicy(desired, live)) return null;
  return { path, words: 'has other rules and no mark of an owner', owned: false };
}

function foreignPkiRole(
  desired: DesiredVault,
  live: LiveVault,
  changes: VaultChange[],
  path: string[],
  role: JsonObject | null | undefined,
): ForeignObject | null {
  if (!role) return null;
  const owners = roleOwners(role);
  const other = owners.find((owner) => owner !== desired.owner);
  if (other !== undefined) return ownedBy(desired, path, other);
  if (owners.length > 0 || isOwnPolicy(desired, live.policy)) return null;
  const fields = changedFields(changes, path).filter(({ name }) => name !== OWNER_FIELD);
  if (isModulePolicy(desired, live.policy) && !fields.some(({ name }) => name === 'allowed_domains')) return null;
  // With the same values it may be another cluster's of this name: only a policy of this namespace speaks against that.
  if (fields.length === 0 && live.policy !== null && hasSameRules(desired, live.policy)) return null;
  return unmarked(path, fields);
}

function foreignAuthRole(desired: DesiredVault, live: LiveVault, changes: VaultChange[]): ForeignObject | null {
  const { path, parameters } = desired.authRole;
  if (live.authRole === null) return null;
  const names = textsIn(live.authRole.bound_service_account_names);
  const namespaces = textsIn(live.authRole.bound_service_account_namespaces);
  if (
    isForOthers(names, textsIn(parameters.bound_service_account_names)) ||
    isForOthers(namespaces, textsIn(parameters.bound_service_account_namespaces))
  ) {
    const words = `is bound to ServiceAccount ${names.join(', ')} in namespace ${namespaces.join(', ')}`;
    return { path, words, owned: true };
  }
  const fields = changedFields(changes, path);
  const isOurs = isOwnPolicy(desired, live.policy) || isModulePolicy(desired, live.policy);
  return fields.length === 0 || isOurs ? null : unmarked(path, fields);
}

/** "clusterUid/namespace/name" from the policy's first line; null where it is not marked. */
export function policyOwner(rules: string): string | null {
  const [first = ''] = rules.trim().split('\n');
  return first.startsWith(OWNER_MARK) ? first.slice(OWNER_MARK.length).trim() : null;
}

/** As many as there are marks on it: of one owner, unless somebody marked it by hand. */
export function roleOwners(role: JsonObject): string[] {
  return textsIn(role[OWNER_FIELD])
    .filter((uri) => uri.startsWith(OWNER_URI))
    .map((uri) => uri.slice(OWNER_URI.length));
}

function isOwnPolicy(desired: DesiredVault, live: string | null): boolean {
  return live !== null && policyOwner(live) === desired.owner;
}

/** Whether a policy that carries no mark says what the desired one says. */
function hasSameRules({ policy }: DesiredVault, live: string): boolean {
  return live.trim() === policy.rules.trim().split('\n').slice(1).join('\n').trim();
}

const RULE = /path\s+"([^"]+)"\s*\{\s*capabilities\s*=\s*\[([^\]]*)\]\s*\}/g;
const MODULE_CAPABILITIES = ['create', 'read', 'update'];

/**
 * Whether a cluster is taken over and the policy is the one that the module wrote for it: no mark, and nothing allowed but
 * to sign by the cluster's PKI roles.
 */
function isModulePolicy({ adopted, pkiMount, pkiRoles }: DesiredVault, live: string | null): boolean {
  if (!adopted || live === null || policyOwner(live) !== null) return false;
  const signPaths = pkiRoles.map(({ path }) => pathText([...pkiMount, 'sign', ...path.slice(-1)]));
  const rules = [...live.matchAll(RULE)];
  const isSigning = ([, path = '', capabilities = '']: string[]): boolean =>
    signPaths.includes(path) &&
    capabilities.split(',').every((each) => MODULE_CAPABILITIES.includes(each.replaceAll(/["\s]/g, '')));
  return rules.length > 0 && rules.every(isSigning) && live.replaceAll(RULE, '').trim() === '';
}

/** Whether it is bound, but to none of ours: one that was opened to all ("*") is still ours. */
export function isForOthers(bound: string[], ours: string[]): boolean {
  return bound.length > 0 && !bound.some((name) => name === '*' || ours.includes(name));
}

function changedFields(changes: VaultChange[], path: string[]): FieldChange[] {
  return changes.find((change) => pathText(change.path) === pathText(path))?.fields ?? [];
}

export function ownedBy(desired: DesiredVault, path: string[], owner: string): ForeignObject {
  const [uid = '', namespace, name] = owner.split('/');
  const cluster = desired.owner.startsWith(`${uid}/`)
    ? `this Kubernetes cluster (uid ${uid})`
    : `another Kubernetes cluster (its kube-system namespace has uid ${uid})`;
  return { path, words: `belongs to NATS cluster ${name} in namespace ${namespace} of ${cluster}`, owned: true };
}

export function unmarked(path: string[], fields: FieldChange[]): ForeignObject {
  const values = fields.length === 0 ? '' : `, and other values: ${fields.map(difference).join(', ')}`;
  return { path, words: `has no mark of an owner${values}`, owned: false };
}

function foreignProblem(desired: DesiredVault, foreign: ForeignObject[]): Problem {
  const onlyPki = foreign.every(({ path }) => desired.pkiRoles.some((role) => pathText(role.path) === pathText(path)));
  const elsewhere = onlyPki ? 'another PKI mount (vault_internal_pki_backend_mount_path)' : 'another vault_namespace';
  const next = [`Choose another \`name\` or ${elsewhere}.`];
  if (foreign.some(({ owned }) => owned))
    next.push('Where the owner is gone for good, remove what it left (vault delete PATH) and run again.');
  if (foreign.some(({ owned }) => !owned))
    next.push(
      `To hand over to this action what has no mark, make ${JSON.stringify(OWNER_MARK + desired.owner)} the first ` +
        `line of policy ${desired.policy.name} and run again.`,
    );
  const [, namespace, name] = desired.owner.split('/');
  return new Problem({
    kind: 'conflict',
    tried: `Comparing Vault with what NATS cluster ${name} in namespace ${namespace} needs`,
    reason: "Objects of the names that it needs are not this cluster's; they were left as they are.",
    findings: foreign.map(({ path, words }) => `${pathText(path)} ${words}`),
    next: next.join(' '),
  });
}

/** Of lists only what one side lacks: a server role names dozens of hosts. */
function difference({ name, from, to }: FieldChange): string {
  if (!Array.isArray(from) || !Array.isArray(to))
    return `${name} is ${JSON.stringify(from)}, not ${JSON.stringify(to)}`;
  return `${name} has ${some(without(from, to))}, not ${some(without(to, from))}`;
}

function without(list: Json[], others: Json[]): Json[] {
  return list.filter((item) => !others.includes(item));
}

function some(list: Json[]): string {
  const rest = list.length - SHOWN;
  return JSON.stringify(list.slice(0, SHOWN)) + (rest > 0 ? ` and ${rest} more` : '');
}
