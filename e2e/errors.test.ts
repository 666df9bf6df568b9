import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Provider, startProvider } from '../simulator/github-oidc.ts';
import { type Ending, runMain, type Values } from '../simulator/runner.ts';
import { digObjects, digText, type Json, type JsonObject } from '../src/json.ts';
import { kubeconfigOfAccount, kubeconfigWith } from './accounts.ts';
import { auditWrites, hasAuditLog, kube, sealVault, unsealVault, vault } from './cluster.ts';
import { allowDeployments, asRoot, forgetDeployer, trustJobs } from './deployer.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';
import { metaGroup, podsOf } from './observe.ts';

const namespace = 'e2e-errors';
const inputs = { ...asRoot(), namespace };

let provider: Provider;
let started: Date;

beforeAll(async () => {
  provider = await startProvider();
  await emptyNamespace(namespace);
  started = new Date();
});

afterAll(async () => {
  provider.close();
  await forgetDeployer();
  await leaveNamespace(namespace);
  kube.close();
});

/** Runs into an error and checks its form: one annotation, no stack trace, within that many seconds. Returns its text. */
async function errorOf(wrong: Values, { environment = {}, within = 30 } = {}): Promise<string> {
  const ending = await runMain({ ...inputs, ...wrong }, environment);
  const [error = ''] = ending.errors;
  console.log(`${ending.seconds.toFixed(1)} s: ${error}`);
  expect(ending).toMatchObject({ exitCode: 1, errors: [expect.any(String)] });
  expect(ending.seconds).toBeLessThan(within);
  expect(ending.log).not.toMatch(/^\s+at .+:\d+:\d+|A defect of this action/m);
  return error;
}

describe('a kubeconfig', () => {
  it('that is none', async () => {
    const error = await errorOf({ kubeconfig: 'apiVersion: v1\nclusters: [' });
    expect(error).toMatch(/^Reading the kubeconfig.*not a kubeconfig.*whole YAML text/s);
  });

  it('that is a file which does not exist', async () => {
    const error = await errorOf({ kubeconfig: '/nowhere/kubeconfig' });
    expect(error).toMatch(/^Reading the kubeconfig.*path of such a file/s);
  });

  it('with a port where nothing listens', async () => {
    const error = await errorOf({ kubeconfig: kubeconfigWith({ server: 'https://127.0.0.1:1' }) });
    expect(error).toMatch(/ECONNREFUSED 127\.0\.0\.1:1\b.*server address and port/s);
  });

  it('with the certificate of another CA', async () => {
    const { data } = await vault().call('GET', 'pki/internal/cert/ca');
    const other = Buffer.from(digText(data, 'certificate')).toString('base64');
    const error = await errorOf({ kubeconfig: kubeconfigWith({ 'certificate-authority-data': other }) });
    expect(error).toMatch(/certificate.*certificate-authority-data does not fit/s);
  });

  it('without the context asked for', async () => {
    const error = await errorOf({ context: 'production' });
    expect(error).toMatch(/no context "production".*Set the input context to one of: /s);
  });

  it('of an account with too few permissions', async () => {
    const error = await errorOf({ kubeconfig: await kubeconfigOfViewer() });
    expect(error).toMatch(/^Checking what system:serviceaccount:e2e-errors:viewer may do: .*nothing was written/);
    expect(error).toMatch(
      /apiGroups: \["apps"\], resources: \[statefulsets\], verbs: \[create, patch\] \} # Role in namespace e2e-errors/,
    );
    expect(error).toMatch(
      /resources: \[services\/proxy\], resourceNames: \["http:vault-active:8200"\], verbs: \[get, create\] \} # Role in namespace vault/,
    );
  });
});

