import type { DesiredVault } from '../desired/state.ts';
import { isJsonObject, type Json, type JsonObject } from '../json.ts';
import { Problem } from '../problem.ts';
import type { VaultClient, VaultHealth } from './client.ts';
import { policyPath } from './objects.ts';
import { mountSegments, pathText } from './path.ts';
import { policyRule } from './refusal.ts';

/** Tells a sealed or uninitialised Vault before anybody logs in; waits up to 10 s for a sealed one. */
export async function checkHealth(client: VaultClient): Promise<VaultHealth> {
  const health = await client.health();
  if (!health.initialized) {
    throw new Problem({
      kind: 'vault',
      tried: "Checking Vault's health",
      reason: 'Vault is not initialised.',
      next: 'Initialise and unseal it first (vault operator init, vault operator unseal).',
    });
  }
  if (health.sealed) {
    throw new Problem({
      kind: 'vault',
      tried: "Checking Vault's health",
      reason: 'Vault is sealed, and stayed so for 10 s.',
      next: 'Unseal it (vault operator unseal), then run this again.',
    });
  }
  return health;
}

/** Throws one Problem with all that the token's policies lack for the desired objects, as policy rules to be pasted. */
export async function checkCapabilities(client: VaultClient, desired: DesiredVault): Promise<void> {
  const needs = neededCapabilities(desired).filter(({ optionalFor }) => optionalFor === undefined);
  const granted = await capabilitiesSelf(client, needs);
  if (granted === null) return;
  const missing = needs.filter((need) => !covers(granted[pathText(need.path)], need.capabilities));
  if (missing.length === 0) return;
  throw new Problem({
    kind: 'permission',
    tried: "Checking the Vault token's capabilities (sys/capabilities-self)",
    reason: `its policies do not allow ${missing.length} of ${needs.length} paths.`,
    next:
      'Add to a policy of the role that this action logs in with:\n' +
      missing.map((need) => policyRule(pathText(need.path), need.capabilities)).join('\n'),
  });
}

/** Tells a secrets engine or auth method of another kind at the mount, which might take the writes without a word. */
export async function checkMounts(client: VaultClient, desired: DesiredVault): Promise<void> {
  const mounts = new Map([
    ...pkiMounts(desired).map((mount) => [pathText(mount), 'pki'] as const),
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
 * All that a run asks of its Vault token's policies. Only auth roles tell creating from updating: measured on OpenBao
 * 2.6.2, a write to the others always is an update.
 */
export function neededCapabilities(desired: DesiredVault): Need[] {
  return [
    ...desired.pkiRoles.map((role) => ({ path: role.path, capabilities: ['read', 'update'] })),
    { path: policyPath(desired.policy.name), capabilities: ['read', 'update'] },
    { path: desired.authRole.path, capabilities: ['read', 'create', 'update'] },
    ...pkiMounts(desired).map((mount) => ({
      path: [...mount, 'roles', '*'],
      capabilities: ['list', 'read'],
      optionalFor: 'the warning about roles of others that sign the names of this cluster',
    })),
  ];
}

/** The mounts of the PKI roles, in segments. */
function pkiMounts(desired: DesiredVault): string[][] {
  const mounts = desired.pkiRoles.map((role) => role.path.slice(0, -2));
  return [...new Map(mounts.map((mount) => [pathText(mount), mount])).values()];
}

/** Null for a token that may not ask (one without the default policy): the requests themselves tell then. */
async function capabilitiesSelf(client: VaultClient, needs: Need[]): Promise<JsonObject | null> {
  const paths = needs.map((need) => pathText(need.path));
  const answer = await unlessForbidden(client.write(['sys', 'capabilities-self'], { paths }));
  return isJsonObject(answer?.data) ? answer.data : null;
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
    if (error instanceof Problem && error.details.kind === 'permission') return null;
    throw error;
  }
}
