import { afterEach, describe, expect, test } from '@jest/globals';
import { VaultAbsent } from '../../src/vault/absence.ts';
import { problemOf } from '../fakes/problem.ts';
import { answer, connectionError, fakeVault, type Handler, TOKEN } from './fake-vault.ts';

const PROXY = '/api/v1/namespaces/vault/services/http:vault-active:8200/proxy';
const ROLE = ['pki', 'internal', 'roles', 'nats-admin-a'];

function kubernetesStatus(code: number, message: string) {
  return answer(code, { kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code });
}

describe('requests', () => {
  test('go below /v1/ behind the prefix, with token and namespace, escaped by segment', async () => {
    const { client, requests } = fakeVault(() => answer(200, { data: { a: 1 } }), {
      pathPrefix: PROXY,
      namespace: 'team/a',
    });
    await expect(client.write(['pki', 'roles', 'a/b?c#d%2e*'], { ttl: 60 })).resolves.toEqual({ data: { a: 1 } });
    expect(requests).toEqual([
      {
        method: 'POST',
        path: `${PROXY}/v1/pki/roles/a%2Fb%3Fc%23d%252e*`,
        headers: { 'X-Vault-Request': 'true', 'X-Vault-Token': TOKEN, 'X-Vault-Namespace': 'team/a' },
        body: { ttl: 60 },
        timeout: 10_000,
        idempotent: false,
      },
    ]);
  });

  test('send no token before there is one and after it is taken away', async () => {
    const { client, requests } = fakeVault(() => answer(204));
    client.setToken(null);
    await client.write(ROLE, {});
    expect(requests[0]).toMatchObject({ method: 'POST', headers: { 'X-Vault-Request': 'true' } });
    expect(requests[0]?.headers).not.toHaveProperty('X-Vault-Token');
  });

  test.each([
    ['..', 'climbs'],
    ['.', 'stays'],
    ['', 'empty'],
    ['a\nb', 'line break'],
    ['a\u0000', 'NUL'],
    ['\ud800', 'half a character'],
  ])('never leave with the segment %j (%s)', async (segment) => {
    const { client, requests } = fakeVault(() => answer(204));
    const problem = await problemOf(client.write(['sys', 'policies', 'acl', segment], {}));
    expect(problem.details.kind).toBe('input');
    expect(requests).toEqual([]);
  });

  test('read health without the namespace, in every state of the server', async () => {
    const health = { initialized: true, sealed: false, standby: true, version: '1.20.0', cluster_name: 'x' };
    const { client, requests } = fakeVault(() => answer(473, health), { namespace: 'team' });
    await expect(client.health()).resolves.toEqual({
      initialized: true,
      sealed: false,
      standby: true,
      version: '1.20.0',
    });
    expect(requests[0]?.path).toBe('/v1/sys/health?standbyok=true&perfstandbyok=true');
    expect(requests[0]?.headers).not.toHaveProperty('X-Vault-Namespace');
  });
});

describe("node-vault's own habits", () => {
  const NAMES = ['VAULT_TOKEN', 'VAULT_ADDR', 'VAULT_NAMESPACE', 'VAULT_PREFIX', 'VAULT_SKIP_VERIFY'];
  afterEach(() => {
    for (const name of NAMES) delete process.env[name];
  });

  test('the environment decides nothing', async () => {
    for (const name of NAMES) process.env[name] = 'from-environment';
    const { client, requests } = fakeVault(() => answer(204));
    client.setToken(null);
    await client.write(['a', 'b'], { c: 1 });
    expect(requests).toHaveLength(1);
    expect(JSON.stringify(requests)).not.toContain('from-environment');
    expect(requests[0]?.path).toBe('/v1/a/b');
  });

  test('a redirect is an error that names only the host', async () => {
    const { client, requests } = fakeVault(() => answer(307, null, { location: 'https://evil.example/v1/a?t=secret' }));
    const problem = await problemOf(client.read(ROLE));
    expect(problem.details.kind).toBe('connection');
    expect(problem.message).toContain('HTTP 307 to https://evil.example.');
    expect(problem.message).not.toContain('t=secret');
    expect(requests).toHaveLength(1);
  });
});

