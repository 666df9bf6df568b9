import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { dump } from 'js-yaml';
import { unpacked } from '../../simulator/compressed.ts';
import { type Provider, startProvider } from '../../simulator/github-oidc.ts';
import type { SimulatedRequest } from '../../simulator/http.ts';
import { resourceOf } from '../../simulator/kubernetes/resources.ts';
import { leaksIn, type Places, type Secret, shownOf } from '../../simulator/leaks.ts';
import { type ProcessSight, sightsOf, watchProcesses } from '../../simulator/processes.ts';
import type { RecordedRequest } from '../../simulator/requests.ts';
import { type Ending, runPost, type Step, startMain, type Values } from '../../simulator/runner.ts';
import { CREDENTIAL_FIELDS } from '../../src/inputs/secrets.ts';
import { INPUT_NAMES, INPUTS, type InputName } from '../../src/inputs/table.ts';
import { digText, type Json, type JsonObject } from '../../src/json.ts';
import { startWorld, type World } from './world.ts';

const KUBERNETES_TOKEN = 'simulator-token';
/** Milliseconds: five runs go side by side, on a machine that may have others to do. */
const BUSY = 240_000;
const PROXY_PASSWORD = sentinel('proxy');

/** A value for every secret input, and for every credential that a kubeconfig can hold. */
const INPUT_SENTINELS: { [Name in InputName]?: string } = {
  kubeconfig: KUBERNETES_TOKEN,
  vault_token: `hvs.${sentinel('token')}+/=`,
  vault_role_id: sentinel('role-id'),
  vault_secret_id: `${sentinel('secret-id')}"+/`,
};
const CREDENTIALS: Values = Object.fromEntries(CREDENTIAL_FIELDS.map((field) => [field, sentinel(field)]));

function sentinel(name: string): string {
  return `${name}-${randomBytes(12).toString('hex')}`;
}

/** One way a run can go: its own simulated target, inputs, environment, and what befalls it. */
interface Case {
  name: string;
  /** What its one error says; null: it succeeds. */
  error: RegExp | null;
  inputs?: (stage: Stage) => Values | Promise<Values>;
  environment?: (stage: Stage) => Values;
  befalls?: (stage: Stage) => void | Promise<void>;
  meanwhile?: (stage: Stage, step: Step) => Promise<void>;
  /** What prints secrets is not this action, so that the runner's masks alone hide them. */
  maskedOnly?: true;
}

interface Stage {
  world: World;
  provider: Provider;
  /** For files of this case. */
  directory: string;
}

const jwt = async ({ world }: Stage): Promise<Values> => {
  await world.vaultRequest('POST', 'auth/jwt/role/deployer', {
    role_type: 'jwt',
    user_claim: 'repository',
    token_policies: ['root'],
  });
  return { vault_auth_method: 'jwt', vault_token: '', vault_role: 'deployer' };
};

const approle = async ({ world }: Stage): Promise<Values> => {
  await world.vaultRequest('POST', 'auth/approle/role/deployer', { token_policies: ['root'] });
  const read = async (method: string, field: string) =>
    digText(await world.vaultRequest(method, `auth/approle/role/deployer/${field.replace('_', '-')}`), 'data', field);
  return {
    vault_auth_method: 'approle',
    vault_token: '',
    vault_role_id: await read('GET', 'role_id'),
    vault_secret_id: await read('POST', 'secret_id'),
  };
};

const serviceAccount = async ({ world, directory }: Stage): Promise<Values> => {
  await world.vaultRequest('POST', 'auth/kubernetes/role/runner', {
    token_policies: ['root'],
    bound_service_account_names: ['deployer'],
    bound_service_account_namespaces: ['runners'],
  });
  const vault_kubernetes_token_path = path.join(directory, 'token');
  writeFileSync(vault_kubernetes_token_path, SERVICE_ACCOUNT_TOKEN);
  return { vault_auth_method: 'kubernetes', vault_token: '', vault_role: 'runner', vault_kubernetes_token_path };
};

