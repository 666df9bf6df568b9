import { describe, expect, test } from '@jest/globals';
import { type LoginInputs, type LoginPorts, login, revoke } from '../../src/vault/login.ts';
import { problemOf } from '../fakes/problem.ts';
import { answer, fakeVault, TOKEN } from './fake-vault.ts';

const INPUTS: LoginInputs = {
  vault_auth_method: 'jwt',
  vault_auth_path: null,
  vault_role: 'deploy',
  vault_jwt_audience: null,
  vault_token: null,
  vault_role_id: null,
  vault_secret_id: null,
  vault_kubernetes_token_path: '/run/token',
};

const PORTS: LoginPorts = {
  idToken: async (audience = 'default') => `id-token for ${audience}`,
  readFile: async (path) => `token in ${path}\n`,
};

function minted(auth: { [name: string]: string | number } = {}) {
  return answer(200, { auth: { client_token: TOKEN, token_type: 'service', lease_duration: 300, ...auth } });
}

describe('each method sends what it needs to its path', () => {
  test.each<[string, Partial<LoginInputs>, string, object]>([
    ['jwt', {}, 'auth/jwt/login', { role: 'deploy', jwt: 'id-token for default' }],
    [
      'jwt with audience and path',
      { vault_jwt_audience: 'vault', vault_auth_path: 'ci/github' },
      'auth/ci/github/login',
      { role: 'deploy', jwt: 'id-token for vault' },
    ],
    [
      'approle',
      { vault_auth_method: 'approle', vault_role_id: 'r', vault_secret_id: 's' },
      'auth/approle/login',
      { role_id: 'r', secret_id: 's' },
    ],
    [
      'kubernetes',
      { vault_auth_method: 'kubernetes' },
      'auth/kubernetes/login',
      { role: 'deploy', jwt: 'token in /run/token' },
    ],
  ])('%s', async (_, inputs, path, body) => {
    const { client, requests } = fakeVault(() => minted());
    client.setToken(null);
    const result = await login(client, { ...INPUTS, ...inputs }, PORTS);
    expect(result).toEqual({ token: TOKEN, minted: true, revocable: true, ttl: 300 });
    expect(requests[0]).toMatchObject({ method: 'POST', path: `/v1/${path}`, body });
    await client.read(['x']);
    expect(requests[1]?.headers).toMatchObject({ 'X-Vault-Token': TOKEN });
  });

  test('a batch token cannot be revoked', async () => {
    const { client } = fakeVault(() => minted({ token_type: 'batch' }));
    await expect(login(client, INPUTS, PORTS)).resolves.toMatchObject({ minted: true, revocable: false });
  });

  test('a token that was handed in is looked up, and never revoked', async () => {
    const { client, requests } = fakeVault(() => answer(200, { data: { ttl: 1800, id: TOKEN } }));
    const inputs: LoginInputs = { ...INPUTS, vault_auth_method: 'token', vault_token: TOKEN };
    await expect(login(client, inputs, PORTS)).resolves.toEqual({
      token: TOKEN,
      minted: false,
      revocable: false,
      ttl: 1800,
    });
    expect(requests[0]).toMatchObject({ method: 'GET', path: '/v1/auth/token/lookup-self' });
  });
});

