import { describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../src/json.ts';
import type { VaultClient } from '../../src/vault/client.ts';
import { findOtherRoles, type OtherRole, otherRolesUnseen, otherRolesWarning } from '../../src/vault/other-roles.ts';
import { fakeClock } from '../fakes/clock.ts';
import { problemOf } from '../fakes/problem.ts';
import { desiredVault } from './desired.ts';
import { answer, fakeVault, type Handler } from './fake-vault.ts';
import { HOST, ROLE_CASES, USER } from './other-roles-table.ts';

const ROLES = '/v1/pki/internal/roles';
const DESIRED = { ...desiredVault(), clients: { users: [USER], hosts: [HOST] } };
const ANY_NAME = { allow_any_name: true, client_flag: true };

/** Looks at all of them, as nothing takes time. */
async function lookThrough(client: VaultClient): Promise<OtherRole[]> {
  const clock = fakeClock();
  const { found, looked, of } = await findOtherRoles(client, DESIRED, { clock, deadline: clock.now() + 1 });
  expect(looked).toBe(of);
  return found;
}

/** A mount with these roles; `more` answers in their place where it does not return null. */
function mountWith(
  roles: { [name: string]: JsonObject },
  more: (path: string) => ReturnType<Handler> | null = () => null,
) {
  return fakeVault(({ path }) => {
    const other = more(path);
    if (other !== null) return other;
    if (path === `${ROLES}?list=true`) return answer(200, { data: { keys: Object.keys(roles) } });
    const role = roles[path.slice(ROLES.length + 1)];
    return role === undefined ? answer(404, { errors: [] }) : answer(200, { data: role });
  });
}

describe("a role of somebody else's", () => {
  test.each(ROLE_CASES)('$title', async ({ title, parameters, passesFor }) => {
    const { client } = mountWith({ [title]: { client_flag: true, server_flag: true, ...parameters } });
    const found = await lookThrough(client);
    expect(found).toEqual(passesFor.length === 0 ? [] : [{ name: title, passesFor }]);
  });
});

describe('the roles at the mount', () => {
  test('are read but for the own ones', async () => {
    const { client, requests } = mountWith({ 'nats-admin-nats-a': ANY_NAME, web: {} });
    await expect(lookThrough(client)).resolves.toEqual([]);
    expect(requests.map(({ path }) => path)).toEqual([`${ROLES}?list=true`, `${ROLES}/web`]);
  });

  test('may be none at all, and may go meanwhile', async () => {
    await expect(lookThrough(fakeVault(() => answer(404, { errors: [] })).client)).resolves.toEqual([]);
    const gone = mountWith({ web: ANY_NAME }, (path) => (path.endsWith('/web') ? answer(404, { errors: [] }) : null));
    await expect(lookThrough(gone.client)).resolves.toEqual([]);
  });

  test('are told in an order that does not change, however many at a time are read', async () => {
    const names = Array.from({ length: 50 }, (_, index) => `role-${String(index).padStart(2, '0')}`);
    const { client, requests } = mountWith(Object.fromEntries(names.toReversed().map((name) => [name, ANY_NAME])));
    expect((await lookThrough(client)).map(({ name }) => name)).toEqual(names);
    expect(requests).toHaveLength(51);
  });

  test('are read eight at a time', async () => {
    const names = Array.from({ length: 40 }, (_, index) => `role-${index}`);
    let now = 0;
    let most = 0;
    const { client } = mountWith(Object.fromEntries(names.map((name) => [name, {}])));
    const counted = {
      ...client,
      async read(path: string[]) {
        most = Math.max(most, ++now);
        return client.read(path).finally(() => now--);
      },
    };
    await lookThrough(counted);
    expect(most).toBe(8);
  });

  test.each([
    ['listed', 1, () => true],
    ['read', 9, (path: string) => !path.includes('?')],
    ['read, one of them', 17, (path: string) => path.endsWith('/role-39')],
  ])('that may not be %s are asked for no further, and not again', async (_, most, refuses) => {
    const names = Array.from({ length: 40 }, (_, index) => `role-${index}`);
    const { client, requests, clock } = mountWith(Object.fromEntries(names.map((name) => [name, {}])), (path) =>
      refuses(path) ? answer(403, { errors: ['permission denied'] }) : null,
    );
    const problem = await problemOf(lookThrough(client));
    // Whatever the others were about to ask is asked by then.
    await new Promise(setImmediate);
    expect(requests.length).toBeLessThanOrEqual(most);
    expect(clock.slept).toEqual([]);
    expect(otherRolesUnseen(DESIRED, 'apply', problem)).toContain(
      'add to a policy of its role: path "pki/internal/roles/*" { capabilities = ["list","read"] }',
    );
  });

  test('that Vault fails to tell are told as not known', async () => {
    const problem = await problemOf(lookThrough(fakeVault(() => answer(501, { errors: ['no'] })).client));
    expect(otherRolesUnseen(DESIRED, 'apply', problem)).toMatch(/^Not known: .*pki\/internal.* HTTP 501: no\.$/);
  });
});

test('the warning names a few of the roles, what they allow and what to do', () => {
  const roles = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => ({ name, passesFor: [USER, 'a server'] }));
  const warning = otherRolesWarning(DESIRED, roles);
  expect(warning).toContain('these roles of pki/internal');
  expect(warning).toContain('a (as admin-nats-a, a server); b (as');
  expect(warning).toContain('; and 2 more.');
  expect(warning).toContain('a PKI mount of its own: docs/vault.md');
  expect(otherRolesWarning(DESIRED, roles.slice(0, 4))).not.toContain('more.');
});
