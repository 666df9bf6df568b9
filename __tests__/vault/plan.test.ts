import { describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../src/json.ts';
import { applyVault, planVault } from '../../src/vault/plan.ts';
import { problemOf } from '../fakes/problem.ts';
import { ADMIN, AUTH, afterRun, POLICY, SERVER } from './after-run.ts';
import { desiredVault } from './desired.ts';
import { answer, fakeVault, storedVault } from './fake-vault.ts';

describe('the first run', () => {
  test('creates all: the policy with the mark alone first, the login last', async () => {
    const events: string[] = [];
    const { client } = storedVault();
    const changes = await planVault(client, desiredVault());
    expect(changes.map((change) => [change.path.join('/'), change.action])).toEqual([
      [POLICY, 'create'],
      [ADMIN, 'create'],
      [SERVER, 'create'],
      [AUTH, 'create'],
    ]);
    const slow = {
      ...client,
      async write(path: string[], body: JsonObject) {
        events.push(`> ${path.join('/')}`);
        const answered = await client.write(path, body);
        events.push(`< ${path.join('/')}`);
        return answered;
      },
    };
    await applyVault(slow, desiredVault());
    expect(events).toEqual([
      `> ${POLICY}`,
      `< ${POLICY}`,
      `> ${ADMIN}`,
      `> ${SERVER}`,
      `< ${ADMIN}`,
      `< ${SERVER}`,
      `> ${AUTH}`,
      `< ${AUTH}`,
    ]);
  });

  test('that ended after the policy is finished by the next', async () => {
    const { client, store } = await afterRun({ [ADMIN]: null, [SERVER]: { allowed_domains: [] }, [AUTH]: null });
    await applyVault(client, desiredVault());
    await expect(planVault(client, desiredVault())).resolves.toEqual([]);
    expect(store.get(SERVER)).toMatchObject({ allowed_domains: ['nats-a', 'nats-a.demo.svc'] });
  });
});

describe('no change', () => {
  test.each<[string, { [path: string]: JsonObject }]>([
    ['nothing happened', {}],
    ['an empty list comes back as null', { [ADMIN]: { allowed_other_sans: null } }],
    ['an empty list comes back as an empty string', { [ADMIN]: { allowed_other_sans: '' } }],
    ['lists come back in another order', { [SERVER]: { allowed_domains: ['nats-a.demo.svc', 'nats-a', 'nats-a'] } }],
    ['a list comes back as one string', { [SERVER]: { allowed_domains: 'nats-a,nats-a.demo.svc' } }],
    ['single addresses come back without length', { [AUTH]: { token_bound_cidrs: ['192.168.0.1', '10.0.0.0/8'] } }],
    ['an operator set what is not managed', { [ADMIN]: { ou: ['ops'] }, [AUTH]: { token_num_uses: 3 } }],
    ['the policy lost its last line break', { [POLICY]: { policy: desiredVault().policy.rules.trim() } }],
  ])('where %s', async (_, changes) => {
    const { client, writes } = await afterRun(changes);
    await expect(planVault(client, desiredVault())).resolves.toEqual([]);
    expect(writes()).toEqual([]);
  });
});

describe('drift of what is managed', () => {
  test.each<[string, string, JsonObject, object[]]>([
    ['a duration', ADMIN, { max_ttl: 60 }, [{ name: 'max_ttl', from: 60, to: 57_600 }]],
    ['a switch', ADMIN, { allow_any_name: true }, [{ name: 'allow_any_name', from: true, to: false }]],
    [
      'a list that was emptied',
      AUTH,
      { token_bound_cidrs: [] },
      [{ name: 'token_bound_cidrs', from: [], to: ['10.0.0.0/8', '192.168.0.1/32'] }],
    ],
    [
      'one more in a list',
      SERVER,
      { allowed_other_sans: ['*'] },
      [{ name: 'allowed_other_sans', from: ['*'], to: [] }],
    ],
  ])('%s is shown with both values and repaired', async (_, path, drifted, fields) => {
    const { client } = await afterRun({ [path]: drifted });
    const changes = await planVault(client, desiredVault());
    expect(changes).toMatchObject([{ path: path.split('/'), action: 'update', fields }]);
    await applyVault(client, desiredVault());
    await expect(planVault(client, desiredVault())).resolves.toEqual([]);
  });

  test('the repair of a PKI role, which is replaced as a whole, keeps what others set', async () => {
    const { client, store } = await afterRun({ [ADMIN]: { max_ttl: 60, ou: ['ops'] } });
    await applyVault(client, desiredVault());
    expect(store.get(ADMIN)).toMatchObject({ max_ttl: 57_600, ou: ['ops'] });
  });

  test('the repair of an auth role, which is merged, sends only what is managed', async () => {
    const { client, writes } = await afterRun({ [AUTH]: { audience: 'other', token_num_uses: 3 } });
    await applyVault(client, desiredVault());
    expect(writes().map((request) => request.body)).toEqual([desiredVault().authRole.parameters]);
  });

  test('a field that this Vault does not know counts as off', async () => {
    const desired = desiredVault();
    const [admin] = desired.pkiRoles;
    const { client } = await afterRun();
    if (admin !== undefined) admin.parameters.allow_wildcard_certificates = false;
    await expect(planVault(client, desired)).resolves.toEqual([]);
  });
});

test('a refused read ends the plan', async () => {
  const { client } = fakeVault(() => answer(403, { errors: ['permission denied'] }));
  expect((await problemOf(planVault(client, desiredVault()))).details.kind).toBe('permission');
});
