import type { DesiredVault } from '../desired/state.ts';
import { isJsonObject, type JsonObject, textsIn } from '../json.ts';
import { together } from '../together.ts';
import { VaultAbsent } from './absence.ts';
import type { VaultClient } from './client.ts';
import { policyPath } from './objects.ts';
import { type ForeignObject, isForOthers, ownedBy, policyOwner, roleOwners, unmarked } from './ownership.ts';
import { pathText } from './path.ts';

/** What Vault holds under the names of a cluster. */
export interface VaultFindings {
  /** Paths of what is the cluster's, in the waves in which it has to go. */
  own: string[][][];
  /** What is not, and stays. */
  foreign: ForeignObject[];
  /** Paths below mounts that do not exist. */
  unmounted: string[][];
}

/** Every path that a cluster may have an object at, once each. */
export function removablePaths(places: DesiredVault[]): string[][] {
  return wavesOf(places).flat();
}

/**
 * The order in which they go. The auth role is first, so that nobody logs in any more; the policy is last, as its first line
 * tells the next run whose the rest is, where this one is killed.
 */
function wavesOf(places: DesiredVault[]): string[][][] {
  return [
    places.map(({ authRole }) => authRole.path),
    places.flatMap(({ pkiRoles }) => pkiRoles.map(({ path }) => path)),
    places.map(({ policy }) => policyPath(policy.name)),
  ].map((paths) => [...new Map(paths.map((path) => [pathText(path), path])).values()]);
}

/**
 * Looks whose they are. A policy and a PKI role tell it by their marks; a PKI role without one follows the policy. The auth
 * role is bound to this cluster's ServiceAccount, and another owner's mark on what it goes with makes it that one's.
 *
 * @param places the same cluster's objects, at each mount and auth method where it may have them
 */
export async function findInVault(client: VaultClient, places: DesiredVault[]): Promise<VaultFindings> {
  const paths = removablePaths(places);
  const answers = new Map(
    await Promise.all(paths.map(async (path) => [pathText(path), await readAt(client, path)] as const)),
  );
  const live = (path: string[]): JsonObject | null => {
    const answer = answers.get(pathText(path));
    return isJsonObject(answer) ? answer : null;
  };
  const foreign = new Map(
    places.flatMap((place) => foreignIn(place, live)).map((object) => [pathText(object.path), object]),
  );
  return {
    own: wavesOf(places).map((wave) => wave.filter((path) => live(path) !== null && !foreign.has(pathText(path)))),
    foreign: [...foreign.values()],
    unmounted: paths.filter((path) => answers.get(pathText(path)) === 'unmounted'),
  };
}

/**
 * Removes what is the cluster's.
 *
 * @param removed is told each path
 */
export async function removeFromVault(
  client: VaultClient,
  places: DesiredVault[],
  removed: (path: string[]) => void,
): Promise<void> {
  for (const wave of (await findInVault(client, places)).own) {
    await together(wave.map((path) => client.delete(path).then(() => removed(path))));
  }
}

async function readAt(client: VaultClient, path: string[]): Promise<JsonObject | 'unmounted' | null> {
  try {
    const data = (await client.read(path))?.data;
    return isJsonObject(data) ? data : null;
  } catch (error) {
    if (error instanceof VaultAbsent && error.absence === 'unmounted') return 'unmounted';
    throw error;
  }
}

function foreignIn(place: DesiredVault, live: (path: string[]) => JsonObject | null): ForeignObject[] {
  const policy = live(policyPath(place.policy.name));
  const marked = policy === null ? null : policyOwner(String(policy.policy ?? ''));
  const roles = place.pkiRoles.flatMap(({ path }) => {
    const role = live(path);
    return role === null ? [] : [{ path, owners: roleOwners(role) }];
  });
  const others = [marked, ...roles.flatMap(({ owners }) => owners)].filter(
    (owner) => owner !== null && owner !== place.owner,
  );
  const other = others[0] ?? null;
  const objects = [
    policy === null ? null : foreignBy(place, policyPath(place.policy.name), marked),
    ...roles.map(({ path, owners }) =>
      foreignBy(place, path, owners.find((owner) => owner !== place.owner) ?? owners[0] ?? marked),
    ),
    foreignAuthRole(place, live(place.authRole.path), policy !== null && marked === null, other),
  ];
  return objects.filter((object) => object !== null);
}

function foreignBy(place: DesiredVault, path: string[], owner: string | null): ForeignObject | null {
  if (owner === place.owner) return null;
  return owner === null ? unmarked(path, []) : ownedBy(place, path, owner);
}

function foreignAuthRole(
  place: DesiredVault,
  role: JsonObject | null,
  hasUnmarkedPolicy: boolean,
  other: string | null,
): ForeignObject | null {
  const { path, parameters } = place.authRole;
  if (role === null) return null;
  const isBoundElsewhere = (['bound_service_account_names', 'bound_service_account_namespaces'] as const).some(
    (field) => isForOthers(textsIn(role[field]), textsIn(parameters[field])),
  );
  if (isBoundElsewhere) return { path, words: 'is bound to ServiceAccounts of others', owned: true };
  if (other !== null) return ownedBy(place, path, other);
  return hasUnmarkedPolicy ? unmarked(path, []) : null;
}
