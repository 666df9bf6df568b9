import { describe, expect, test } from '@jest/globals';
import { caCertificates } from '../../src/vault/authority.ts';
import { checkCapabilities, checkHealth, checkMounts } from '../../src/vault/preflight.ts';
import { problemOf } from '../fakes/problem.ts';
import { desiredVault } from './desired.ts';
import { answer, fakeVault } from './fake-vault.ts';

const HEALTHY = { initialized: true, sealed: false, standby: false, version: '2.6.2' };

describe('health', () => {
  test('a standby that serves is healthy', async () => {
    const { client } = fakeVault(() => answer(200, { ...HEALTHY, standby: true }));
    await expect(checkHealth(client)).resolves.toMatchObject({ standby: true, version: '2.6.2' });
  });

  test('a Vault that is unsealed meanwhile is waited for', async () => {
    const { client, told } = fakeVault((_, count) =>
      count < 3 ? answer(503, { ...HEALTHY, sealed: true }) : answer(200, HEALTHY),
    );
    await expect(checkHealth(client)).resolves.toMatchObject({ sealed: false });
    expect(told).toEqual(['Vault is sealed or unavailable (HTTP 503). Waiting for it, up to 10 s.']);
  });

  test.each([
    ['sealed', answer(503, { ...HEALTHY, sealed: true }), 'vault operator unseal'],
    ['not initialised', answer(501, { ...HEALTHY, initialized: false, sealed: true }), 'vault operator init'],
  ])('%s is told within 10 s', async (_, response, next) => {
    const { client, clock } = fakeVault(() => response);
    const problem = await problemOf(checkHealth(client));
    expect(problem.details).toMatchObject({ kind: 'vault', next: expect.stringContaining(next) });
    expect(clock.slept.reduce((sum, slept) => sum + slept, 0)).toBeLessThanOrEqual(10_000);
  });

  test.each([200, 404])('a server that is not Vault (HTTP %i)', async (status) => {
    const { client } = fakeVault(() => answer(status, '<html>welcome</html>'));
    expect((await problemOf(checkHealth(client))).details.kind).toBe('connection');
  });
});

describe('capabilities', () => {
  const PATHS = {
    'pki/internal/roles/nats-admin-nats-a': ['read', 'update'],
    'pki/internal/roles/nats-server-nats-a': ['read', 'update'],
    'sys/policies/acl/demo-issuer-nats-a': ['read', 'update', 'delete'],
    'auth/kubernetes/role/demo-issuer-nats-a': ['create', 'read', 'update'],
  };

  test('all paths are asked for in one request', async () => {
    const { client, requests } = fakeVault(() => answer(200, { data: PATHS }));
    await checkCapabilities(client, desiredVault(), 'apply');
    expect(requests).toMatchObject([
      { method: 'POST', path: '/v1/sys/capabilities-self', body: { paths: Object.keys(PATHS) } },
    ]);
  });

  test('root may do all', async () => {
    const data = Object.fromEntries(Object.keys(PATHS).map((path) => [path, ['root']]));
    const { client } = fakeVault(() => answer(200, { data }));
    await expect(checkCapabilities(client, desiredVault(), 'apply')).resolves.toBeUndefined();
  });

  test('all that is missing is told in one policy to be pasted, and of which token', async () => {
    const data = {
      ...PATHS,
      'sys/policies/acl/demo-issuer-nats-a': ['deny'],
      'auth/kubernetes/role/demo-issuer-nats-a': ['read', 'update'],
    };
    const self = { display_name: 'jwt-org/app', policies: ['default', 'nats-deployer'] };
    const { client } = fakeVault(({ path }) => answer(200, { data: path.endsWith('/lookup-self') ? self : data }));
    expect((await problemOf(checkCapabilities(client, desiredVault(), 'apply'))).details).toMatchObject({
      kind: 'permission',
      tried: 'Checking what the Vault token of jwt-org/app (policies default, nats-deployer) may do',
      reason: 'Its policies do not allow 2 of 4 paths; nothing was written.',
      next: [
        'Add to a policy of the role that this action logs in with:',
        'path "sys/policies/acl/demo-issuer-nats-a" { capabilities = ["read","update"] }',
        'path "auth/kubernetes/role/demo-issuer-nats-a" { capabilities = ["read","create","update"] }',
      ].join('\n'),
    });
  });

  test('a token that may not look itself up does without a name', async () => {
    const { client } = fakeVault(({ path }) =>
      path.endsWith('/lookup-self') ? answer(403, { errors: ['permission denied'] }) : answer(200, { data: {} }),
    );
    const problem = await problemOf(checkCapabilities(client, desiredVault(), 'apply'));
    expect(problem.details.tried).toBe('Checking what the Vault token may do');
  });

  test('a token that may not ask is told the rule for that', async () => {
    const { client, requests } = fakeVault(() => answer(403, { errors: ['permission denied'] }));
    const problem = await problemOf(checkCapabilities(client, desiredVault(), 'apply'));
    expect(problem.message).toBe(
      'Asking Vault what its token may do: HTTP 403: permission denied. Nothing was written. ' +
        'The token lacks the policy named default; add to one that it has:\n' +
        'path "sys/capabilities-self" { capabilities = ["update"] }',
    );
    expect(requests).toHaveLength(1);
  });
});