describe('answers', () => {
  test.each<[string, ReturnType<typeof answer>, unknown]>([
    ['an object', answer(200, { data: { x: [] } }), { data: { x: [] } }],
    ['nothing stored', answer(404, { errors: [] }), null],
    ['no content', answer(204), null],
  ])('%s', async (_, response, expected) => {
    await expect(fakeVault(() => response).client.read(ROLE)).resolves.toEqual(expected);
  });

  test.each([
    ['of something', answer(204)],
    ['of what is not there', answer(404, { errors: [] })],
  ])('a deletion %s', async (_, response) => {
    const { client, requests } = fakeVault(() => response);
    await expect(client.delete(ROLE)).resolves.toBeUndefined();
    expect(requests).toMatchObject([{ method: 'DELETE', path: '/v1/pki/internal/roles/nats-admin-a' }]);
  });

  test('a deletion whose answer is lost is sent again', async () => {
    const { client, requests } = fakeVault((_, count) =>
      count === 1 ? connectionError('ECONNRESET', 'socket hang up') : answer(204),
    );
    await client.delete(ROLE);
    expect(requests).toHaveLength(2);
  });

  test('text is handed out as it is', async () => {
    const pem = '-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n';
    await expect(fakeVault(() => answer(200, pem)).client.readText(['pki', 'ca_chain'])).resolves.toBe(pem);
    await expect(fakeVault(() => answer(204)).client.readText(['pki', 'ca_chain'])).resolves.toBeNull();
  });

  test.each([200, 404])('a page that is not of Vault (HTTP %i) is not taken for "nothing stored"', async (status) => {
    const problem = await problemOf(fakeVault(() => answer(status, '<html>Sign in</html>')).client.read(ROLE));
    expect(problem.details).toMatchObject({ kind: 'connection', next: expect.stringContaining('vault_url') });
  });
});

interface Told {
  title: string;
  handler: Handler;
  path?: string[];
  prefix?: string;
  namespace?: string;
  kind: string;
  message: string[];
}

