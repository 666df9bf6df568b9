import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Job, type Provider, startProvider } from '../simulator/github-oidc.ts';
import { type Ending, runMain, runPost, startMain, type Values } from '../simulator/runner.ts';
import { digText, type JsonObject } from '../src/json.ts';
import { auditWrites, kube, kubeconfig, vault, waitFor } from './cluster.ts';
import { emptyNamespace, leaveNamespace, listVault } from './namespace.ts';
import { connectAs } from './nats.ts';
import { KubeApiError } from './sandbox/kube-api.ts';
import { certificateFile } from './sandbox/pki.ts';
import { hostAddress } from './sandbox/topology.ts';
import { commandsBelow, runCommands, vaultHost, vaultUrl } from './vault-page.ts';

/** Both the namespace in Kubernetes and the one in Vault, whose mounts, methods and policies are those of docs/vault.md. */
const namespace = 'e2e-logins';

/** The job that the page's role is for. */
const production: Partial<Job> = { repository: 'org/app', environment: 'production' };

/** What the page names otherwise. */
const here = { messaging: namespace };

const ca = readFileSync(certificateFile('vault-ca'), 'utf8');

/** Through the API server by TLS, to a CA that is private, in a Vault namespace. */
const inputs: Values = {
  kubeconfig,
  timeout: '150',
  namespace,
  vault_internal_url: vaultUrl,
  vault_ca_certificate: ca,
  vault_namespace: namespace,
  vault_internal_pki_backend_mount_path: 'pki/nats',
  vault_role: 'nats-deployer',
  // Of the whole cluster: no matter what other tests install there meanwhile, there is nothing to do a second time.
  vpa_enabled: 'false',
  node_image_cached_enabled: 'false',
};

/** Of a preview, in a namespace of its name: one server. */
const small = { name: 'preview-logins', replicas: '1', create_namespace: 'true' };

let provider: Provider;

beforeAll(async () => {
  provider = await startProvider({ host: hostAddress });
  await emptyNamespace(namespace);
  await withoutVaultNamespace();
  await vault().call('POST', `sys/namespaces/${namespace}`, {});
  for (const heading of ['The PKI secrets engine', 'How cert-manager logs in']) {
    await runCommands(commandsBelow(heading), namespace, {});
  }
  const github = { 'https://token.actions.githubusercontent.com': provider.issuer };
  await runCommands(commandsBelow('How the action logs in'), namespace, { ...here, ...github });
});

afterAll(async () => {
  provider.close();
  await leaveNamespace(namespace);
  await leaveNamespace(small.name);
  await withoutVaultNamespace();
  kube.close();
});