describe('mounts', () => {
  const types = (pki: string, auth: string) =>
    fakeVault(({ path }) => answer(200, { data: { type: path.includes('/auth/') ? auth : pki } }));

  test('each is asked for once', async () => {
    const { client, requests } = types('pki', 'kubernetes');
    await checkMounts(client, desiredVault());
    expect(requests.map((request) => request.path)).toEqual([
      '/v1/sys/internal/ui/mounts/pki/internal',
      '/v1/sys/internal/ui/mounts/auth/kubernetes',
    ]);
  });

  test.each([
    ['kv', 'kubernetes', 'it is of type kv, not pki.', 'vault_internal_pki_backend_mount_path'],
    ['pki', 'jwt', 'it is of type jwt, not kubernetes.', 'vault_kubernetes_auth_path'],
  ])('of types %s and %s', async (pki, auth, reason, input) => {
    const problem = await problemOf(checkMounts(types(pki, auth).client, desiredVault()));
    expect(problem.details).toMatchObject({ kind: 'vault', reason, next: expect.stringContaining(input) });
  });

  test('that the token may not see are left to the first read', async () => {
    const { client } = fakeVault(() => answer(403, { errors: ['preflight capability check returned 403'] }));
    await expect(checkMounts(client, desiredVault())).resolves.toBeUndefined();
  });
});

describe("the mount's CA", () => {
  const PEM = '-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n';

  test('is the chain, or the certificate alone where there is none', async () => {
    await expect(caCertificates(fakeVault(() => answer(200, PEM)).client, 'pki/internal')).resolves.toBe(PEM);
    const { client, requests } = fakeVault(({ path }) => (path.endsWith('/ca_chain') ? answer(204) : answer(200, PEM)));
    await expect(caCertificates(client, 'pki/internal')).resolves.toBe(PEM);
    expect(requests.map((request) => request.path)).toEqual(['/v1/pki/internal/ca_chain', '/v1/pki/internal/ca/pem']);
  });

  test('has to be there', async () => {
    const problem = await problemOf(caCertificates(fakeVault(() => answer(204)).client, 'pki/internal'));
    expect(problem.message).toContain('vault write pki/internal/root/generate/internal');
  });

  test.each(['ca_chain', 'ca/pem'])('a missing mount is named whole (%s)', async (missing) => {
    const { client } = fakeVault(({ path }) =>
      path.endsWith(missing)
        ? answer(404, { errors: ['no handler for route "x". route entry not found.'] })
        : answer(204),
    );
    const problem = await problemOf(caCertificates(client, 'pki/internal'));
    expect(problem.message).toContain('No PKI secrets engine is mounted at pki/internal:');
  });
});
