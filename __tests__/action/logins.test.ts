import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Provider, startProvider } from '../../simulator/github-oidc.ts';
import type { Ending, Values } from '../../simulator/runner.ts';
import { digText } from '../../src/json.ts';
import { startWorld, type World } from './world.ts';

const POLICY = { token_policies: ['root'] };

let world: World;
let provider: Provider;
let directory: string;

beforeAll(async () => {
  world = await startWorld();
  provider = await startProvider();
  directory = mkdtempSync(path.join(tmpdir(), 'service-account-'));
  await world.vaultRequest('POST', 'auth/jwt/role/deployer', {
    ...POLICY,
    role_type: 'jwt',
    user_claim: 'repository',
    bound_audiences: ['https://github.com/acme'],
  });
});

afterAll(async () => {
  provider.close();
  rmSync(directory, { recursive: true });
  await world.close();
});

test('jwt: with the ID token of the job; the post step revokes the token', async () => {
  const inputs = { vault_auth_method: 'jwt', vault_token: '', vault_role: 'deployer' };
  const main = await world.apply(inputs, provider.environment);
  expect(main.errors).toEqual([]);
  expect(await lookup(main.state.vault_token)).toBe(200);
  const post = await world.post(main, inputs);
  expect(post.exitCode).toBe(0);
  expect(await lookup(main.state.vault_token)).toBe(403);
});

test('jwt: a job without the permission is told which to add', async () => {
  const main = await world.apply({ vault_auth_method: 'jwt', vault_token: '', vault_role: 'deployer' });
  expect(main.exitCode).toBe(1);
  expect(main.errors[0]).toMatch(/id-token: write/);
});

test('jwt: the token is revoked also when the run fails after the login', async () => {
  const inputs = { vault_auth_method: 'jwt', vault_token: '', vault_role: 'deployer', namespace: 'nowhere' };
  const main = await world.apply(inputs, provider.environment);
  expect(main.exitCode).toBe(1);
  await world.post(main, inputs);
  expect(await lookup(main.state.vault_token)).toBe(403);
});

test('approle', async () => {
  await world.vaultRequest('POST', 'auth/approle/role/deployer', POLICY);
  const roleId = await read('GET', 'auth/approle/role/deployer/role-id', 'role_id');
  const secretId = await read('POST', 'auth/approle/role/deployer/secret-id', 'secret_id');
  const main = await world.apply({
    vault_auth_method: 'approle',
    vault_token: '',
    vault_role_id: roleId,
    vault_secret_id: secretId,
  });
  expect(main.errors).toEqual([]);
  expect(await lookup(main.state.vault_token)).toBe(200);
});

test('a token that was handed in is left alone', async () => {
  const main = await world.apply();
  expect(main.state).toEqual({});
  const post = await world.post(main);
  expect(post).toMatchObject({ exitCode: 0, log: '' });
  expect(await lookup(world.vaultToken)).toBe(200);
});

test('directly by vault_url, without the API server in between', async () => {
  const before = world.requests.length;
  const main = await world.apply({ vault_url: world.vaultUrl });
  expect(main.errors).toEqual([]);
  const sent = world.requests.slice(before);
  expect(sent.some(({ server }) => server === 'vault')).toBe(true);
  expect(sent.filter(({ path }) => path.includes('/proxy/v1/'))).toEqual([]);
});

test('kubernetes: with the ServiceAccount token of the pod that the job runs in', async () => {
  const file = path.join(directory, 'token');
  writeFileSync(file, serviceAccountToken('runners', 'deployer'));
  await world.vaultRequest('POST', 'auth/kubernetes/role/runner', {
    ...POLICY,
    bound_service_account_names: ['deployer'],
    bound_service_account_namespaces: ['runners'],
  });
  const inputs = {
    vault_auth_method: 'kubernetes',
    vault_token: '',
    vault_role: 'runner',
    vault_kubernetes_token_path: file,
  };
  expect(await world.apply(inputs)).toMatchObject({ errors: [], exitCode: 0 });
  const missing = await world.apply({ ...inputs, vault_kubernetes_token_path: path.join(directory, 'none') });
  expect(missing.errors[0]).toMatch(/vault_kubernetes_token_path/);
});

test('a post step that cannot revoke warns and does not fail the job', async () => {
  const main: Ending = await world.apply(
    { vault_auth_method: 'jwt', vault_token: '', vault_role: 'deployer' },
    provider.environment,
  );
  const unreachable: Values = {
    vault_auth_method: 'jwt',
    vault_token: '',
    vault_role: 'deployer',
    vault_url: 'https://vault.invalid',
  };
  const post = await world.post(main, unreachable);
  expect(post.exitCode).toBe(0);
  expect(post.log).toMatch(/::warning::The Vault token of this run lives until it expires/);
});

async function lookup(token: string | undefined): Promise<number> {
  const answer = await fetch(`${world.vaultUrl}/v1/auth/token/lookup-self`, {
    headers: { 'x-vault-token': token ?? '' },
  });
  return answer.status;
}

async function read(method: string, where: string, field: string): Promise<string> {
  return digText(await world.vaultRequest(method, where), 'data', field);
}

function serviceAccountToken(namespace: string, name: string): string {
  const claims = {
    iss: 'https://kubernetes.default.svc',
    sub: `system:serviceaccount:${namespace}:${name}`,
    'kubernetes.io': { namespace, serviceaccount: { name } },
  };
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'RS256' })}.${part(claims)}.signature`;
}
