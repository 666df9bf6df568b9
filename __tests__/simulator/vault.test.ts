import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { digText, type Json, type JsonObject } from '../../src/json.ts';
import { createWorld, type World } from './world.ts';

let world: World;

beforeAll(async () => {
  world = await createWorld({ vaultNamespaces: ['team'], pkiMounts: ['pki/internal', 'pki/nats'] });
});
afterEach(() => {
  world.simulator.behaviour.vaultSealed = false;
});
afterAll(() => world.close());

const POLICY = 'path "pki/internal/roles/nats-*" { capabilities = ["read", "update"] }';
const DENIED = { errors: ['permission denied'] };

function jwt(claims: JsonObject): string {
  const part = (value: JsonObject): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return [part({ alg: 'RS256' }), part(claims), 'signature'].join('.');
}

async function login(mount: string, body: JsonObject): Promise<{ status: number; body: Json }> {
  return world.vault({ method: 'POST', path: `auth/${mount}/login`, body }, '');
}

async function write(path: string, body: JsonObject): Promise<Json> {
  return (await world.vault({ method: 'POST', path, body })).body;
}

test('a jwt login gives a token with the policies of its role, until it is revoked', async () => {
  await write('sys/policies/acl/ci', { policy: POLICY });
  await write('auth/jwt/role/ci', {
    bound_audiences: 'https://vault',
    user_claim: 'sub',
    token_policies: 'ci',
    token_ttl: '5m',
  });
  const wrong = await login('jwt', { role: 'ci', jwt: jwt({ aud: 'elsewhere' }) });
  expect(wrong).toEqual({
    status: 400,
    body: {
      errors: [
        'error validating token: invalid audience (aud) claim: audience claim does not match any expected audience',
      ],
    },
  });
  const { body } = await login('jwt', { role: 'ci', jwt: jwt({ aud: 'https://vault' }) });
  expect(body).toMatchObject({ auth: { policies: ['default', 'ci'], lease_duration: 300 } });
  const token = digText(body, 'auth', 'client_token');

  const allowed = 'pki/internal/roles/nats-x';
  const paths = [allowed, 'pki/internal/roles/other'];
  const capabilities = await world.vault({ method: 'POST', path: 'sys/capabilities-self', body: { paths } }, token);
  expect(capabilities.body).toMatchObject({
    data: { [allowed]: ['read', 'update'], 'pki/internal/roles/other': ['deny'] },
  });
  expect((await world.vault({ method: 'POST', path: allowed, body: {} }, token)).status).toBe(200);
  expect((await world.vault({ method: 'DELETE', path: allowed }, token)).status).toBe(403);
  expect((await world.vault({ method: 'GET', path: 'pki/internal/roles/other' }, token)).status).toBe(403);

  expect(world.simulator.vault.tokens.alive).toContain(token);
  expect((await world.vault({ method: 'POST', path: 'auth/token/revoke-self', body: {} }, token)).status).toBe(204);
  expect(await world.vault({ method: 'GET', path: 'auth/token/lookup-self' }, token)).toEqual({
    status: 403,
    body: DENIED,
  });
});

test.each<[string, JsonObject, string | null]>([
  ['all bound claims', { repository: 'org/app', environment: 'production', ref: 'main' }, null],
  ['another of the values', { repository: 'org/app', environment: 'staging' }, null],
  ['a list with one of the values', { repository: 'org/app', environment: ['test', 'staging'] }, null],
  ['another repository', { repository: 'org/other', environment: 'production' }, 'repository'],
  ['no value of the list', { repository: 'org/app', environment: 'test' }, 'environment'],
  ['a claim missing', { repository: 'org/app' }, 'environment'],
])('a jwt login with %s', async (_, claims, refused) => {
  await write('auth/jwt/role/bound', {
    user_claim: 'repository',
    bound_claims: { repository: 'org/app', environment: ['production', 'staging'] },
  });
  const { status, body } = await login('jwt', { role: 'bound', jwt: jwt(claims) });
  if (refused === null) {
    expect(status).toBe(200);
    return;
  }
  const reason = claims[refused] === undefined ? 'is missing' : 'does not match any associated bound claim values';
  expect(status).toBe(400);
  expect(body).toEqual({ errors: [`error validating claims: claim "${refused}" ${reason}`] });
});

