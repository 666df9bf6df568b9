import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { dump, load } from 'js-yaml';
import { unpacked } from '../simulator/compressed.ts';
import { type Provider, startProvider } from '../simulator/github-oidc.ts';
import { leaksIn, type Places, type Secret, shownOf } from '../simulator/leaks.ts';
import { sightsOf, watchProcesses } from '../simulator/processes.ts';
import { runPost, type Step, startMain, type Values } from '../simulator/runner.ts';
import { digObjects, digText, type Json, type JsonObject } from '../src/json.ts';
import { kube, kubeconfig, vault, vaultToken, waitFor } from './cluster.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';

const namespace = 'e2e-secrets';
/** Of this test alone: other tests may run beside it. */
const jwtPath = 'e2e-secrets-jwt';
const approlePath = 'e2e-secrets-approle';
const policy = 'e2e-secrets';

const sentinel = (name: string): string => `${name}-${randomBytes(12).toString('hex')}`;

/** All that runs of this test were given, handed out, or read. */
const secrets: Secret[] = [];

function secret(name: string, value: string): string {
  secrets.push({ name, value });
  return value;
}

let provider: Provider;
let directory: string;
let serviceAccountToken: string;
let auditFrom: number;

const auditLog = process.env.E2E_AUDIT_LOG ?? '';

beforeAll(async () => {
  provider = await startProvider();
  directory = mkdtempSync(join(tmpdir(), 'secrets-'));
  await emptyNamespace(namespace);
  auditFrom = auditLog === '' ? 0 : statSync(auditLog).size;
  serviceAccountToken = secret('Kubernetes token', await createDeployer());
  await allowLogins();
  secret('ID token request token', provider.environment.ACTIONS_ID_TOKEN_REQUEST_TOKEN ?? '');
  const [administrator] = digObjects(load(readFileSync(kubeconfig, 'utf8')) as Json, 'users');
  for (const line of linesOfKey(digText(administrator, 'user', 'client-key-data'))) secret('client-key-data', line);
});

afterAll(async () => {
  provider.close();
  rmSync(directory, { recursive: true });
  for (const path of [jwtPath, approlePath]) await vault().call('DELETE', `sys/auth/${path}`);
  await vault().call('DELETE', `sys/policies/acl/${policy}`);
  await kube.delete(`/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/${namespace}`);
  await leaveNamespace(namespace);
  kube.close();
});

/** What tells a private key (PEM in base64) from others. */
function linesOfKey(encoded: string): string[] {
  const lines = Buffer.from(encoded, 'base64').toString('utf8').split('\n');
  return lines.filter((line) => /^[A-Za-z0-9+/=]+$/.test(line));
}

