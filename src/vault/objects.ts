import type { DesiredVault, VaultObject } from '../desired/state.ts';
import { isJsonObject, type Json, type JsonObject } from '../json.ts';
import type { VaultClient } from './client.ts';

/** What Vault holds now, in the order of DesiredVault; null where there is nothing. */
export interface LiveVault {
  pkiRoles: (JsonObject | null)[];
  policy: string | null;
  authRole: JsonObject | null;
}

export interface FieldChange {
  name: string;
  from: Json;
  to: Json;
}

export interface VaultChange {
  kind: 'policy' | 'pkiRole' | 'authRole';
  path: string[];
  action: 'create' | 'update';
  /** Only the fields that this action manages and that differ. */
  fields: FieldChange[];
  /** The whole body to write. */
  body: JsonObject;
}

/** Reads all that the desired objects name, side by side. */
export async function readVault(client: VaultClient, desired: DesiredVault): Promise<LiveVault> {
  const [pkiRoles, policy, authRole] = await Promise.all([
    Promise.all(desired.pkiRoles.map((role) => readData(client, role.path))),
    readData(client, policyPath(desired.policy.name)),
    readData(client, desired.authRole.path),
  ]);
  return { pkiRoles, policy: typeof policy?.policy === 'string' ? policy.policy : null, authRole };
}

/** What has to be written; empty where Vault already holds what is desired. */
export function diffVault(desired: DesiredVault, live: LiveVault): VaultChange[] {
  const changes = [
    policyChange(desired.policy, live.policy),
    ...desired.pkiRoles.map((role, index) => pkiRoleChange(role, live.pkiRoles[index] ?? null)),
    authRoleChange(desired.authRole, live.authRole),
  ];
  return changes.filter((change) => change !== null);
}

export function policyPath(name: string): string[] {
  return ['sys', 'policies', 'acl', name];
}

async function readData(client: VaultClient, path: string[]): Promise<JsonObject | null> {
  const data = (await client.read(path))?.data;
  return isJsonObject(data) ? data : null;
}

function policyChange(policy: DesiredVault['policy'], live: string | null): VaultChange | null {
  if (live?.trim() === policy.rules.trim()) return null;
  return {
    kind: 'policy',
    path: policyPath(policy.name),
    action: live === null ? 'create' : 'update',
    fields: [{ name: 'policy', from: live, to: policy.rules }],
    body: { policy: policy.rules },
  };
}

/** A write replaces the whole PKI role, so what somebody else set on it goes along. */
function pkiRoleChange(role: VaultObject, live: JsonObject | null): VaultChange | null {
  return objectChange('pkiRole', role, live, { ...live, ...role.parameters });
}

/** A write merges into the auth role: parameters that are not sent stay as they are. */
function authRoleChange(role: VaultObject, live: JsonObject | null): VaultChange | null {
  return objectChange('authRole', role, live, role.parameters);
}

function objectChange(
  kind: VaultChange['kind'],
  object: VaultObject,
  live: JsonObject | null,
  body: JsonObject,
): VaultChange | null {
  const fields = Object.entries(object.parameters)
    .map(([name, to]) => ({ name, from: live?.[name] ?? null, to: to ?? null }))
    .filter(({ name, from, to }) => canonical(name, from) !== canonical(name, to));
  if (live !== null && fields.length === 0) return null;
  return { kind, path: object.path, action: live === null ? 'create' : 'update', fields, body };
}

/** One text for all spellings of a value: lists are sets, and Vault leaves out or nulls what is Go's zero value. */
function canonical(name: string, value: Json): string {
  if (value === null || value === '' || value === false || value === 0) return '[]';
  const items = Array.isArray(value) ? value : typeof value === 'string' ? value.split(',') : [value];
  const texts = items.map((item) =>
    typeof item === 'string' ? canonicalText(name, item.trim()) : JSON.stringify(item),
  );
  return JSON.stringify([...new Set(texts)].sort());
}

/** Vault reads single addresses back without their /32 or /128. */
function canonicalText(name: string, text: string): string {
  return name === 'token_bound_cidrs' ? text.replace(/\/(32|128)$/, '') : text;
}