test('an AppRole login', async () => {
  await write('auth/approle/role/ci', { token_policies: ['ci'] });
  const { body: id } = await world.vault({ method: 'GET', path: 'auth/approle/role/ci/role-id' });
  const secret = await write('auth/approle/role/ci/secret-id', {});
  const role_id = digText(id, 'data', 'role_id');
  expect((await login('approle', { role_id, secret_id: 'guessed' })).status).toBe(400);
  const { body } = await login('approle', { role_id, secret_id: digText(secret, 'data', 'secret_id') });
  expect(body).toMatchObject({ auth: { policies: ['default', 'ci'] } });
});

test('a Kubernetes login is bound to ServiceAccount and namespace', async () => {
  await write('auth/kubernetes/role/runner', {
    bound_service_account_names: 'runner',
    bound_service_account_namespaces: 'ci',
    token_policies: 'ci',
    token_no_default_policy: true,
  });
  const asAccount = (sub: string) => login('kubernetes', { role: 'runner', jwt: jwt({ sub }) });
  expect((await asAccount('system:serviceaccount:other:runner')).body).toEqual({
    errors: ['namespace not authorized'],
  });
  expect((await asAccount('system:serviceaccount:ci:other')).body).toEqual({
    errors: ['service account name not authorized'],
  });
  expect((await asAccount('system:serviceaccount:ci:runner')).body).toMatchObject({ auth: { policies: ['ci'] } });
});

test('Vault namespaces and mounts are kept apart', async () => {
  await write('pki/internal/roles/shared', { key_type: 'ec' });
  const headers = { 'x-vault-namespace': 'team/' };
  expect((await world.vault({ method: 'GET', path: 'pki/internal/roles/shared', headers })).status).toBe(404);
  expect((await world.vault({ method: 'GET', path: 'pki/nats/roles/shared' })).status).toBe(404);
  expect((await world.vault({ method: 'GET', path: 'pki/internal/roles/shared' })).status).toBe(200);
  const unknown = { 'x-vault-namespace': 'nobody' };
  expect(await world.vault({ method: 'GET', path: 'pki/internal/roles/shared', headers: unknown })).toEqual({
    status: 404,
    body: { errors: ['namespace not found'] },
  });
});

test('PKI roles are listed to who may list them', async () => {
  const list = (token?: string) => world.vault({ method: 'GET', path: 'pki/nats/roles?list=true' }, token);
  expect(await list()).toEqual({ status: 404, body: { errors: [] } });
  await write('pki/nats/roles/b', {});
  await write('pki/nats/roles/a', {});
  expect((await list()).body).toMatchObject({ data: { keys: ['a', 'b'] } });

  await write('auth/approle/role/lister', { token_policies: ['lister'] });
  const { body: id } = await world.vault({ method: 'GET', path: 'auth/approle/role/lister/role-id' });
  const secret = await write('auth/approle/role/lister/secret-id', {});
  const ids = { role_id: digText(id, 'data', 'role_id'), secret_id: digText(secret, 'data', 'secret_id') };
  const statusWith = async (capability: string) => {
    await write('sys/policies/acl/lister', { policy: `path "pki/nats/roles/*" { capabilities = ["${capability}"] }` });
    const { body } = await login('approle', ids);
    return (await list(digText(body, 'auth', 'client_token'))).status;
  };
  expect([await statusWith('read'), await statusWith('list')]).toEqual([403, 200]);
});

test('a sealed Vault answers its health and nothing else', async () => {
  world.simulator.behaviour.vaultSealed = true;
  expect(await world.vault({ method: 'GET', path: 'sys/health' })).toMatchObject({
    status: 503,
    body: { sealed: true },
  });
  expect(await world.vault({ method: 'GET', path: 'sys/seal-status' })).toMatchObject({
    status: 200,
    body: { sealed: true },
  });
  expect(await world.vault({ method: 'GET', path: 'pki/internal/roles/x' })).toEqual({
    status: 503,
    body: { errors: ['Vault is sealed'] },
  });
});

test('Vault is reached through the proxy of its Service, which keeps the API server’s credentials', async () => {
  const proxy = (service: string) =>
    world.kubernetes({ method: 'GET', path: `/api/v1/namespaces/vault/services/${service}/proxy/v1/sys/health` });
  expect(await proxy('http:vault-active:8200')).toMatchObject({ status: 200, body: { sealed: false } });
  expect(await proxy('http:nobody:8200')).toMatchObject({
    status: 404,
    body: { message: 'services "nobody" not found' },
  });
  world.simulator.behaviour.vaultEndpoints = false;
  expect(await proxy('http:vault-active:8200')).toMatchObject({ status: 503, body: { reason: 'ServiceUnavailable' } });
  world.simulator.behaviour.vaultEndpoints = true;
});