const SERVICE_ACCOUNT_TOKEN = [
  { alg: 'RS256' },
  { sub: 'system:serviceaccount:runners:deployer', jti: sentinel('service-account') },
]
  .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
  .concat('signature-of-the-token')
  .join('.');

/** A kubeconfig that holds every credential there is; this one is of the user that the run takes. */
function kubeconfigFor({ world }: Stage, user: JsonObject): string {
  const others = [
    { token: CREDENTIALS.token, password: CREDENTIALS.password, 'client-key-data': CREDENTIALS['client-key-data'] },
    { 'auth-provider': { name: 'oidc', config: CREDENTIALS } },
    { exec: { command: 'true', env: [{ name: 'SECRET', value: CREDENTIALS.value }] } },
  ];
  return dump({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'here',
    contexts: [{ name: 'here', context: { cluster: 'here', user: 'user' } }],
    clusters: [{ name: 'here', cluster: { server: world.kubernetesUrl, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'user', user }, ...others.map((other, index) => ({ name: `other-${index}`, user: other }))],
  });
}

const TOKEN_USER = { token: KUBERNETES_TOKEN };

/** A kubeconfig whose user is a script; $DIRECTORY is the case's own. */
function plugin({ directory, ...stage }: Stage, script: string): Values {
  const file = path.join(directory, 'plugin.sh');
  writeFileSync(file, script);
  const env = [
    { name: 'PLUGIN_SECRET', value: CREDENTIALS.value ?? '' },
    { name: 'DIRECTORY', value: directory },
  ];
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: 'sh', args: [file], env };
  return { kubeconfig: kubeconfigFor({ ...stage, directory }, { exec }) };
}

const PLUGIN_TOKEN = KUBERNETES_TOKEN;

/** Waits until the test has seen its process, then hands out the token. */
const GOOD_PLUGIN = `
while [ ! -e "$DIRECTORY/seen" ]; do sleep 0.05; done
echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"${PLUGIN_TOKEN}"}}'
`;

/** All that a server got of a request, as a debugging proxy shows it. */
function echoOf({ method, path, headers, body }: SimulatedRequest): string {
  return `${method} ${path} ${JSON.stringify(headers)} ${JSON.stringify(body)}`;
}

/** Answers the matching requests with what they hold. */
function echo({ world }: Stage, part: string, status: number, answer: (echoed: string) => Json): void {
  world.faults.add({
    effect: 'reply',
    matches: ({ path }) => path.includes(part),
    times: Number.POSITIVE_INFINITY,
    reply: (request) => ({ status, body: answer(echoOf(request)) }),
  });
}

const asStatus = (message: string): Json => ({ kind: 'Status', apiVersion: 'v1', status: 'Failure', message });
const asErrors = (error: string): Json => ({ errors: [error] });
/** What is quoted of it is cut off within the secrets. */
const asLongText = (text: string): Json => `${'x'.repeat(120)} ${text} ${text}`;

const DEFECT = `
require('node:crypto').randomUUID = () => {
  throw new Error('no randomness in ' + JSON.stringify(process.env) + [...new Array(3)].map(() => process.argv));
};
`;

const SUCCESSES: Case[] = [
  { name: 'a run that succeeds', error: null },
  {
    name: 'a kubeconfig in base64',
    error: null,
    inputs: (stage) => ({ kubeconfig: Buffer.from(kubeconfigFor(stage, TOKEN_USER)).toString('base64') }),
  },
  { name: 'the login jwt', error: null, inputs: jwt, environment: ({ provider }) => provider.environment },
  { name: 'the login approle', error: null, inputs: approle },
  { name: 'the login kubernetes', error: null, inputs: serviceAccount },
  {
    name: 'an exec plugin',
    error: null,
    inputs: (stage) => plugin(stage, GOOD_PLUGIN),
  },
  {
    name: 'libraries that print all they do',
    error: null,
    inputs: jwt,
    environment: ({ provider }) => ({
      ...provider.environment,
      DEBUG: '*',
      NODE_DEBUG: 'http,https,net,tls,child_process,fs,module',
    }),
    maskedOnly: true,
  },
];