const REFUSALS: Told[] = [
  {
    title: 'a policy that does not allow it',
    handler: () => answer(403, { errors: ['1 error occurred:\n\t* permission denied\n\n'] }),
    kind: 'permission',
    message: [
      'Writing pki/internal/roles/nats-admin-a in Vault (POST): HTTP 403: permission denied.',
      'path "pki/internal/roles/nats-admin-a" { capabilities = ["create","update"] }',
    ],
  },
  {
    title: 'no PKI engine',
    handler: () => answer(404, { errors: ['no handler for route "pki/internal/roles/x". route entry not found.'] }),
    kind: 'vault',
    message: ['No PKI secrets engine is mounted at pki/internal:', 'vault_internal_pki_backend_mount_path'],
  },
  {
    title: 'no Kubernetes auth method',
    path: ['auth', 'k8s', 'role', 'x'],
    handler: () => answer(404, { errors: ['no handler for route "auth/k8s/role/x". route entry not found.'] }),
    kind: 'vault',
    message: ['No Kubernetes auth method is enabled at auth/k8s:', 'vault_kubernetes_auth_path'],
  },
  {
    title: 'no such Vault namespace',
    namespace: 'team',
    handler: () => answer(404, { errors: ['namespace not found'] }),
    kind: 'vault',
    message: ['no namespace "team"', 'vault_namespace'],
  },
  {
    title: 'no such Vault namespace, as Vault Enterprise has it',
    path: ['sys', 'capabilities-self'],
    namespace: 'team',
    handler: () =>
      answer(404, { errors: ['no handler for route "team/sys/capabilities-self". route entry not found.'] }),
    kind: 'vault',
    message: ['no namespace "team"', 'vault_namespace'],
  },
  {
    title: 'no such Vault namespace where a token is looked up, as Vault Enterprise has it',
    path: ['auth', 'token', 'lookup-self'],
    namespace: 'team',
    handler: () =>
      answer(404, { errors: ['no handler for route "team/auth/token/lookup-self". route entry not found.'] }),
    kind: 'vault',
    message: ['no namespace "team"', 'vault_namespace'],
  },
  {
    title: 'a value that Vault refuses',
    handler: () => answer(400, { errors: ['unknown key type nonsense'] }),
    kind: 'vault',
    message: ['HTTP 400: unknown key type nonsense.'],
  },
  {
    title: 'a sealed Vault',
    handler: () => answer(503, { errors: ['Vault is sealed'] }),
    kind: 'vault',
    message: ['HTTP 503: Vault is sealed.', 'Unseal'],
  },
  {
    title: 'an overloaded Vault',
    handler: () => answer(429, { errors: ['request path "x": rate limit quota exceeded'] }),
    kind: 'vault',
    message: ['rate limit quota exceeded', 'tried again for about 10 s'],
  },
  {
    title: 'nobody listening',
    handler: () => connectionError('ECONNREFUSED', 'connect ECONNREFUSED 10.0.0.1:8200'),
    kind: 'connection',
    message: ['connect ECONNREFUSED 10.0.0.1:8200.', 'vault_url'],
  },
  {
    title: 'nobody listening at any address, which Node tells without words',
    handler: () => connectionError('ECONNREFUSED', ''),
    kind: 'connection',
    message: [': ECONNREFUSED.', 'vault_url'],
  },
  {
    title: 'an unknown host',
    handler: () => connectionError('ENOTFOUND', 'getaddrinfo ENOTFOUND vault.test'),
    kind: 'connection',
    message: ['leave vault_url empty'],
  },
  {
    title: 'an unknown CA',
    handler: () => connectionError('SELF_SIGNED_CERT_IN_CHAIN', 'self-signed certificate in certificate chain'),
    kind: 'connection',
    message: ['vault_ca_certificate'],
  },
  {
    title: 'a certificate of another host',
    handler: () => connectionError('ERR_TLS_CERT_ALTNAME_INVALID', "Host: v. is not in the cert's altnames: DNS:vault"),
    kind: 'connection',
    message: ['DNS:vault', 'use one of them as the host in vault_url'],
  },
  {
    title: 'a certificate that has expired',
    handler: () => connectionError('CERT_HAS_EXPIRED', 'certificate has expired'),
    kind: 'connection',
    message: ["Renew Vault's certificate"],
  },
  {
    title: 'TLS spoken to a plain port',
    handler: () => connectionError('EPROTO', 'write EPROTO wrong version number'),
    kind: 'connection',
    message: ['http and https in vault_url'],
  },
  {
    title: 'plain HTTP spoken to a TLS port',
    handler: () => answer(400, 'Client sent an HTTP request to an HTTPS server.\n'),
    kind: 'connection',
    message: ['write https in vault_url.'],
  },
  {
    title: 'plain HTTP spoken to a TLS port behind the API server',
    prefix: PROXY,
    handler: () => answer(400, 'Client sent an HTTP request to an HTTPS server.\n'),
    kind: 'connection',
    message: ['write https in vault_internal_url.'],
  },
  {
    title: 'an API server that does not answer',
    prefix: PROXY,
    handler: () => connectionError('ECONNREFUSED', 'connect ECONNREFUSED 10.0.0.1:6443'),
    kind: 'connection',
    message: ['Kubernetes API server', 'kubeconfig'],
  },
  {
    title: 'a Service without a ready pod',
    prefix: PROXY,
    handler: () => kubernetesStatus(503, 'no endpoints available for service "http:vault-active:8200"'),
    kind: 'connection',
    message: ['Service vault-active has no ready pod', 'kubectl -n vault get pods'],
  },
  {
    title: 'a pod that the API server cannot reach',
    prefix: PROXY,
    handler: () => answer(502, 'error trying to reach service: dial tcp 10.2.0.3:8200: connect: connection refused'),
    kind: 'connection',
    message: ['could not reach', 'vault_internal_url'],
  },
  {
    title: 'a Service that does not exist',
    prefix: PROXY,
    handler: () => kubernetesStatus(404, 'services "vault-active" not found'),
    kind: 'connection',
    message: ['There is no Service vault-active in namespace vault', 'vault_internal_url'],
  },
  {
    title: 'a Kubernetes permission',
    prefix: PROXY,
    handler: () => kubernetesStatus(403, 'services "http:vault-active:8200" is forbidden: User "ci" cannot create'),
    kind: 'permission',
    message: ['not one of Vault', 'services/proxy', 'resourceNames: ["http:vault-active:8200"]', 'namespace vault'],
  },
  {
    title: 'an expired kubeconfig',
    prefix: PROXY,
    handler: () => kubernetesStatus(401, 'Unauthorized'),
    kind: 'permission',
    message: ['renew the kubeconfig'],
  },
  {
    title: 'a permission of Vault behind the proxy',
    prefix: PROXY,
    handler: () => answer(403, { errors: ['permission denied'] }),
    kind: 'permission',
    message: ['path "pki/internal/roles/nats-admin-a"'],
  },
];

describe('refusals tell the next step', () => {
  test.each(REFUSALS)('$title', async ({ handler, path = ROLE, prefix = '', namespace = '', kind, message }) => {
    const { client, clock } = fakeVault(handler, { pathPrefix: prefix, namespace });
    const problem = await problemOf(client.write(path, {}));
    expect(problem.details.kind).toBe(kind);
    for (const part of message) expect(problem.message).toContain(part);
    expect(clock.slept.reduce((sum, slept) => sum + slept, 0)).toBeLessThanOrEqual(10_000);
  });

  test.each([400, 403, 404, 412, 500, 503])(
    'HTTP %i that repeats token and secrets is printed without',
    async (status) => {
      const { client } = fakeVault(() => answer(status, { errors: [`bad ${TOKEN} with eyJ.jwt and s3cret-id`] }));
      const problem = await problemOf(client.write(['auth', 'x', 'login'], { jwt: 'eyJ.jwt', secret_id: 's3cret-id' }));
      expect(problem.details.reason).toBe(`HTTP ${status}: bad *** with *** and ***.`);
    },
  );
});

