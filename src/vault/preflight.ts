import type { DesiredVault } from '../desired/state.ts';
import type { Inputs } from '../inputs/table.ts';
import { dig, digText, isJsonObject, type Json, type JsonObject } from '../json.ts';
import { Problem } from '../problem.ts';
import { VaultAbsent } from './absence.ts';
import type { VaultClient, VaultHealth } from './client.ts';
import { policyPath } from './objects.ts';
import { mountSegments, pathText } from './path.ts';
import { policyRule } from './refusal.ts';

/** Tells a sealed or uninitialised Vault before anybody logs in; waits up to 10 s for a sealed one. */
export async function checkHealth(client: VaultClient): Promise<VaultHealth> {
  const health = await client.health();
  if (!health.initialized) {
    throw unready(
      'Vault is not initialised.',
      'Initialise and unseal it first (vault operator init, vault operator unseal).',
    );
  }
  if (health.sealed) {
    throw unready(
      'Vault is sealed, and stayed so for 10 s.',
      'Unseal it (vault operator unseal), then run this again.',
    );
  }
  return health;
}

function unready(reason: string, next: string): VaultAbsent {
  return new VaultAbsent({ kind: 'vault', tried: "Checking Vault's health", reason, next }, 'silent');
}

/**
 * Throws one Problem with all that the token's policies lack for the desired objects, as policy rules to be pasted; also
 * where the token may not even ask, as a missing rule would show in the middle of the writes else.
 */
export async function checkCapabilities(
  client: VaultClient,
  desired: DesiredVault,
  mode: Inputs['mode'],
): Promise<void> {
  const needs = neededCapabilities(desired, mode).filter(({ optionalFor }) => optionalFor === undefined);
  const granted = await capabilitiesSelf(client, needs);
  const missing = needs.filter((need) => !covers(granted[pathText(need.path)], need.capabilities));
  if (missing.length === 0) return;
  throw new Problem({
    kind: 'permission',
    tried: `Checking what ${await tokenText(client)} may do`,
    reason: `Its policies do not allow ${missing.length} of ${needs.length} paths; nothing was written.`,
    next:
      'Add to a policy of the role that this action logs in with:\n' +
      missing.map((need) => policyRule(pathText(need.path), need.capabilities)).join('\n'),
  });
}

/** Tells a secrets engine or auth method of another kind at the mount, which might take the writes without a word. */
export async function checkMounts(client: VaultClient, desired: DesiredVault): Promise<void> {
  const mounts = new Map([
    [pathText(desired.pkiMount), 'pki'] as const,
    [pathText(desired.authRole.path.slice(0, -2)), 'kubernetes'] as const,
  ]);
  await Promise.all([...mounts].map(([mount, type]) => checkMount(client, mount, type)));
}

/** A rule that a policy of this action's token has to hold. */
export interface Need {
  /** In segments; the last may be "*", as in a policy. */
  path: string[];
  capabilities: string[];
  /** What a run leaves out without it; absent where no run can do without. */
  optionalFor?: string;
}

/**
 * What each mode does at which paths; nothing where it is not named. Only auth roles tell creating from updating: measured on OpenBao 2.6.2, a write to
 * the others always is an update.
 */
const NEEDED: {
  pathsOf: (desired: DesiredVault) => string[][];
  capabilities: { readonly [mode in Inputs['mode']]?: readonly string[] };
  optionalFor?: string;
}[] = [
  {
    pathsOf: ({ pkiRoles }) => pkiRoles.map(({ path }) => path),
    capabilities: { apply: ['read', 'update'], plan: ['read'], destroy: ['read', 'delete'] },
  },
  {
    pathsOf: ({ policy }) => [policyPath(policy.name)],
    capabilities: { apply: ['read', 'update'], plan: ['read'], destroy: ['read', 'delete'] },
  },
  {
    pathsOf: ({ authRole }) => [authRole.path],
    capabilities: { apply: ['read', 'create', 'update'], plan: ['read'], destroy: ['read', 'delete'] },
  },
  {
    pathsOf: ({ pkiMount }) => [[...pkiMount, 'roles', '*']],
    capabilities: { apply: ['list', 'read'], plan: ['list', 'read'] },
    optionalFor: "the warning about roles of others that sign this cluster's names",
  },
];