const FAILURES: Case[] = [
  {
    name: 'a Vault token that is refused',
    error: /permission denied/,
    inputs: () => ({ vault_token: INPUT_SENTINELS.vault_token ?? '' }),
  },
  {
    name: 'a secret ID that is refused',
    error: /invalid role or secret ID/,
    inputs: async (stage) => ({
      ...(await approle(stage)),
      vault_role_id: INPUT_SENTINELS.vault_role_id ?? '',
      vault_secret_id: INPUT_SENTINELS.vault_secret_id ?? '',
    }),
  },
  {
    name: 'an ID token that is refused',
    error: /role "other" could not be found/,
    inputs: async (stage) => ({ ...(await jwt(stage)), vault_role: 'other' }),
    environment: ({ provider }) => provider.environment,
  },
  {
    name: 'a ServiceAccount token that is refused',
    error: /invalid role name/,
    inputs: async (stage) => ({ ...(await serviceAccount(stage)), vault_role: 'other' }),
  },
  {
    name: 'a Kubernetes token that is refused',
    error: /HTTP 401/,
    inputs: (stage) => ({ kubeconfig: kubeconfigFor(stage, { token: CREDENTIALS.token ?? '' }) }),
  },
  {
    name: 'a password that is refused',
    error: /HTTP 401/,
    inputs: (stage) => ({
      kubeconfig: kubeconfigFor(stage, { username: 'administrator', password: CREDENTIALS.password ?? '' }),
    }),
    befalls: (stage) => echo(stage, '/version', 401, asLongText),
  },
  {
    name: 'a private key that is none',
    error: /Kubernetes API server|certificate/i,
    inputs: (stage) => ({
      kubeconfig: kubeconfigFor(stage, {
        'client-certificate-data': 'bm9uZQ==',
        'client-key-data': Buffer.from(`${CREDENTIALS['client-key-data']}`).toString('base64'),
      }).replace('http://', 'https://'),
    }),
  },
  {
    name: 'a kubeconfig with broken YAML',
    error: /It is not a kubeconfig/,
    inputs: (stage) => ({ kubeconfig: kubeconfigFor(stage, TOKEN_USER).replace('token: ', 'token: "') }),
  },
  {
    name: 'secrets in inputs that are wrong',
    error: /Reading the inputs/,
    inputs: () => ({
      ...INPUT_SENTINELS,
      vault_role_id: `${INPUT_SENTINELS.vault_role_id} x`,
      kubeconfig: `no: ${KUBERNETES_TOKEN}`,
      name: INPUT_SENTINELS.vault_token ?? '',
      replicas: '2',
    }),
  },
  {
    name: 'an exec plugin that tells all it has and fails',
    error: /Getting credentials/,
    inputs: (stage) =>
      plugin(stage, 'printf "%0480d" 0 >&2; env >&2; while [ ! -e "$DIRECTORY/seen" ]; do sleep 0.05; done; exit 1'),
  },
  {
    name: 'an OIDC provider that tells what it was sent, for an expired ID token',
    error: /Getting credentials/,
    inputs: (stage) => ({
      kubeconfig: kubeconfigFor(stage, {
        'auth-provider': {
          name: 'oidc',
          config: { ...CREDENTIALS, 'client-id': 'kubernetes', 'idp-issuer-url': `${stage.world.vaultUrl}/v1/idp` },
        },
      }),
    }),
    befalls: (stage) => echo(stage, '/v1/idp', 400, asErrors),
  },
  {
    name: 'a token service that tells what it was sent',
    error: /ID token/,
    inputs: jwt,
    environment: ({ provider, world }) => ({
      ...provider.environment,
      ACTIONS_ID_TOKEN_REQUEST_URL: `${world.vaultUrl}/v1/id-token?x=1`,
    }),
    befalls: (stage) => echo(stage, '/v1/id-token', 400, (text) => ({ message: text })),
  },
  {
    name: 'a proxy that tells what it was sent',
    error: /ID token/,
    inputs: jwt,
    environment: ({ provider, world }) => ({
      ...provider.environment,
      ACTIONS_ID_TOKEN_REQUEST_URL: 'http://token.service.invalid/v1/id-token?x=1',
      HTTP_PROXY: world.vaultUrl.replace('//', `//proxy:${PROXY_PASSWORD}@`),
    }),
    befalls: (stage) => echo(stage, 'id-token', 407, asErrors),
  },
  {
    name: 'a Vault that is sealed',
    error: /sealed/,
    befalls: ({ world }) => {
      world.behaviour.vaultSealed = true;
    },
  },
  {
    name: 'a redirect that carries the token',
    error: /Redirects are not followed/,
    befalls: ({ world }) =>
      world.faults.add({
        effect: 'reply',
        matches: ({ path }) => path.includes('/v1/auth/token/lookup-self'),
        reply: ({ headers }) => ({
          status: 307,
          headers: { location: `https://elsewhere.example/${headers['x-vault-token']}` },
        }),
      }),
  },
  ...[asErrors, asStatus, asLongText].map((form) => ({
    name: `a login at which Vault, or what stands before it, tells what it was sent: ${form.name}`,
    error: /Logging in to Vault/,
    inputs: approle,
    befalls: (stage: Stage) => echo(stage, '/login', 400, form),
  })),
  ...[asErrors, asStatus, asLongText].map((form) => ({
    name: `a Vault that fails and tells what it was sent: ${form.name}`,
    error: /pki\/internal/,
    inputs: (stage: Stage) => ({ vault_url: stage.world.vaultUrl }),
    befalls: (stage: Stage) => echo(stage, '/v1/pki/internal', 500, form),
  })),
  ...[asStatus, asLongText].flatMap((form) =>
    [403, 500].map((status) => ({
      name: `an API server that answers ${status} and tells what it was sent: ${form.name}`,
      error: new RegExp(`HTTP ${status}`),
      befalls: (stage: Stage) => echo(stage, '/api/v1/namespaces/demo/configmaps', status, form),
    })),
  ),
  {
    name: 'an answer of the API server that is none',
    error: /not that of a Kubernetes API server/,
    befalls: (stage) => echo(stage, '/version', 200, asLongText),
  },
  {
    name: 'a Secret that holds a key alone',
    error: /tls.crt holds no certificate/,
    befalls: ({ world }) =>
      world.faults.add({
        effect: 'answer',
        matches: ({ path }) => path.endsWith('/secrets/nats-admin-creds'),
        status: 200,
        body: {
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: {
            name: 'nats-admin-creds',
            annotations: { 'cert-manager.io/certificate-name': 'nats-admin-creds' },
          },
          data: { 'tls.key': Buffer.from(CREDENTIALS['client-key-data'] ?? '').toString('base64') },
        },
        times: Number.POSITIVE_INFINITY,
      }),
  },
  {
    name: 'a connection to Vault without TLS',
    error: /wrong version number|packet length/,
    inputs: ({ world }) => ({ vault_url: world.vaultUrl.replace('http:', 'https:') }),
  },
  {
    name: 'a Vault that does not answer',
    error: /no answer within/,
    inputs: ({ world }) => ({ vault_url: world.vaultUrl }),
    befalls: ({ world }) =>
      world.faults.add({
        effect: 'hang',
        matches: ({ server }) => server === 'vault',
        times: Number.POSITIVE_INFINITY,
      }),
  },
  {
    name: 'a field that somebody else holds',
    error: /another-manager/,
    befalls: async ({ world }) => {
      await world.apply();
      await world.kube(
        'PATCH',
        '/apis/apps/v1/namespaces/demo/statefulsets/nats?fieldManager=another-manager&force=true',
        { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: 'nats' }, spec: { replicas: 2 } },
        'application/apply-patch+yaml',
      );
    },
  },
  {
    name: 'a run that is cancelled',
    error: /cancelled \(SIGINT\)/,
    inputs: jwt,
    environment: ({ provider }) => provider.environment,
    befalls: ({ world }) => {
      world.behaviour.unschedulable = true;
    },
    meanwhile: async ({ world }, step) => {
      await world.requestTo('/statefulsets/nats', step);
      step.process.kill('SIGINT');
    },
  },
  {
    name: 'a defect that quotes the environment',
    error: /A defect of this action/,
    inputs: approle,
    environment: ({ directory, provider }) => {
      writeFileSync(path.join(directory, 'defect.cjs'), DEFECT);
      return { ...provider.environment, NODE_OPTIONS: `--require ${path.join(directory, 'defect.cjs')}` };
    },
    maskedOnly: true,
  },
];