/** A ServiceAccount that may do everything; resolves to a token of it. */
async function createDeployer(): Promise<string> {
  const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts/deployer`;
  await kube.apply(accounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'deployer' } });
  await kube.apply(`/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/${namespace}`, {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: namespace },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', name: 'deployer', namespace }],
  });
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3_600 } };
  const { status } = await kube.call({ method: 'POST', path: `${accounts}/token`, body: request });
  return digText(status, 'token');
}

/** Logins by an ID token and by AppRole whose tokens may do everything. */
async function allowLogins(): Promise<void> {
  const everything = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }';
  await vault().call('PUT', `sys/policies/acl/${policy}`, { policy: everything });
  await vault().call('POST', `sys/auth/${jwtPath}`, { type: 'jwt' });
  await vault().call('POST', `auth/${jwtPath}/config`, { jwt_validation_pubkeys: [provider.publicKey] });
  await vault().call('POST', `auth/${jwtPath}/role/deployer`, {
    role_type: 'jwt',
    user_claim: 'repository',
    bound_audiences: ['https://vault.acme.example'],
    token_policies: [policy],
  });
  await vault().call('POST', `sys/auth/${approlePath}`, { type: 'approle' });
  await vault().call('POST', `auth/${approlePath}/role/deployer`, { token_policies: [policy] });
}

const jwt = (): Values => ({
  vault_auth_method: 'jwt',
  vault_auth_path: jwtPath,
  vault_role: 'deployer',
  vault_jwt_audience: 'https://vault.acme.example',
});

async function approle(): Promise<Values> {
  const role = `auth/${approlePath}/role/deployer`;
  const roleId = digText((await vault().call('GET', `${role}/role-id`)).data, 'role_id');
  const secretId = digText((await vault().call('POST', `${role}/secret-id`, {})).data, 'secret_id');
  return {
    vault_auth_method: 'approle',
    vault_auth_path: approlePath,
    vault_role_id: secret('vault_role_id', roleId),
    vault_secret_id: secret('vault_secret_id', secretId),
  };
}

const handedIn = (token = vaultToken()): Values => ({
  vault_auth_method: 'token',
  vault_token: secret('vault_token', token),
});

/** The kubeconfig of the cluster, for another user or with another field of the cluster. */
function kubeconfigWith(user: JsonObject, cluster: JsonObject = {}): string {
  const { clusters, ...config } = load(readFileSync(kubeconfig, 'utf8')) as JsonObject;
  const [known] = digObjects({ clusters }, 'clusters');
  const name = digText(digObjects(config, 'contexts')[0], 'context', 'user');
  const changed = { ...known, cluster: { ...(known?.cluster as JsonObject), ...cluster } };
  return dump({ ...config, clusters: [changed], users: [{ name, user }] });
}

/** By an exec plugin, which waits until its process has been seen. */
function byPlugin(): Values {
  const file = join(directory, 'plugin.sh');
  const credential = {
    apiVersion: 'client.authentication.k8s.io/v1',
    kind: 'ExecCredential',
    status: { token: serviceAccountToken },
  };
  writeFileSync(join(directory, 'credential.json'), JSON.stringify(credential));
  writeFileSync(file, 'while [ ! -e "$DIRECTORY/seen" ]; do sleep 0.05; done; cat "$DIRECTORY/credential.json"');
  const env = [
    { name: 'DIRECTORY', value: directory },
    { name: 'PLUGIN_SECRET', value: secret('exec env', sentinel('plugin')) },
  ];
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: 'sh', args: [file], env };
  return { kubeconfig: kubeconfigWith({ exec }) };
}

const base64 = (): Values => ({ kubeconfig: readFileSync(kubeconfig).toString('base64') });
const byToken = (token = serviceAccountToken): Values => ({ kubeconfig: kubeconfigWith({ token }) });

interface Way {
  inputs: () => Values | Promise<Values>;
  /** What its error says; null: it succeeds. */
  error: RegExp | null;
  meanwhile?: (step: Step) => Promise<void>;
}

const ways: [string, Way][] = [
  ['a first run, by an exec plugin and an ID token', { inputs: () => ({ ...byPlugin(), ...jwt() }), error: null }],
  ['a kubeconfig in base64, and AppRole', { inputs: async () => ({ ...base64(), ...(await approle()) }), error: null }],
  ['a change, by tokens', { inputs: () => ({ ...byToken(), ...handedIn(), log_level: 'debug' }), error: null }],
  ['a Vault token that is refused', { inputs: () => handedIn(`hvs.${sentinel('wrong')}`), error: /permission denied/ }],
  [
    'a secret ID that is refused',
    {
      inputs: async () => ({ ...(await approle()), vault_secret_id: secret('vault_secret_id', sentinel('wrong')) }),
      error: /invalid role or secret ID|invalid secret id/i,
    },
  ],
  ['an ID token that is refused', { inputs: () => ({ ...jwt(), vault_role: 'other' }), error: /could not be found/ }],
  [
    'a Kubernetes token that is refused',
    { inputs: () => ({ ...handedIn(), ...byToken(secret('wrong token', sentinel('wrong'))) }), error: /HTTP 401/ },
  ],
  [
    "an API server's certificate that is not trusted",
    {
      inputs: () => ({
        ...jwt(),
        kubeconfig: kubeconfigWith({ token: serviceAccountToken }, { 'certificate-authority-data': '' }),
      }),
      error: /certificate/i,
    },
  ],
  [
    'a Vault that is not there',
    {
      inputs: () => ({ ...handedIn(), vault_internal_url: 'http://nothing.vault.svc:8200' }),
      error: /Service nothing/,
    },
  ],
  [
    'a run that is cancelled',
    {
      // The roll-out that it begins would take a while.
      inputs: () => ({ ...jwt(), minimum_memory_mb: '300' }),
      error: /cancelled \(SIGINT\)/,
      meanwhile: async (step) => {
        await waitFor(() => step.printed().includes('NATS cluster'), 'the run has begun', 30_000);
        step.process.kill('SIGINT');
      },
    },
  ],
  [
    'a field that somebody else holds',
    {
      inputs: async () => {
        const taken = { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: 'nats' }, spec: { replicas: 2 } };
        await kube.apply(`/apis/apps/v1/namespaces/${namespace}/statefulsets/nats`, taken);
        return jwt();
      },
      error: /e2e.*replicas|replicas.*e2e/,
    },
  ],
];

/** What an exec plugin has to get: some log in by the job's ID token. */
const PLUGIN_VARIABLES = /^(PLUGIN_SECRET|ACTIONS_ID_TOKEN_REQUEST_TOKEN)=/;

it.each(ways)('nobody sees a secret of %s', async (_, { inputs, error, meanwhile }) => {
  const given = { kubeconfig, timeout: '150', namespace, name: 'nats', replicas: '1', ...(await inputs()) };
  const debug = { RUNNER_DEBUG: '1', ACTIONS_STEP_DEBUG: 'true', ...provider.environment };
  const step = startMain(given, debug);
  const processes = watchProcesses(step.process.pid ?? 0);
  const seen = setInterval(() => {
    if ([...processes.commandLines].some((line) => line.includes('plugin.sh')))
      writeFileSync(join(directory, 'seen'), '');
  }, 20);
  await meanwhile?.(step);
  const main = await step.ended;
  clearInterval(seen);
  processes.stop();
  expect(main.errors.length === 0 ? null : main.errors.join('\n')).toEqual(
    error === null ? null : expect.stringMatching(error),
  );
  // One that was cancelled has revoked it, and leaves none.
  const [, masked] = /^::add-mask::((?:hvs|s)\..+)$/m.exec(main.printed) ?? [];
  const minted = main.state.vault_token === '' ? masked : main.state.vault_token;
  if (minted !== undefined) secret('minted Vault token', minted);
  const post = await runPost(given, main.state);
  const places = { ...shownOf(main, post, 'unmasked'), ...sightsOf(processes, PLUGIN_VARIABLES) };
  expect(leaksIn(everySecret(), places)).toEqual([]);
});

it('nobody sees a secret in what the runs left: objects of every kind, events, and the audit log', async () => {
  const objects = await everythingIn(namespace);
  expect(objects.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['ConfigMap', 'Event', 'Lease', 'Secret']));
  const keys = objects.filter(holdsKey).map(({ data }) => linesOfKey(digText(data, 'tls.key')));
  expect(keys.length).toBeGreaterThanOrEqual(4);
  const places: Places = {
    objects: JSON.stringify(
      objects.filter((object) => !holdsKey(object)),
      unpacked,
    ),
    'the audit log': auditLog === '' ? '' : readFileSync(auditLog).subarray(auditFrom).toString('utf8'),
  };
  const all = [...everySecret(), ...keys.flat().map((value) => ({ name: 'private key', value }))];
  expect(leaksIn(all, places)).toEqual([]);
});

function everySecret(): Secret[] {
  return [...secrets, ...provider.issued.map((value) => ({ name: 'ID token', value }))];
}

/** Credentials, or the key that cert-manager keeps while it asks for a certificate. */
const holdsKey = ({ kind, data }: JsonObject): boolean => kind === 'Secret' && digText(data, 'tls.key') !== '';

/** Every object in a namespace, of every kind that the API server lists. */
async function everythingIn(where: string): Promise<JsonObject[]> {
  const groups = digObjects(await kube.get('/apis'), 'groups').map(
    (group) => `/apis/${digText(group, 'preferredVersion', 'groupVersion')}`,
  );
  const found = ['/api/v1', ...groups].map(async (group) => {
    const resources = digObjects(await kube.get(group), 'resources').filter(
      ({ namespaced, verbs }) => namespaced === true && Array.isArray(verbs) && verbs.includes('list'),
    );
    const lists = resources.map(async ({ name, kind }) => {
      const items = await kube.list(`${group}/namespaces/${where}/${name}`);
      return items.map((item) => ({ ...item, kind: kind ?? null }));
    });
    return (await Promise.all(lists)).flat();
  });
  return (await Promise.all(found)).flat();
}
