import { describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../src/json.ts';
import { applyVault, planVault } from '../../src/vault/plan.ts';
import { problemOf } from '../fakes/problem.ts';
import { ADMIN, AUTH, afterRun, POLICY, SERVER } from './after-run.ts';
import { COLLISIONS, claim } from './collisions.ts';
import { desiredVault } from './desired.ts';
import { storedVault } from './fake-vault.ts';

const UID = '6f8bb0a5-7a0c-4d0a-9d86-1f6e5a3c9b11';

/** What others than this action see of it. */
const WITHOUT_MARK = { allowed_uri_sans: [] };
const UNMARKED_POLICY = { policy: desiredVault().policy.rules.replace(/^.*\n/, '') };

describe('a collision', () => {
  test.each(COLLISIONS)('of $title: the second run is told whose it is', async ({ first, second, objects, words }) => {
    const { client, store, writes } = storedVault();
    const theirs = claim(first, UID);
    await applyVault(client, theirs);
    const before = structuredClone([...store]);
    const count = writes().length;

    const { details } = await problemOf(planVault(client, claim(second, UID)));
    expect(details.kind).toBe('conflict');
    const told = (details.findings ?? []).map((finding) => finding.split(' ')[0]);
    expect(told).toEqual(expect.arrayContaining(objects));
    for (const finding of details.findings ?? []) {
      if (objects.includes(finding.split(' ')[0] ?? '')) expect(finding).toContain(words);
    }
    expect(details.next).toContain('another `name`');

    await problemOf(applyVault(client, claim(second, UID)));
    expect([...store]).toEqual(before);
    expect(writes()).toHaveLength(count);
  });

  test('is none at PKI mounts of their own', async () => {
    const { client } = storedVault();
    const mount = { vault_internal_pki_backend_mount_path: 'pki/nats' };
    await applyVault(client, claim({ namespace: 'a', name: 'nats' }, UID));
    const other = claim({ namespace: 'b', name: 'nats', inputs: mount }, UID);
    await expect(applyVault(client, other)).resolves.toHaveLength(7);
  });

  test('of names that join to the same tells whom the login is bound to', async () => {
    const { client } = storedVault();
    await applyVault(client, claim({ namespace: 'a', name: 'b-issuer-c' }, UID));
    const { details } = await problemOf(planVault(client, claim({ namespace: 'a-issuer-b', name: 'c' }, UID)));
    expect(details.findings).toContain(
      'auth/kubernetes/role/a-issuer-b-issuer-c is bound to ServiceAccount issuer-b-issuer-c in namespace a',
    );
    expect(details.next).toContain('another vault_namespace');
  });
});

describe("under a policy that is this cluster's", () => {
  test('roles of an earlier version, which have no mark, are taken over and marked', async () => {
    const { client, store } = await afterRun({ [ADMIN]: { ...WITHOUT_MARK, max_ttl: 60 }, [SERVER]: WITHOUT_MARK });
    const written = await applyVault(client, desiredVault());
    expect(written.map(({ path }) => path.join('/'))).toEqual([ADMIN, SERVER]);
    expect(store.get(ADMIN)).toMatchObject({
      allowed_uri_sans: ['kube-nats-action://uid-1/demo/nats-a'],
      max_ttl: 57_600,
    });
  });

  test("a role that carries another's mark is left alone", async () => {
    const marks = ['kube-nats-action://uid-1/demo/nats-a', 'kube-nats-action://uid-2/prod/nats-a'];
    const { client, writes } = await afterRun({ [ADMIN]: { allowed_uri_sans: marks } });
    const { details } = await problemOf(planVault(client, desiredVault()));
    expect(details.findings).toEqual([
      `${ADMIN} belongs to NATS cluster nats-a in namespace prod of another Kubernetes cluster (its kube-system namespace has uid uid-2)`,
    ]);
    expect(details.next).toContain('another PKI mount (vault_internal_pki_backend_mount_path)');
    expect(details.next).toContain('vault delete PATH');
    expect(writes()).toEqual([]);
  });

  test.each<[string, JsonObject, string]>([
    ['another ServiceAccount', { bound_service_account_names: ['other'] }, 'ServiceAccount other in namespace demo'],
    [
      'another namespace',
      { bound_service_account_namespaces: ['prod', 'test'] },
      'ServiceAccount issuer-nats-a in namespace prod, test',
    ],
  ])('a login that is bound to %s is left alone', async (_, bound, words) => {
    const { client, writes } = await afterRun({ [AUTH]: bound });
    const { details } = await problemOf(planVault(client, desiredVault()));
    expect(details.findings).toEqual([`${AUTH} is bound to ${words}`]);
    expect(writes()).toEqual([]);
  });

  test.each<[string, JsonObject]>([
    ['one ServiceAccount more', { bound_service_account_names: ['issuer-nats-a', 'other'] }],
    ['all namespaces', { bound_service_account_namespaces: ['*'] }],
    ['another audience', { audience: 'other' }],
  ])('a login that was opened to %s is repaired', async (_, drifted) => {
    const { client, store } = await afterRun({ [AUTH]: drifted });
    await expect(applyVault(client, desiredVault())).resolves.toMatchObject([{ kind: 'authRole', action: 'update' }]);
    expect(store.get(AUTH)).toMatchObject(desiredVault().authRole.parameters);
  });
});

describe('a policy', () => {
  test('of another owner is named with him', async () => {
    const { client, writes } = await afterRun();
    const { details } = await problemOf(planVault(client, desiredVault('uid-2/demo/nats-a')));
    expect(details.findings?.[0]).toBe(
      `${POLICY} belongs to NATS cluster nats-a in namespace demo of another Kubernetes cluster (its kube-system namespace has uid uid-1)`,
    );
    expect(writes()).toEqual([]);
  });

  test('with other rules and no mark is left alone, with how to hand it over', async () => {
    const { client } = await afterRun({ [POLICY]: { policy: 'path "*" { capabilities = ["read"] }' } });
    const { details } = await problemOf(planVault(client, desiredVault()));
    expect(details.findings).toEqual([`${POLICY} has other rules and no mark of an owner`]);
    expect(details.next).toContain('make "# kube-nats-action owner: uid-1/demo/nats-a" the first line of policy');
  });

  test('with the same rules and no mark is taken over', async () => {
    const { client } = await afterRun({ [POLICY]: UNMARKED_POLICY });
    await expect(planVault(client, desiredVault())).resolves.toMatchObject([{ kind: 'policy', action: 'update' }]);
  });

  test('that is gone comes back, where the roles are marked', async () => {
    const { client } = await afterRun({ [POLICY]: null });
    await expect(planVault(client, desiredVault())).resolves.toMatchObject([{ kind: 'policy', action: 'create' }]);
  });
});

describe('objects without a mark', () => {
  test.each<[string, { [path: string]: JsonObject | null }, string]>([
    [
      'a login with other values and no policy',
      { [POLICY]: null, [AUTH]: { audience: 'other' } },
      `${AUTH} has no mark of an owner, and other values: audience is "other", not "vault://demo/nats-a"`,
    ],
    [
      'a role with other values and no policy',
      { [POLICY]: null, [SERVER]: { ...WITHOUT_MARK, allowed_domains: ['nats-a', 'nats-a.prod.svc'] } },
      `${SERVER} has no mark of an owner, and other values: allowed_domains has ["nats-a.prod.svc"], not ["nats-a.demo.svc"]`,
    ],
    [
      'a role with the same values and no policy, which may be that of another namespace',
      { [POLICY]: null, [ADMIN]: WITHOUT_MARK },
      `${ADMIN} has no mark of an owner`,
    ],
    [
      'a role with other values beside an unmarked policy with the same rules',
      { [POLICY]: UNMARKED_POLICY, [ADMIN]: { ...WITHOUT_MARK, max_ttl: 60 } },
      `${ADMIN} has no mark of an owner, and other values: max_ttl is 60, not 57600`,
    ],
  ])('%s: left alone', async (_, changes, finding) => {
    const { client, writes } = await afterRun(changes);
    const { details } = await problemOf(planVault(client, desiredVault()));
    expect(details).toMatchObject({ kind: 'conflict', findings: [finding] });
    expect(details.next).toContain('To hand over to this action what has no mark');
    expect(writes()).toEqual([]);
  });

  test('and the values and rules of this cluster are taken over', async () => {
    const { client } = await afterRun({ [POLICY]: UNMARKED_POLICY, [ADMIN]: WITHOUT_MARK });
    await expect(planVault(client, desiredVault())).resolves.toMatchObject([{ kind: 'policy' }, { kind: 'pkiRole' }]);
  });
});

describe('another writer at the same time', () => {
  /** A cluster of the same name in another namespace, whose run comes between right before that write or read. */
  async function raceAt(isMoment: (request: string, count: number) => boolean) {
    const vault = storedVault();
    const theirs = desiredVault('uid-1/prod/nats-a', 'prod');
    let theirWrites = -1;
    let count = 0;
    async function come(request: string) {
      if (theirWrites < 0 && isMoment(request, ++count)) {
        theirWrites = 0;
        for (const { path, parameters } of theirs.pkiRoles) await vault.client.write(path, parameters);
      }
    }
    const client = {
      ...vault.client,
      async write(path: string[], body: JsonObject) {
        await come(`write ${path.join('/')}`);
        return vault.client.write(path, body);
      },
      async read(path: string[]) {
        await come(`read ${path.join('/')}`);
        return vault.client.read(path);
      },
    };
    const problem = await problemOf(applyVault(client, desiredVault()));
    return { ...vault, problem };
  }

  test('that comes before the roles are written is seen, and its roles stay', async () => {
    const { problem, store } = await raceAt((request) => request === `write ${POLICY}`);
    expect(problem.message).toContain('NATS cluster nats-a in namespace prod');
    expect(store.get(ADMIN)).toMatchObject({ allowed_uri_sans: ['kube-nats-action://uid-1/prod/nats-a'] });
    expect(store.has(AUTH)).toBe(false);
  });

  test('that overwrites the roles is seen before anybody logs in', async () => {
    let written = false;
    const { problem, store } = await raceAt((request) => {
      if (request === `write ${SERVER}`) written = true;
      return written && request === `read ${ADMIN}`;
    });
    expect(problem.message).toContain('NATS cluster nats-a in namespace prod');
    expect(store.has(AUTH)).toBe(false);
  });

  test('that overwrites the roles at the very end is seen', async () => {
    let written = false;
    const { problem } = await raceAt((request) => {
      if (request === `write ${AUTH}`) written = true;
      return written && request === `read ${ADMIN}`;
    });
    expect(problem.message).toContain('NATS cluster nats-a in namespace prod');
  });
});

describe('what the Terraform module made for a cluster that is taken over', () => {
  const MODULE_POLICY =
    'path "pki/internal/sign/nats-admin-nats-a" {\n  capabilities = ["create", "read", "update"]\n}\n';
  const adopted = { ...desiredVault(), adopted: true };
  const made = {
    [POLICY]: { policy: MODULE_POLICY },
    [ADMIN]: { ...WITHOUT_MARK, key_usage: [] },
    [SERVER]: null,
    [AUTH]: { token_ttl: 60 },
  };

  test('is taken over and marked', async () => {
    const { client, store } = await afterRun(made);
    await applyVault(client, adopted);
    expect(store.get(POLICY)).toMatchObject({ policy: adopted.policy.rules });
    expect(store.get(ADMIN)).toMatchObject({ allowed_uri_sans: ['kube-nats-action://uid-1/demo/nats-a'] });
    expect(await planVault(client, adopted)).toEqual([]);
  });

  test('is left alone where no cluster is taken over', async () => {
    const { client, writes } = await afterRun(made);
    const { details } = await problemOf(planVault(client, desiredVault()));
    expect(details.findings).toHaveLength(3);
    expect(writes()).toEqual([]);
  });

  test.each<[string, { [path: string]: JsonObject | null }, string]>([
    [
      'a policy that allows another path',
      { [POLICY]: { policy: `${MODULE_POLICY}path "secret/data/x" { capabilities = ["read"] }\n` } },
      POLICY,
    ],
    ['a policy that allows more', { [POLICY]: { policy: MODULE_POLICY.replace('"read"', '"sudo"') } }, POLICY],
    ['a policy that says something else', { [POLICY]: { policy: `${MODULE_POLICY}# of another\n` } }, POLICY],
    ['a PKI role of other names', { [ADMIN]: { ...WITHOUT_MARK, allowed_domains: ['example.com'] } }, ADMIN],
    ["another cluster's PKI role", { [ADMIN]: { allowed_uri_sans: ['kube-nats-action://uid-2/prod/nats-a'] } }, ADMIN],
    ['a login of another ServiceAccount', { [AUTH]: { bound_service_account_names: ['deployer'] } }, AUTH],
  ])('is not %s', async (_, changes, path) => {
    const { client, writes } = await afterRun({ ...made, ...changes });
    const { details } = await problemOf(planVault(client, adopted));
    expect(details.findings?.map((finding) => finding.split(' ')[0])).toContain(path);
    expect(writes()).toEqual([]);
  });
});