describe.each([
  ['success', SUCCESSES],
  ['failure', FAILURES],
] as const)('nobody sees a secret: %s,', (_, cases) => {
  test.concurrent.each([...cases])(
    '$name',
    async (way) => {
      const directory = mkdtempSync(path.join(tmpdir(), 'secrets-'));
      const stage = { directory, world: await startWorld(), provider: await startProvider() };
      try {
        const { secrets, places } = await play(way, stage);
        expect(secrets.length).toBeGreaterThan(CREDENTIAL_FIELDS.length);
        expect(leaksIn(secrets, places)).toEqual([]);
      } finally {
        stage.provider.close();
        await stage.world.close();
        rmSync(directory, { recursive: true });
      }
    },
    BUSY,
  );
});

/** Runs main and post step of a case with step debug logging on; tells what is secret and what others can read. */
async function play(way: Case, stage: Stage): Promise<{ secrets: Secret[]; places: Places }> {
  const { world } = stage;
  const own = (await way.inputs?.(stage)) ?? {};
  const inputs = { ...world.inputs, timeout: '200', kubeconfig: kubeconfigFor(stage, TOKEN_USER), ...own };
  await way.befalls?.(stage);
  const before = world.requests.length;
  const debug = {
    RUNNER_DEBUG: '1',
    ACTIONS_STEP_DEBUG: 'true',
    HTTP_PROXY: proxy('http'),
    HTTPS_PROXY: proxy('https'),
  };
  const step = startMain(inputs, { ...debug, ...way.environment?.(stage) });
  const processes = watchProcesses(step.process.pid ?? 0);
  const seen = letPluginGoOn(stage, processes);
  await way.meanwhile?.(stage, step);
  const main = await step.ended;
  processes.stop();
  clearInterval(seen);
  expect(main.errors.length > 0 ? main.errors.join('\n') : null).toEqual(
    way.error === null ? null : expect.stringMatching(way.error),
  );
  const post = await runPost(inputs, main.state);
  return {
    secrets: secretsOf(inputs, main, stage),
    places: {
      ...shownOf(main, post, way.maskedOnly === true ? 'masked' : 'unmasked'),
      ...traces(world, world.requests.slice(before)),
      ...sightsOf(processes, PLUGIN_VARIABLES),
    },
  };
}