describe("the job's OIDC token, at the role of docs/vault.md,", () => {
  let started: Date;

  beforeAll(() => {
    started = new Date();
  });

  it.each<[string, Partial<Job>, Values, RegExp]>([
    ['of a fork', { repository: 'somebody/app' }, { vault_jwt_audience: 'https://github.com/org' }, /"repository"/],
    ['of another environment', { environment: 'staging' }, {}, /"environment"/],
    ['for another audience', {}, { vault_jwt_audience: 'https://vault.example' }, /audience/],
    ['that has expired', { time: new Date(Date.now() - 900_000) }, {}, /expired/],
  ])('%s is refused', async (_, job, wrong, why) => {
    const error = await refusalOf(wrong, provider.environmentOf({ ...production, ...job }));
    expect(error).toMatch(/^Logging in to Vault at auth\/jwt\/login \(jwt, role nats-deployer\): HTTP 400/);
    expect(error).toMatch(why);
    expect(error).toMatch(/that role of auth\/jwt is bound to: repository, environment or branch/);
  });

  it('that somebody else signed is refused', async () => {
    const forger = await startProvider({ issuer: provider.issuer });
    const error = await refusalOf({}, forger.environmentOf(production)).finally(() => forger.close());
    expect(error).toMatch(
      /^Logging in to Vault at auth\/jwt\/login.*signature.*auth\/jwt\/config must trust GitHub's issuer/,
    );
  });

  it('is refused in a Vault namespace that does not exist', async () => {
    const error = await refusalOf({ vault_namespace: 'nowhere' }, provider.environmentOf(production));
    expect(error).toMatch(/Vault has no namespace "nowhere": correct vault_namespace/);
  });

  it('wrote nothing where it was refused', async () => {
    const writes = await auditWrites(started, { userAgent: 'kube-nats-action/' });
    expect(writes.filter(({ uri }) => uri.includes(namespace))).toEqual([]);
  });

  it('is revoked by a run that is cancelled, and the post step has nothing left to do', async () => {
    const step = startMain(inputs, provider.environmentOf(production));
    await waitFor(() => /^Created StatefulSet/m.test(step.printed()), 'the run has come to the servers', 120_000);
    step.process.kill('SIGINT');
    const main = await step.ended;
    expect(main.errors).toEqual([expect.stringMatching(/cancelled \(SIGINT\)/)]);
    expect(main.log).toContain('Revoked the Vault token of this run.');
    const [, token = ''] = /^::add-mask::((?:hvs|s)\..+)$/m.exec(main.printed) ?? [];
    expect(token).not.toBe('');
    expect(await isValid(token)).toBe(false);
    expect(await runPost(inputs, main.state)).toMatchObject({ exitCode: 0, log: '' });
  });

  it('installs a cluster whose certificates come from that Vault namespace', async () => {
    const main = await runMain(inputs, provider.environmentOf(production));
    console.log(`completed after the cancelled run: ${main.seconds.toFixed(1)} s`);
    expect(main).toMatchObject({ exitCode: 0, errors: [], outputs: { changed: 'true' } });
    await expectRevoked(inputs, main);
    const client = await connectAs('admin', main.outputs);
    expect(client.info?.jetstream).toBe(true);
    await client.close();
    const issuers = await kube.list(`/apis/cert-manager.io/v1/namespaces/${namespace}/issuers`);
    expect(issuers.map(({ spec }) => digText(spec, 'vault', 'namespace'))).toEqual(issuers.map(() => namespace));
  });

  it('is revoked by the post step of a run that failed', async () => {
    const wrong = { ...inputs, namespace: 'e2e-nowhere' };
    const main = await runMain(wrong, provider.environmentOf(production));
    expect(main.errors).toEqual([expect.stringContaining('namespace e2e-nowhere')]);
    await expectRevoked(wrong, main);
  });

  it('is revoked by the post step of a run that was killed', async () => {
    const step = startMain(inputs, provider.environmentOf(production));
    await waitFor(() => step.printed().includes('NATS cluster'), 'the run has logged in', 30_000);
    step.process.kill('SIGKILL');
    const main = await step.ended;
    expect(main.exitCode).toBe(null);
    await expectRevoked(inputs, main);
  });

  it('is exchanged for a batch token where the role says so, which nobody can revoke', async () => {
    await allowJob('batch', { token_type: 'batch' });
    const batch = { ...inputs, vault_role: 'batch' };
    const main = await runMain(batch, provider.environmentOf(production));
    expect(main).toMatchObject({ exitCode: 0, errors: [], state: {} });
    expect(await runPost(batch, main.state)).toMatchObject({ exitCode: 0, log: '' });
    const [, token = ''] = /^::add-mask::(b\..+)$/m.exec(main.printed) ?? [];
    expect(await isValid(token)).toBe(true);
  });

  it('lives on with a warning where its policies do not allow to revoke it', async () => {
    await allowJob('bare', { token_no_default_policy: true });
    const bare = { ...inputs, vault_role: 'bare' };
    const main = await runMain(bare, provider.environmentOf(production));
    expect(main.errors).toEqual([expect.stringMatching(/lacks the policy named default/)]);
    const post = await runPost(bare, main.state);
    expect(post).toMatchObject({ exitCode: 0, log: expect.stringMatching(/^::warning::The Vault token.*revoke-self/) });
    expect(await isValid(main.state.vault_token ?? '')).toBe(true);
  });

  it('is no failure of the post step where it is gone already', async () => {
    const main = await runMain(inputs, provider.environmentOf(production));
    await expectRevoked(inputs, main);
    const post = await runPost(inputs, main.state);
    expect(post).toMatchObject({ exitCode: 0, log: expect.stringMatching(/^::warning::The Vault token/) });
  });
});

describe('a token that was handed in', () => {
  it('logs in, and is valid afterwards', async () => {
    const token = await runCommands([blockWith('vault token create')], namespace, {});
    const handedIn = { ...inputs, vault_auth_method: 'token', vault_token: token };
    const main = await runMain(handedIn);
    expect(main).toMatchObject({ exitCode: 0, errors: [], outputs: { changed: 'false' }, state: {} });
    expect(await runPost(handedIn, main.state)).toMatchObject({ exitCode: 0, log: '' });
    expect(await isValid(token)).toBe(true);
    await inVault('POST', 'auth/token/revoke', { token });
    const error = await refusalOf({ vault_auth_method: 'token', vault_token: token });
    expect(error).toMatch(/auth\/token\/lookup-self.*The token in vault_token is wrong, expired, revoked/);
  });
});

