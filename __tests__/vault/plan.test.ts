import { describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../src/json.ts';
import { applyVaultChanges } from '../../src/vault/objects.ts';
import { planVault } from '../../src/vault/plan.ts';
import { problemOf } from '../fakes/problem.ts';
import { desiredVault } from './desired.ts';
import { answer, fakeVault, storedVault } from './fake-vault.ts';

const ADMIN = 'pki/internal/roles/nats-admin-nats-a';
const SERVER = 'pki/internal/roles/nats-server-nats-a';
const POLICY = 'sys/policies/acl/demo-issuer-nats-a';
const AUTH = 'auth/kubernetes/role/demo-issuer-nats-a';

/** Vault after a run of the cluster; the changes are what somebody did to it since. */
async function afterRun(changes: { [path: string]: JsonObject | null } = {}) {
  const vault = storedVault();
  await applyVaultChanges(vault.client, await planVault(vault.client, desiredVault()));
  for (const [path, fields] of Object.entries(changes)) {
    if (fields === null) vault.store.delete(path);
    else vault.store.set(path, { ...vault.store.get(path), ...fields });
  }
  vault.requests.length = 0;
  return vault;
}

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
    await applyVaultChanges(slow, changes);
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
    await applyVaultChanges(client, await planVault(client, desiredVault()));
    await expect(planVault(client, desiredVault())).resolves.toEqual([]);
    expect(store.get(SERVER)).toMatchObject({ allowed_domains: ['nats-a', 'nats-a.demo.svc'] });
  });
});

describe('no change', () => {
  test.each<[string, { [path: string]: JsonObject }]>([
    ['nothing happened', {}],
    ['an empty list comes back as null', { [ADMIN]: { allowed_uri_sans: null } }],
    ['an empty list comes back as an empty string', { [ADMIN]: { allowed_uri_sans: '' } }],
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
      { allowed_uri_sans: ['spiffe://x'] },
      [{ name: 'allowed_uri_sans', from: ['spiffe://x'], to: [] }],
    ],
  ])('%s is shown with both values and repaired', async (_, path, drifted, fields) => {
    const { client } = await afterRun({ [path]: drifted });
    const changes = await planVault(client, desiredVault());
    expect(changes).toMatchObject([{ path: path.split('/'), action: 'update', fields }]);
    await applyVaultChanges(client, changes);
    await expect(planVault(client, desiredVault())).resolves.toEqual([]);
  });

  test('the repair of a PKI role, which is replaced as a whole, keeps what others set', async () => {
    const { client, store } = await afterRun({ [ADMIN]: { max_ttl: 60, ou: ['ops'] } });
    await applyVaultChanges(client, await planVault(client, desiredVault()));
    expect(store.get(ADMIN)).toMatchObject({ max_ttl: 57_600, ou: ['ops'] });
  });

  test('the repair of an auth role, which is merged, sends only what is managed', async () => {
    const { client, writes } = await afterRun({ [AUTH]: { audience: 'other', token_num_uses: 3 } });
    await applyVaultChanges(client, await planVault(client, desiredVault()));
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

describe("what is not this cluster's", () => {
  test('another owner of the policy is named with what to do', async () => {
    const { client, writes } = await afterRun();
    const problem = await problemOf(planVault(client, desiredVault('uid-2/demo/nats-a')));
    expect(problem.details.kind).toBe('conflict');
    expect(problem.message).toContain('cluster nats-a in namespace demo of the Kubernetes cluster');
    expect(problem.message).toContain('uid-1');
    expect(problem.message).toContain('another `name`');
    expect(problem.message).toContain('"# kube-nats-action owner: uid-2/demo/nats-a"');
    expect(writes()).toEqual([]);
  });

  test('a policy with other rules and no mark is left alone', async () => {
    const { client } = await afterRun({ [POLICY]: { policy: 'path "*" { capabilities = ["read"] }' } });
    const problem = await problemOf(planVault(client, desiredVault()));
    expect(problem.details).toMatchObject({ kind: 'conflict', reason: expect.stringContaining('without the mark') });
  });

  test('a policy with the same rules and no mark is taken over', async () => {
    const [, ...rules] = desiredVault().policy.rules.split('\n');
    const { client } = await afterRun({ [POLICY]: { policy: rules.join('\n') } });
    await expect(planVault(client, desiredVault())).resolves.toMatchObject([{ kind: 'policy', action: 'update' }]);
  });

  test.each<[string, { [path: string]: JsonObject | null }, string[]]>([
    [
      'an auth role of another ServiceAccount',
      { [POLICY]: null, [AUTH]: { bound_service_account_namespaces: ['prod'] } },
      [AUTH, 'bound_service_account_namespaces has ["prod"], not ["demo"]'],
    ],
    [
      'a server role of another namespace',
      { [POLICY]: null, [SERVER]: { allowed_domains: ['nats-a', 'nats-a.prod.svc'] } },
      [SERVER, 'allowed_domains has ["nats-a.prod.svc"], not ["nats-a.demo.svc"]'],
    ],
    [
      'a PKI role with other values beside an unmarked policy with the same rules',
      {
        [POLICY]: { policy: desiredVault().policy.rules.replace(/^.*\n/, '') },
        [ADMIN]: { max_ttl: 60 },
      },
      [ADMIN, 'max_ttl is 60, not 57600'],
    ],
  ])('%s is left alone', async (_, changes, parts) => {
    const { client } = await afterRun(changes);
    const problem = await problemOf(planVault(client, desiredVault()));
    expect(problem.details.kind).toBe('conflict');
    for (const part of parts) expect(problem.message).toContain(part);
  });

  test('two clusters of one name at one mount: the second is refused, not half made', async () => {
    const { client, writes } = await afterRun();
    const problem = await problemOf(planVault(client, desiredVault('uid-1/prod/nats-a', 'prod')));
    expect(problem.message).toContain('nats-a.demo.svc');
    expect(writes()).toEqual([]);
  });

  test('roles with the same values and no policy are no conflict', async () => {
    const { client } = await afterRun({ [POLICY]: null });
    await expect(planVault(client, desiredVault())).resolves.toMatchObject([{ kind: 'policy', action: 'create' }]);
  });
});

test('a refused read ends the plan', async () => {
  const { client } = fakeVault(() => answer(403, { errors: ['permission denied'] }));
  expect((await problemOf(planVault(client, desiredVault()))).details.kind).toBe('permission');
});