describe('trying again', () => {
  const good = answer(200, { data: {} });

  test.each<[string, ReturnType<typeof answer> | Error]>([
    ['412', answer(412, { errors: ['required index state not present'] })],
    ['429', answer(429, { errors: [] })],
    ['500', answer(500, { errors: ['internal error'] })],
    ['503', answer(503, { errors: ['Vault is sealed'] })],
    ['a reset connection', connectionError('ECONNRESET', 'socket hang up')],
  ])('helps after %s, and is told once', async (_, bad) => {
    const { client, requests, told } = fakeVault((_request, count) => (count < 4 ? bad : good));
    await expect(client.write(ROLE, {})).resolves.toEqual({ data: {} });
    expect(requests).toHaveLength(4);
    expect(told).toHaveLength(1);
  });

  test.each<[string, ReturnType<typeof answer> | Error]>([
    ['400', answer(400, { errors: ['x'] })],
    ['403', answer(403, { errors: ['permission denied'] })],
    ['501', answer(501, { errors: ['x'] })],
    ['an unknown host', connectionError('ENOTFOUND', 'x')],
    ['an unknown CA', connectionError('UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'x')],
  ])('does not happen after %s', async (_, bad) => {
    const { client, requests } = fakeVault(() => bad);
    await problemOf(client.write(ROLE, {}));
    expect(requests).toHaveLength(1);
  });

  test('waits as long as Vault asks', async () => {
    const { client, clock } = fakeVault((_, count) => (count === 1 ? answer(429, {}, { 'retry-after': '3' }) : good));
    await client.read(ROLE);
    expect(clock.slept).toEqual([3_000]);
  });

  test('gives up at once when Vault asks for more than there is time', async () => {
    const { client, clock } = fakeVault(() => answer(429, { errors: ['x'] }, { 'retry-after': '60' }));
    await problemOf(client.read(ROLE));
    expect(clock.slept).toEqual([]);
  });

  test('many requests side by side tell the wait once', async () => {
    const { client, told } = fakeVault(() => answer(503, { errors: ['Vault is sealed'] }));
    await Promise.all([1, 2, 3].map(() => problemOf(client.read(ROLE))));
    expect(told).toEqual(['Vault is sealed or unavailable (HTTP 503). Waiting for it, up to 10 s.']);
  });

  test('ends with a cancelled run', async () => {
    const aborted = Object.assign(new Error('cancelled'), { name: 'AbortError' });
    const { client, requests } = fakeVault(() => aborted);
    await expect(client.read(ROLE)).rejects.toBe(aborted);
    expect(requests).toHaveLength(1);
  });
});

describe('a Vault that cannot be asked', () => {
  const noHost = connectionError('ENOTFOUND', 'getaddrinfo ENOTFOUND vault');
  test.each<[string, Handler, string, VaultAbsent['absence'] | null]>([
    ['whose Service does not exist', () => kubernetesStatus404(), PROXY, 'gone'],
    ['whose name does not resolve', () => noHost, '', 'silent'],
    [
      'that lacks the mount',
      () => answer(404, { errors: ['no handler for route "pki/x". route entry not found.'] }),
      '',
      'unmounted',
    ],
    ['that is sealed', () => answer(503, { errors: ['Vault is sealed'] }), '', 'silent'],
    ['that refuses connections', () => connectionError('ECONNREFUSED', 'connect ECONNREFUSED'), '', 'silent'],
    ['without a pod', () => kubernetesStatus(503, 'no endpoints available for service "vault"'), PROXY, 'silent'],
    ['that fails', () => answer(500, { errors: ['internal error'] }), '', 'silent'],
    ['that does not allow it', () => answer(403, { errors: ['permission denied'] }), '', null],
    ['that is none', () => answer(404, '<html>'), '', null],
  ])('%s', async (_, handler, pathPrefix, absence) => {
    const problem = await problemOf(fakeVault(handler, { pathPrefix }).client.read(ROLE));
    expect(problem instanceof VaultAbsent ? problem.absence : null).toBe(absence);
  });

  function kubernetesStatus404() {
    return kubernetesStatus(404, 'services "vault-active" not found');
  }
});