describe('an AppRole', () => {
  it('logs in with a secret ID that is good, until it is used up', async () => {
    const printed = await runCommands([blockWith('vault auth enable approle')], namespace, {});
    const [roleId = '', secretId = ''] = printed.match(/[0-9a-f-]{36}/g) ?? [];
    const approle = { vault_auth_method: 'approle', vault_role_id: roleId, vault_secret_id: secretId };
    await expectNoOp({ ...inputs, ...approle });
    const wrong = await refusalOf({ ...approle, vault_secret_id: '00000000-0000-4000-8000-000000000000' });
    expect(wrong).toMatch(/^Logging in to Vault at auth\/approle\/login \(approle/);
    expect(wrong).toMatch(/Check vault_role_id, and make a new vault_secret_id/);
    expect(await refusalOf({ ...approle, vault_role_id: secretId })).toMatch(/Check vault_role_id/);

    await inVault('POST', 'auth/approle/role/nats-deployer', { secret_id_num_uses: 1 });
    const { data } = await inVault('POST', 'auth/approle/role/nats-deployer/secret-id', {});
    const once = { ...approle, vault_secret_id: digText(data, 'secret_id') };
    await expectNoOp({ ...inputs, ...once });
    const usedUp = await refusalOf(once);
    expect(usedUp).toMatch(/make a new vault_secret_id: .*used up/);
    expect(usedUp).not.toContain(once.vault_secret_id);
  });
});

describe("a pod's ServiceAccount", () => {
  const kubernetes: Values = { vault_auth_method: 'kubernetes' };
  let directory: string;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'service-account-'));
    for (const name of ['runner', 'stranger']) {
      await kube.apply(`/api/v1/namespaces/${namespace}/serviceaccounts/${name}`, object('v1', 'ServiceAccount', name));
    }
    await kube.apply(`/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/${namespace}`, {
      ...object('rbac.authorization.k8s.io/v1', 'ClusterRoleBinding', namespace),
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
      subjects: [{ kind: 'ServiceAccount', name: 'runner', namespace }],
    });
    await runCommands([blockWith('bound_service_account_names=runner')], namespace, { '=ci': `=${namespace}` });
  });

  afterAll(async () => {
    rmSync(directory, { recursive: true });
    await kube.delete(`/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/${namespace}`);
  });

  it('logs in from inside the cluster, where the job needs no kubeconfig', async () => {
    const { main, post } = await runInPod({ ...inputs, ...kubernetes, kubeconfig: '' });
    expect(main).toMatchObject({ exitCode: 0, errors: [], outputs: { changed: 'false', namespace } });
    expect(post).toMatchObject({ exitCode: 0, log: expect.stringContaining('Revoked the Vault token') });
    expect(await isValid(main.state.vault_token ?? '')).toBe(false);
  });

  it('logs in with a token for Vault alone', async () => {
    await inVault('POST', 'auth/kubernetes/role/nats-deployer', { audience: 'vault' });
    const projected = { ...kubernetes, vault_kubernetes_token_path: '/var/run/secrets/vault/token' };
    const { main } = await runInPod({ ...inputs, ...projected, kubeconfig: '', vault_url: vaultUrl });
    expect(main).toMatchObject({ exitCode: 0, errors: [], outputs: { changed: 'false' } });
    expect(await isValid(main.state.vault_token ?? '')).toBe(false);
  });

  it.each<[string, string, string, string]>([
    ['of another name', namespace, 'stranger', 'vault'],
    ['of another namespace', 'default', 'default', 'vault'],
    ['with a token for another audience', namespace, 'runner', 'another'],
  ])('%s is refused', async (_, where, name, audience) => {
    const file = join(directory, 'token');
    writeFileSync(file, await tokenOf(where, name, audience));
    const error = await refusalOf({ ...kubernetes, vault_kubernetes_token_path: file });
    expect(error).toMatch(
      /^Logging in to Vault at auth\/kubernetes\/login \(kubernetes, role nats-deployer\): HTTP 40/,
    );
    expect(error).toMatch(/that role of auth\/kubernetes is bound to: ServiceAccount, namespace and audience/);
  });

  it('logs in from outside the cluster as well, with a token that was requested', async () => {
    const file = join(directory, 'token');
    writeFileSync(file, await tokenOf(namespace, 'runner', 'vault'));
    await expectNoOp({ ...inputs, ...kubernetes, vault_kubernetes_token_path: file });
  });
});