/** All that a run asks of its Vault token's policies for the desired objects. */
export function neededCapabilities(desired: DesiredVault, mode: Inputs['mode']): Need[] {
  return NEEDED.flatMap(({ pathsOf, capabilities, ...need }) =>
    pathsOf(desired).map((path) => ({ ...need, path, capabilities: [...(capabilities[mode] ?? [])] })),
  ).filter(({ capabilities }) => capabilities.length > 0);
}

/** What the token does about itself: Vault's policy named default has it, which a role can keep from its tokens. */
export const OF_POLICY_DEFAULT = {
  ask: { path: ['sys', 'capabilities-self'], capabilities: ['update'] },
  lookUp: { path: ['auth', 'token', 'lookup-self'], capabilities: ['read'] },
  revoke: {
    path: ['auth', 'token', 'revoke-self'],
    capabilities: ['update'],
    optionalFor: 'revoking the token at the end of the job',
  },
} satisfies { [use: string]: Need };

async function capabilitiesSelf(client: VaultClient, needs: Need[]): Promise<JsonObject> {
  const { path, capabilities } = OF_POLICY_DEFAULT.ask;
  const paths = needs.map((need) => pathText(need.path));
  try {
    const answer = await client.write(path, { paths });
    return isJsonObject(answer?.data) ? answer.data : {};
  } catch (error) {
    if (!isForbidden(error)) throw error;
    throw new Problem({
      ...error.details,
      tried: 'Asking Vault what its token may do',
      next:
        'Nothing was written. The token lacks the policy named default; add to one that it has:\n' +
        policyRule(pathText(path), capabilities),
    });
  }
}

/** "the Vault token of jwt-org/app (policies default, nats-deployer)", as far as the token may tell that of itself. */
async function tokenText(client: VaultClient): Promise<string> {
  const data = (await unlessForbidden(client.read(OF_POLICY_DEFAULT.lookUp.path)))?.data;
  const policies = dig(data, 'policies');
  if (!Array.isArray(policies)) return 'the Vault token';
  return `the Vault token of ${digText(data, 'display_name') || 'nobody'} (policies ${policies.join(', ')})`;
}

function covers(granted: Json | undefined, capabilities: string[]): boolean {
  if (!Array.isArray(granted)) return false;
  return granted.includes('root') || capabilities.every((capability) => granted.includes(capability));
}

async function checkMount(client: VaultClient, mount: string, type: string): Promise<void> {
  // Vault says 403 for a mount that is not there as well: the first read of an object tells that.
  const path = ['sys', 'internal', 'ui', 'mounts', ...mountSegments(mount)];
  const data = (await unlessForbidden(client.read(path)))?.data;
  if (!isJsonObject(data) || typeof data.type !== 'string' || data.type === type) return;
  throw new Problem({
    kind: 'vault',
    tried: `Checking what is mounted at ${mount} in Vault`,
    reason: `it is of type ${data.type}, not ${type}.`,
    next:
      type === 'pki'
        ? 'Set vault_internal_pki_backend_mount_path to the mount of a PKI secrets engine.'
        : 'Set vault_kubernetes_auth_path to the mount of a Kubernetes auth method.',
  });
}

async function unlessForbidden(answer: Promise<JsonObject | null>): Promise<JsonObject | null> {
  try {
    return await answer;
  } catch (error) {
    if (isForbidden(error)) return null;
    throw error;
  }
}

function isForbidden(error: unknown): error is Problem {
  return error instanceof Problem && error.details.kind === 'permission';
}
