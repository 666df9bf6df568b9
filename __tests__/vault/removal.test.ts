import { describe, expect, test } from '@jest/globals';
import { applyVault } from '../../src/vault/plan.ts';
import { findInVault, removeFromVault } from '../../src/vault/removal.ts';
import { ADMIN, AUTH, afterRun, POLICY, SERVER } from './after-run.ts';
import { COLLISIONS, claim } from './collisions.ts';
import { desiredVault } from './desired.ts';
import { answer, fakeVault, storedVault } from './fake-vault.ts';

const WITHOUT_MARK = { allowed_uri_sans: [] };
const UNMARKED_POLICY = { policy: desiredVault().policy.rules.replace(/^.*\n/, '') };

async function removed(vault: Awaited<ReturnType<typeof afterRun>>, places = [desiredVault()]): Promise<string[]> {
  const paths: string[] = [];
  await removeFromVault(vault.client, places, (path) => paths.push(path.join('/')));
  return paths;
}

test('the login goes first, and the policy last, which tells whose the rest is', async () => {
  const vault = await afterRun();
  expect(await removed(vault)).toEqual([AUTH, ADMIN, SERVER, POLICY]);
  expect([...vault.store]).toEqual([]);
  expect(await removed(vault)).toEqual([]);
});

test('what an interrupted run left is found', async () => {
  const vault = await afterRun({ [AUTH]: null, [ADMIN]: null });
  expect(await removed(vault)).toEqual([SERVER, POLICY]);
});

test('a cluster that has been at several mounts and auth methods is removed from all of them', async () => {
  const place = desiredVault();
  const other = {
    ...place,
    pkiRoles: place.pkiRoles.map((role) => ({ ...role, path: ['pki/b', 'roles', String(role.path.at(-1))] })),
    authRole: { ...place.authRole, path: ['auth', 'b', 'role', 'demo-issuer-nats-a'] },
  };
  const vault = await afterRun();
  await applyVault(vault.client, other);
  await removed(vault, [place, other]);
  expect([...vault.store]).toEqual([]);
});

describe('what is left', () => {
  test.each(COLLISIONS)('is all of the other, in a collision of $title', async ({ first, second, objects }) => {
    const vault = storedVault();
    const uid = '6f8bb0a5-7a0c-4d0a-9d86-1f6e5a3c9b11';
    await applyVault(vault.client, claim(first, uid));
    const before = [...vault.store.keys()];
    const places = [claim(second, uid)];
    const { foreign } = await findInVault(vault.client, places);
    expect(foreign.map(({ path }) => path.join('/'))).toEqual(expect.arrayContaining(objects));
    await removeFromVault(vault.client, places, () => {});
    expect([...vault.store.keys()]).toEqual(before);
  });

  test.each([
    ['a policy without a mark, and what goes with it', { [POLICY]: UNMARKED_POLICY, [ADMIN]: WITHOUT_MARK }, [SERVER]],
    [
      'a role that somebody else has marked',
      { [ADMIN]: { allowed_uri_sans: ['kube-nats-action://uid-2/demo/nats-a'] } },
      [SERVER, POLICY],
    ],
    ['a login of somebody else', { [AUTH]: { bound_service_account_namespaces: ['theirs'] } }, [ADMIN, SERVER, POLICY]],
  ])('is %s', async (_, changes, gone) => {
    expect(await removed(await afterRun(changes))).toEqual(gone);
  });
});

test.each([
  ['a role of an earlier version goes with its policy', { [ADMIN]: WITHOUT_MARK }, [AUTH, ADMIN, SERVER, POLICY]],
  ['a login goes whose policy somebody took away', { [POLICY]: null }, [AUTH, ADMIN, SERVER]],
])('%s', async (_, changes, gone) => {
  expect(await removed(await afterRun(changes))).toEqual(gone);
});

test('paths below a mount that does not exist are told, and the rest removed', async () => {
  const vault = await afterRun();
  const { client } = fakeVault((request) => {
    const key = request.path.replace('/v1/', '');
    if (key.startsWith('pki/'))
      return answer(404, { errors: ['no handler for route "pki/internal". route entry not found.'] });
    if (request.method === 'DELETE') vault.store.delete(key);
    const live = vault.store.get(key);
    return live === undefined ? answer(404, { errors: [] }) : answer(200, { data: live });
  });
  const { unmounted } = await findInVault(client, [desiredVault()]);
  expect(unmounted.map((path) => path.join('/'))).toEqual([ADMIN, SERVER]);
  await removeFromVault(client, [desiredVault()], () => {});
  expect([...vault.store.keys()].sort()).toEqual([ADMIN, SERVER]);
});