const proxy = (scheme: string): string => `${scheme}://proxy:${PROXY_PASSWORD}@127.0.0.1:9`;

/** An exec plugin of a case waits until its process has been seen. */
function letPluginGoOn({ directory }: Stage, { commandLines }: ProcessSight): NodeJS.Timeout {
  return setInterval(() => {
    if ([...commandLines].some((line) => line.includes('plugin.sh'))) writeFileSync(path.join(directory, 'seen'), '');
  }, 20);
}

/** Everything secret in a run: what it was given, what it was handed out, and what it read to verify. */
function secretsOf(inputs: Values, main: Ending, { world, provider }: Stage): Secret[] {
  const given = SECRET_INPUTS.filter((name) => name !== 'kubeconfig').map((name) => ({
    name,
    value: inputs[name] ?? '',
  }));
  const credentials = Object.entries(CREDENTIALS).map(([name, value]) => ({ name: `kubeconfig ${name}`, value }));
  const privateKeys = world.cluster.store.list(resourceOf('Secret')).flatMap(({ metadata, data }) => {
    const lines = Buffer.from(digText(data, 'tls.key'), 'base64').toString('utf8').split('\n');
    const body = lines.filter((line) => line !== '' && !line.startsWith('-----'));
    return body.map((value) => ({ name: `private key in ${metadata.name}`, value }));
  });
  return [
    ...given,
    ...credentials,
    ...privateKeys,
    { name: 'Kubernetes token', value: KUBERNETES_TOKEN },
    { name: 'Vault root token', value: world.vaultToken },
    { name: 'minted Vault token', value: main.state.vault_token ?? '' },
    { name: 'ServiceAccount token', value: SERVICE_ACCOUNT_TOKEN },
    { name: 'ID token request token', value: provider.environment.ACTIONS_ID_TOKEN_REQUEST_TOKEN ?? '' },
    ...provider.issued.map((value) => ({ name: 'ID token', value })),
    { name: 'proxy password', value: PROXY_PASSWORD },
  ].filter(({ value }) => value !== '');
}