describe('a Vault that the job reaches directly', () => {
  const job = () => provider.environmentOf(production);
  const serviceIp = async (): Promise<string> =>
    digText(await kube.get('/api/v1/namespaces/vault/services/vault-active'), 'spec', 'clusterIP');

  it('by TLS with a private CA', async () => {
    await expectNoOp({ ...inputs, vault_url: vaultUrl }, job());
  });

  it('without TLS', async () => {
    await expectNoOp({ ...inputs, vault_url: `http://${vaultHost}:8200` }, job());
  });

  it('must show a certificate of that CA', async () => {
    const wrong = readFileSync(certificateFile('ca'), 'utf8');
    for (const trusted of [wrong, '']) {
      const error = await refusalOf({ vault_url: vaultUrl, vault_ca_certificate: trusted }, job());
      expect(error).toMatch(/certificate.*not trusted: set vault_ca_certificate to the CA that signed it/);
    }
  });

  it('must show a certificate of that host name', async () => {
    const error = await refusalOf({ vault_url: `https://${await serviceIp()}:8443` }, job());
    expect(error).toMatch(/use one of them as the host in vault_url/);
  });

  it.each([
    ['http', '8443', /speaks TLS there: write https in vault_url/],
    ['https', '8200', /does not speak TLS there: check http and https in vault_url/],
  ])('must speak %s where vault_url says so', async (scheme, port, advice) => {
    expect(await refusalOf({ vault_url: `${scheme}://${vaultHost}:${port}` }, job())).toMatch(advice);
  });
});

describe('a Vault behind the API server', () => {
  it.each([
    ['http', '8443', /speaks TLS there: write https in vault_internal_url/],
    ['https', '8200', /not look like a TLS handshake.*Check the port and http\/https in vault_internal_url/],
  ])('must speak %s where vault_internal_url says so', async (scheme, port, advice) => {
    const wrong = { vault_internal_url: `${scheme}://${vaultHost}:${port}` };
    expect(await refusalOf(wrong, provider.environmentOf(production))).toMatch(advice);
  });
});

describe('docs/vault.md', () => {
  it('lets a pull request in for previews, and nobody else', async () => {
    await runCommands(commandsBelow('The PKI secrets engine'), namespace, { 'pki/nats': 'pki/preview' });
    await runCommands(commandsBelow('Previews'), namespace, {});
    const preview = {
      ...inputs,
      namespace: small.name,
      vault_role: 'nats-preview',
      vault_internal_pki_backend_mount_path: 'pki/preview',
    };
    const pullRequest = { repository: 'org/app', event_name: 'pull_request', ref: 'refs/pull/7/merge' };
    const main = await runMain(preview, provider.environmentOf(pullRequest));
    expect(main.errors).toEqual([expect.stringContaining('namespace preview-logins')]);
    await expectRevoked(preview, main);
    const error = await refusalOf({ vault_role: 'nats-preview' }, provider.environmentOf(production));
    expect(error).toMatch(/"event_name"/);
    await leavesNothingOf({ ...preview, ...small }, provider.environmentOf(pullRequest));
  });
});

/** Brings a preview up and removes it, with no other rights than those of docs/vault.md. */
async function leavesNothingOf(preview: Values, environment: Values): Promise<void> {
  const before = await rolesInVault();
  expect((await runMain(preview, environment)).errors).toEqual([]);
  expect(await rolesInVault()).not.toEqual(before);
  const { replicas: _, create_namespace: __, ...connection } = preview;
  const consent = { mode: 'destroy', delete_data: 'true', delete_namespace: 'true' };
  expect((await runMain({ ...connection, ...consent }, environment)).errors).toEqual([]);
  expect(await rolesInVault()).toEqual(before);
  const path = `/api/v1/namespaces/${preview.namespace}`;
  expect((await kube.send({ method: 'GET', path })).status).toBe(404);
}

/** All policies and roles in the Vault namespace. */
function rolesInVault(): Promise<string[][]> {
  const paths = ['sys/policies/acl', 'auth/kubernetes/role', 'pki/preview/roles'];
  return Promise.all(paths.map((path) => listVault(`${namespace}/${path}`)));
}

/** A token of a ServiceAccount, as a projected volume holds it. */
async function tokenOf(where: string, name: string, audience: string): Promise<string> {
  const { status } = await kube.call({
    method: 'POST',
    path: `/api/v1/namespaces/${where}/serviceaccounts/${name}/token`,
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: [audience] } },
  });
  return digText(status, 'token');
}

