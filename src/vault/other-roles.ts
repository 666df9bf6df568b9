import type { Clock } from '../clock.ts';
import type { DesiredVault } from '../desired/state.ts';
import type { Inputs } from '../inputs/table.ts';
import { isJsonObject, type JsonObject, textsIn } from '../json.ts';
import type { Problem } from '../problem.ts';
import type { VaultClient } from './client.ts';
import { pathText } from './path.ts';
import { neededCapabilities } from './preflight.ts';
import { policyRule } from './refusal.ts';

/** Requests at a time: half of a pool's connections, as the Kubernetes API may be asked over the same ones. */
const IN_PARALLEL = 8;

/** Extended key usages that make a client certificate, as Vault spells them (in any case) and by their OIDs. */
const CLIENT_USAGES = ['clientauth', 'any', '1.3.6.1.5.5.7.3.2', '2.5.29.37.0'];

/** Roles that a warning names. */
const SHOWN = 4;

/** A role of somebody else by which the CA signs a certificate that this cluster's servers let in. */
export interface OtherRole {
  name: string;
  /** Whom its certificates pass for: NATS users, and "a server". */
  passesFor: string[];
}

/** What a look at them came to. */
export interface OtherRoles {
  found: OtherRole[];
  /** How many were looked at, of how many there are. */
  looked: number;
  of: number;
}

/** What bounds the look: no role is read or waited for after the deadline, in milliseconds since the epoch. */
export interface LookLimit {
  clock: Clock;
  deadline: number;
}

/**
 * Reads the roles of others at the cluster's PKI mount, until the deadline, and resolves to those that sign client
 * certificates for one of its users or servers. Rejects with the first Problem, such as a missing permission, and asks
 * no further then.
 */
export async function findOtherRoles(
  client: VaultClient,
  desired: DesiredVault,
  { clock, deadline }: LookLimit,
): Promise<OtherRoles> {
  const path = [...desired.pkiMount, 'roles'];
  const own = desired.pkiRoles.map((role) => role.path.at(-1));
  const left = (await client.list(path)).filter((name) => !own.includes(name));
  const of = left.length;
  const found: OtherRole[] = [];
  let looked = 0;
  const done = new AbortController();

  async function readOn(): Promise<void> {
    while (clock.now() < deadline) {
      const name = left.pop();
      if (name === undefined) return;
      const role = (await client.read([...path, name]))?.data;
      looked++;
      const passesFor = isJsonObject(role) ? whomItPassesFor(role, desired.clients) : [];
      if (passesFor.length > 0) found.push({ name, passesFor });
    }
  }
  try {
    const reading = Promise.all(Array.from({ length: IN_PARALLEL }, readOn));
    await Promise.race([reading, clock.sleep(deadline - clock.now(), done.signal)]);
  } finally {
    left.length = 0;
    done.abort();
  }
  return { found: found.toSorted((one, other) => (one.name < other.name ? -1 : 1)), looked, of };
}

/** The warning about them: which they are, what they allow, and what to do. */
export function otherRolesWarning(desired: DesiredVault, roles: OtherRole[]): string {
  const named = roles.slice(0, SHOWN).map(({ name, passesFor }) => `${name} (as ${passesFor.join(', ')})`);
  const more = roles.length - SHOWN;
  return (
    `Whoever may use these roles of ${pathText(desired.pkiMount)} gets certificates that pass for this cluster's own: ` +
    `${named.join('; ')}${more > 0 ? `; and ${more} more` : ''}. Restrict what they sign ` +
    '(allowed_domains, client_flag), or give NATS a PKI mount of its own: docs/vault.md.'
  );
}

/** What is told, beside any warning, where the deadline came before the last role. */
export function otherRolesLeft(desired: DesiredVault, { looked, of }: OtherRoles): string {
  return (
    `Looked at ${looked} of ${of} roles of others at ${pathText(desired.pkiMount)}, as all would have held up the run. ` +
    "Not known: whether the rest sign the names of this cluster's clients"
  );
}

/** What is told in the warning's place where the roles could not be read. */
export function otherRolesUnseen(desired: DesiredVault, mode: Inputs['mode'], { details }: Problem): string {
  const mount = pathText(desired.pkiMount);
  const optional = neededCapabilities(desired, mode).filter(({ optionalFor }) => optionalFor !== undefined);
  const rules = optional.map(({ path, capabilities }) => policyRule(pathText(path), capabilities));
  const because =
    details.kind === 'permission'
      ? `as the Vault token may not read them. To have that looked at, add to a policy of its role: ${rules.join(' ')}`
      : `${details.tried}: ${details.reason}`;
  return `Not known: whether roles of others at ${mount} sign the names of this cluster's clients, ${because}`;
}

function whomItPassesFor(role: JsonObject, { users, hosts }: DesiredVault['clients']): string[] {
  if (!signsClients(role)) return [];
  return [
    ...users.filter(
      (user) => signsDnsName(role, user) || textsIn(role.allowed_uri_sans).some((uri) => globs(uri, user)),
    ),
    ...(hosts.some((host) => signsDnsName(role, host)) ? ['a server'] : []),
  ];
}

/** Whether clients may show its certificates: those that name no usage at all are good for any. */
function signsClients(role: JsonObject): boolean {
  if (role.client_flag !== false) return true;
  const usages = [...textsIn(role.ext_key_usage), ...textsIn(role.ext_key_usage_oids)];
  if (usages.length > 0) return usages.some((usage) => CLIENT_USAGES.includes(usage.toLowerCase()));
  return role.server_flag === false && role.code_signing_flag !== true && role.email_protection_flag !== true;
}

/** As OpenBao 2.6.2 decides, of names without wildcards, "@" and templates: only bare domains are read in any case. */
function signsDnsName(role: JsonObject, name: string): boolean {
  if (role.allow_any_name === true) return true;
  return textsIn(role.allowed_domains).some(
    (domain) =>
      (role.allow_bare_domains === true && domain.toLowerCase() === name) ||
      (role.allow_subdomains === true && name.endsWith(`.${domain}`)) ||
      (role.allow_glob_domains === true && domain.includes('*') && globs(domain, name)),
  );
}

/** Whether a pattern, in which "*" stands for any text, fits the whole of it. */
function globs(pattern: string, text: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(text);
}