describe('Vault', () => {
  it('with a role that does not exist', async () => {
    const login = await trustJobs(provider);
    await allowDeployments([namespace]);
    const error = await errorOf({ ...login, vault_role: 'nobody' }, { environment: provider.environment });
    expect(error).toMatch(/^Logging in to Vault at auth\/e2e-jwt\/login.*Check vault_role/s);
  });

  it('with a role whose policies do not cover the cluster', async () => {
    const login = await trustJobs(provider);
    await allowDeployments(['e2e-another']);
    const error = await errorOf(login, { environment: provider.environment });
    expect(error).toContain(`path "sys/policies/acl/${namespace}-issuer-nats-`);
    expect(error).toContain('capabilities = ["read","update"]');
  });

  it('that is sealed', async () => {
    await sealVault();
    try {
      expect(await errorOf({})).toMatch(/sealed.*vault operator unseal/s);
    } finally {
      await unsealVault();
    }
  });

  it('whose Service does not exist', async () => {
    const error = await errorOf({ vault_internal_url: 'http://vault-none.vault.svc.cluster.local:8200' });
    expect(error).toMatch(/no Service vault-none in namespace vault: correct vault_internal_url/);
  });
});

describe('a target', () => {
  it('without cert-manager', async () => {
    const proxy = await apiServerWithoutCertManager();
    try {
      const { port } = proxy.address() as AddressInfo;
      const plain = { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true };
      const error = await errorOf({ kubeconfig: kubeconfigWith(plain) });
      expect(error).toMatch(/cert-manager is not installed.*Install cert-manager/s);
    } finally {
      proxy.close();
    }
  });

  it('without the StorageClass asked for', async () => {
    const error = await errorOf({ persistence_storage_class_name: 'fast' });
    expect(error).toMatch(/StorageClass fast.*does not exist.*one that exists: .*standard/s);
  });

  it('without the namespace', async () => {
    const error = await errorOf({ namespace: 'e2e-nowhere' });
    expect(error).toMatch(/namespace e2e-nowhere.*does not exist.*create_namespace: true/s);
  });
});

describe('all of these runs', () => {
  it('wrote nothing', async () => {
    if (hasAuditLog()) expect(await auditWrites(started, { userAgent: 'kube-nats-action/' })).toEqual([]);
    expect(await kube.list(`/apis/apps/v1/namespaces/${namespace}/statefulsets`)).toEqual([]);
  });
});

describe('a first run with an image that does not exist', () => {
  it('ends with the cause, long before the timeout', async () => {
    const error = await errorOf({ nats_image: '127.0.0.1:9/nats:2.10.23' }, { within: 60 });
    expect(error).toMatch(/container nats.*(ErrImagePull|ImagePullBackOff).*Check the image name and tag/s);
  });

  let corrected: Ending;

  it('is completed by the next run with the right one', async () => {
    corrected = await runMain(inputs);
    console.log(`after a run with a wrong image: ${corrected.seconds.toFixed(1)} s`);
    expect(corrected).toMatchObject({ exitCode: 0, errors: [], outputs: { changed: 'true' } });
    const pods = await podsOf(corrected.outputs);
    expect(pods.map(({ ready }) => ready)).toEqual([true, true, true]);
    expect((await metaGroup(corrected.outputs)).current).toHaveLength(3);
  });
});

/** Of a ServiceAccount that may look at everything that is no secret, and change nothing. */
async function kubeconfigOfViewer(): Promise<string> {
  await kube.apply(`/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings/viewer`, {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'viewer' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
    subjects: [{ kind: 'ServiceAccount', name: 'viewer', namespace }],
  });
  return kubeconfigOfAccount(namespace, 'viewer');
}

/** An API server that passes everything on but cert-manager's API, which it does not know. */
async function apiServerWithoutCertManager(): Promise<Server> {
  const server = createServer(async (request, response) => {
    const path = request.url ?? '';
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(Buffer.from(chunk));
    const text = Buffer.concat(chunks).toString('utf8');
    const body: Json | undefined = text === '' ? undefined : JSON.parse(text);
    const answer = await kube.send({
      method: request.method === 'POST' ? 'POST' : 'GET',
      path,
      ...(body === undefined ? {} : { body }),
    });
    const told = path === '/apis' ? withoutGroup(answer.body, 'cert-manager.io') : answer.body;
    response.writeHead(answer.status, { 'Content-Type': 'application/json' }).end(told);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

/** The API server's list of groups without one of them. */
function withoutGroup(list: string, name: string): string {
  const groups: JsonObject = JSON.parse(list);
  return JSON.stringify({ ...groups, groups: digObjects(groups, 'groups').filter((group) => group.name !== name) });
}
