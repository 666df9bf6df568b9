import type { DesiredVault } from '../desired/state.ts';
import { OWNER_MARK } from '../desired/vault-objects.ts';
import type { Json } from '../json.ts';
import { Problem } from '../problem.ts';
import { type FieldChange, type LiveVault, policyPath, type VaultChange } from './objects.ts';
import { pathText } from './path.ts';

/** Items of a list that a message shows. */
const SHOWN = 4;

/** Who the objects belong to: "clusterUid/namespace/name" from the policy's first line; null where it is not marked. */
function ownerOf(rules: string): string | null {
  const [first = ''] = rules.trim().split('\n');
  return first.startsWith(OWNER_MARK) ? first.slice(OWNER_MARK.length).trim() : null;
}

/**
 * Throws a Problem (conflict) rather than let the changes overwrite what is not this cluster's. PKI and auth roles cannot
 * carry a mark, and their names leave the namespace out or join it ambiguously: the policy's mark speaks for all of them.
 */
export function checkOwnership(desired: DesiredVault, live: LiveVault, changes: VaultChange[]): void {
  if (live.policy !== null) checkPolicy(desired.policy, live.policy);
  if (live.policy !== null && ownerOf(live.policy) !== null) return;
  const foreign = changes.filter((change) => change.kind !== 'policy' && change.action === 'update');
  if (foreign.length > 0) throw foreignRoles(desired.policy, foreign);
}

function checkPolicy(policy: DesiredVault['policy'], live: string): void {
  const owner = ownerOf(live);
  if (owner !== null && owner === ownerOf(policy.rules)) return;
  if (owner !== null) throw foreignPolicy(policy, owner);
  if (live.trim() !== withoutMark(policy.rules)) throw unmarkedPolicy(policy);
}

function withoutMark(rules: string): string {
  return rules.trim().split('\n').slice(1).join('\n').trim();
}

function foreignPolicy(policy: DesiredVault['policy'], owner: string): Problem {
  const [uid, namespace, name] = owner.split('/');
  return new Problem({
    kind: 'conflict',
    tried: tried(policy),
    reason:
      `it belongs to NATS cluster ${name} in namespace ${namespace} of the Kubernetes cluster whose kube-system ` +
      `namespace has uid ${uid}.`,
    next:
      'Choose another `name`, another PKI mount (vault_internal_pki_backend_mount_path) or another vault_namespace. ' +
      `If that cluster is gone for good, replace the policy's first line by ${JSON.stringify(markLine(policy))} and run again.`,
  });
}

function unmarkedPolicy(policy: DesiredVault['policy']): Problem {
  return new Problem({
    kind: 'conflict',
    tried: tried(policy),
    reason: 'it exists with other rules and without the mark of this action, so somebody else manages it.',
    next:
      'Choose another `name` or another vault_namespace. To hand it over to this action, ' +
      `put ${JSON.stringify(markLine(policy))} before its first line and run again.`,
  });
}

function foreignRoles(policy: DesiredVault['policy'], changes: VaultChange[]): Problem {
  return new Problem({
    kind: 'conflict',
    tried: `Taking ${changes.map((change) => pathText(change.path)).join(', ')} for this cluster`,
    reason: `they exist with other values and nothing marks them as this cluster's: ${changes.map(differences).join('; ')}.`,
    next:
      'Choose another `name`, or another PKI mount (vault_internal_pki_backend_mount_path). To hand them over to this ' +
      `action, write a policy ${policy.name} whose first line is ${JSON.stringify(markLine(policy))} and run again.`,
  });
}

function differences(change: VaultChange): string {
  return `${change.path.at(-1)}: ${change.fields.map(difference).join(', ')}`;
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

function tried(policy: DesiredVault['policy']): string {
  return `Taking Vault policy ${policy.name} (${pathText(policyPath(policy.name))}) for this cluster`;
}

function markLine(policy: DesiredVault['policy']): string {
  return `${OWNER_MARK}${ownerOf(policy.rules)}`;
}