/** What a run leaves in the cluster and in audit logs: everything but the credentials Secrets, and the bodies of logins. */
function traces({ cluster }: World, requests: RecordedRequest[]): Places {
  const isLogin = (request: RecordedRequest): boolean => /\/v1\/auth\/.*\/login$/.test(request.path);
  return {
    objects: JSON.stringify(
      cluster.store.contents('demo').filter(({ object }) => object.kind !== 'Secret'),
      unpacked,
    ),
    'the paths of requests': requests.map((request) => request.path).join('\n'),
    'the user agents': requests.map(({ userAgent }) => userAgent).join('\n'),
    'the bodies of requests': JSON.stringify(
      requests.filter((request) => !isLogin(request)).map(({ body }) => body),
      unpacked,
    ),
  };
}

/** What an exec plugin has to get: what the kubeconfig gives it, the job's proxies, and what a plugin logs in with. */
const PLUGIN_VARIABLES = /^(PLUGIN_SECRET|HTTPS?_PROXY|ACTIONS_ID_TOKEN_REQUEST_TOKEN)=/;

const SECRET_INPUTS = INPUT_NAMES.filter((name) => 'secret' in INPUTS[name]);

test('every secret input has a sentinel', () => {
  expect(Object.keys(INPUT_SENTINELS).sort()).toEqual([...SECRET_INPUTS].sort());
});

test('the check finds what a run leaves in objects, and in the paths and bodies of requests', async () => {
  const world = await startWorld();
  const before = world.requests.length;
  const planted = sentinel('planted');
  const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' }, data: { planted } };
  await world.kube('POST', `/api/v1/namespaces/demo/configmaps?fieldManager=${planted}`, configMap);
  const places = traces(world, world.requests.slice(before));
  await world.close();
  expect(leaksIn([{ name: 'it', value: planted }], places)).toEqual([
    'it in objects (plain)',
    'it in the paths of requests (plain)',
    'it in the bodies of requests (plain)',
  ]);
});

test('the check finds what a run leaves compressed', async () => {
  const world = await startWorld();
  const before = world.requests.length;
  const planted = sentinel('planted');
  const packed = gzipSync(JSON.stringify({ planted })).toString('base64');
  const inventory = { metadata: { name: 'x' }, binaryData: { 'last-good.json.gz': packed } };
  await world.kube('POST', '/api/v1/namespaces/demo/configmaps', { apiVersion: 'v1', kind: 'ConfigMap', ...inventory });
  const places = traces(world, world.requests.slice(before));
  await world.close();
  expect(leaksIn([{ name: 'it', value: planted }], places)).toEqual([
    'it in objects (plain)',
    'it in the bodies of requests (plain)',
  ]);
});

test('each secret is masked before the first line that anything else writes', async () => {
  const world = await startWorld();
  const main = await world.apply();
  await world.close();
  const lines = main.printed.split('\n');
  const firstWords = lines.findIndex((line) => line !== '' && !line.startsWith('::add-mask::'));
  for (const secret of [world.vaultToken, KUBERNETES_TOKEN]) {
    const masked = lines.indexOf(`::add-mask::${secret}`);
    expect(masked).toBeGreaterThanOrEqual(0);
    expect(masked).toBeLessThan(firstWords);
  }
});