describe('failures tell what the method needs', () => {
  test('a token that Vault does not know', async () => {
    const { client } = fakeVault(() => answer(403, { errors: ['permission denied'] }));
    const problem = await problemOf(
      login(client, { ...INPUTS, vault_auth_method: 'token', vault_token: TOKEN }, PORTS),
    );
    expect(problem.details).toMatchObject({
      kind: 'permission',
      next: expect.stringContaining('vault_token is wrong'),
    });
  });

  test('no permission for an ID token', async () => {
    const { client, requests } = fakeVault(() => minted());
    const idToken = async () => {
      throw new Error('Error message: Unable to get ACTIONS_ID_TOKEN_REQUEST_URL env variable');
    };
    const problem = await problemOf(login(client, INPUTS, { ...PORTS, idToken }));
    expect(problem.details.kind).toBe('permission');
    expect(problem.message).toContain('permissions: id-token: write');
    expect(problem.message).toContain('forks');
    expect(requests).toEqual([]);
  });

  test("GitHub's token service out of order", async () => {
    const idToken = async () => {
      throw new Error('Failed to get ID Token. \n Error Code : 503\n Error Message: Bearer request-token');
    };
    const problem = await problemOf(login(fakeVault(() => minted()).client, INPUTS, { ...PORTS, idToken }));
    expect(problem.details).toMatchObject({ kind: 'connection', reason: expect.stringContaining('503') });
    expect(problem.message).not.toContain('request-token');
  });

  test('no ServiceAccount token', async () => {
    const readFile = async () => {
      throw new Error("ENOENT: no such file or directory, open '/run/token'");
    };
    const inputs: LoginInputs = { ...INPUTS, vault_auth_method: 'kubernetes' };
    const problem = await problemOf(login(fakeVault(() => minted()).client, inputs, { ...PORTS, readFile }));
    expect(problem.message).toContain('vault_kubernetes_token_path');
    expect(problem.message).toContain('automountServiceAccountToken');
  });

  test.each<[string, number, string, string, string]>([
    ['a role that does not exist', 400, 'role "deploy" could not be found', 'vault', 'Check vault_role'],
    ['another audience', 400, 'error validating token: invalid audience', 'vault', 'audience'],
    ['an auth method that is not enabled', 403, 'permission denied', 'permission', 'auth/jwt'],
    ['an auth method without configuration', 400, 'could not load configuration', 'vault', 'write auth/jwt/config'],
  ])('%s', async (_, status, error, kind, next) => {
    const { client } = fakeVault(() => answer(status, { errors: [error] }));
    const problem = await problemOf(login(client, INPUTS, PORTS));
    expect(problem.details).toMatchObject({ kind, next: expect.stringContaining(next) });
    expect(problem.message).toContain('Logging in to Vault at auth/jwt/login (jwt, role deploy): HTTP ');
    expect(problem.message).not.toContain('id-token for');
  });

  test.each<[string, Partial<LoginInputs>, number, string, string]>([
    [
      'a secret ID that is used up',
      { vault_auth_method: 'approle', vault_role: null, vault_role_id: 'role-1', vault_secret_id: 'secret-1' },
      400,
      'invalid role or secret ID',
      'Logging in to Vault at auth/approle/login (approle): HTTP 400: invalid role or secret ID. ' +
        'Check vault_role_id, and make a new vault_secret_id',
    ],
    [
      'the ServiceAccount of another pod',
      { vault_auth_method: 'kubernetes' },
      403,
      'service account name not authorized',
      'Logging in to Vault at auth/kubernetes/login (kubernetes, role deploy): HTTP 403: service account name not ' +
        'authorized. Check vault_role, and what that role of auth/kubernetes is bound to: ServiceAccount',
    ],
    [
      'a ServiceAccount token that Kubernetes does not know',
      { vault_auth_method: 'kubernetes', vault_auth_path: 'k8s/dev' },
      403,
      'permission denied',
      'whether no auth method is enabled at auth/k8s/dev or it does not trust the credentials: check vault_auth_path',
    ],
  ])('%s', async (_, inputs, status, error, message) => {
    const { client } = fakeVault(() => answer(status, { errors: [error] }));
    const problem = await problemOf(login(client, { ...INPUTS, ...inputs }, PORTS));
    expect(problem.message).toContain(message);
    expect(problem.message).not.toContain('jwt');
  });

  test('a second factor', async () => {
    const { client } = fakeVault(() => answer(200, { auth: { client_token: '', mfa_requirement: {} } }));
    expect((await problemOf(login(client, INPUTS, PORTS))).message).toContain('MFA');
  });
});

test('revoke ends the token of the client and forgets it', async () => {
  const { client, requests } = fakeVault(() => answer(204));
  await revoke(client);
  await client.read(['x']);
  expect(requests[0]).toMatchObject({
    method: 'POST',
    path: '/v1/auth/token/revoke-self',
    headers: { 'X-Vault-Token': TOKEN },
  });
  expect(requests[1]?.headers).not.toHaveProperty('X-Vault-Token');
});