/** Runs into an error of the login and returns its text, which shows no token. */
async function refusalOf(wrong: Values, environment: Values = {}): Promise<string> {
  const ending = await runMain({ ...inputs, ...wrong }, environment);
  const [error = ''] = ending.errors;
  console.log(`${ending.seconds.toFixed(1)} s: ${error}`);
  expect(ending).toMatchObject({ exitCode: 1, errors: [expect.any(String)], state: {} });
  expect(ending.log).not.toMatch(/eyJ|^\s+at .+:\d+:\d+|A defect of this action/m);
  return error;
}

/** Runs both steps of a job for which there is nothing to do, by a token that is gone afterwards. */
async function expectNoOp(given: Values, environment: Values = {}): Promise<void> {
  const main = await runMain(given, environment);
  expect(main).toMatchObject({ exitCode: 0, errors: [], outputs: { changed: 'false' } });
  await expectRevoked(given, main);
}

/** Runs the post step and has it end the token that the main step left. */
async function expectRevoked(given: Values, { state }: Ending): Promise<void> {
  const token = state.vault_token ?? '';
  expect(await isValid(token)).toBe(true);
  expect(await runPost(given, state)).toMatchObject({ exitCode: 0, log: 'Revoked the Vault token of this run.\n' });
  expect(await isValid(token)).toBe(false);
}

/** Whether Vault knows the token. */
async function isValid(token: string): Promise<boolean> {
  try {
    await inVault('POST', 'auth/token/lookup', { token });
    return true;
  } catch (error) {
    if (error instanceof KubeApiError && error.status === 403) return false;
    throw error;
  }
}

function inVault(method: 'GET' | 'POST', path: string, body?: JsonObject): Promise<JsonObject> {
  return vault().call(method, `${namespace}/${path}`, body);
}

async function withoutVaultNamespace(): Promise<void> {
  await vault().call('DELETE', `sys/namespaces/${namespace}`);
  const gone = async (): Promise<boolean> => {
    try {
      await vault().call('GET', `sys/namespaces/${namespace}`);
      return false;
    } catch (error) {
      return error instanceof KubeApiError && error.status === 404;
    }
  };
  await waitFor(gone, `Vault namespace ${namespace} is gone`, 30_000);
}

/** A role of the JWT method like that of the page but for some parameters. */
async function allowJob(name: string, parameters: JsonObject): Promise<void> {
  const { data } = await inVault('GET', 'auth/jwt/role/nats-deployer');
  await inVault('POST', `auth/jwt/role/${name}`, { ...(data as JsonObject), ...parameters });
}

/** The block of the page's other logins that has this command. */
function blockWith(command: string): string {
  return commandsBelow('Other ways to log in').find((block) => block.includes(command)) ?? '';
}

function object(apiVersion: string, kind: string, name: string): JsonObject {
  return { apiVersion, kind, metadata: { name } };
}

const repository = join(import.meta.dirname, '..');

/** Runs a job in a pod of ServiceAccount runner: Node.js, the action, nothing else. */
async function runInPod(given: Values): Promise<{ main: Ending; post: Ending }> {
  const path = `/api/v1/namespaces/${namespace}/pods/job`;
  await kube.delete(path);
  const isGone = async (): Promise<boolean> => (await kube.send({ method: 'GET', path })).status === 404;
  await waitFor(isGone, 'the pod of the job before is gone', 60_000);
  await kube.apply(path, {
    ...object('v1', 'Pod', 'job'),
    spec: {
      serviceAccountName: 'runner',
      restartPolicy: 'Never',
      containers: [
        {
          name: 'runner',
          image: 'docker.io/library/node:24',
          args: [join(repository, 'e2e/job-in-pod.ts')],
          env: [{ name: 'JOB_INPUTS', value: JSON.stringify(given) }],
          volumeMounts: [
            { name: 'repository', mountPath: repository, readOnly: true },
            { name: 'vault-token', mountPath: '/var/run/secrets/vault' },
          ],
        },
      ],
      volumes: [
        { name: 'repository', hostPath: { path: repository } },
        {
          name: 'vault-token',
          projected: { sources: [{ serviceAccountToken: { path: 'token', audience: 'vault' } }] },
        },
      ],
      nodeSelector: { 'kubernetes.io/hostname': 'node-a' },
    },
  });
  const phase = async (): Promise<string> => digText(await kube.get(path), 'status', 'phase');
  await waitFor(async () => ['Succeeded', 'Failed'].includes(await phase()), 'the job in the pod has ended', 120_000);
  const { body } = await kube.send({ method: 'GET', path: `${path}/log` });
  return JSON.parse(body);
}
