import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Provider, startProvider } from '../simulator/github-oidc.ts';
import { type Ending, runMain, runPost, type Values } from '../simulator/runner.ts';
import { dig, digText, type JsonObject } from '../src/json.ts';
import { kube, vaultToken } from './cluster.ts';
import { allowDeployments, asRoot, deployerToken, forgetDeployer, trustJobs } from './deployer.ts';
import { leaveNamespace, withoutNamespace } from './namespace.ts';
import { metaGroup, type Pod, podsOf, reportOf, zonesOf } from './observe.ts';
import { Vault } from './sandbox/vault.ts';
import { installCrds, removeCrds } from './stack-crds.ts';

let provider: Provider;
let jobInputs: Values;

beforeAll(async () => {
  await installCrds('monitoring');
  provider = await startProvider();
  jobInputs = await trustJobs(provider);
  await allowDeployments(['e2e-token', 'e2e-jwt']);
});

afterAll(async () => {
  provider.close();
  await forgetDeployer();
  await removeCrds('monitoring');
  kube.close();
});

interface Scenario {
  namespace: string;
  inputs(): Promise<Values>;
  environment(): Values;
  version: string;
  metricsPort: string;
}

const scenarios: [string, Scenario][] = [
  [
    'with the defaults, by a Vault token',
    {
      namespace: 'e2e-token',
      inputs: async () => ({ ...asRoot(), vault_token: await deployerToken() }),
      environment: () => ({}),
      version: '2.10.23',
      metricsPort: '8222',
    },
  ],
  [
    'of NATS 2.14.6 with metrics, by the OIDC token of the job',
    {
      namespace: 'e2e-jwt',
      inputs: async () => ({ ...jobInputs, nats_version: '2.14.6', monitoring_enabled: 'true' }),
      environment: () => provider.environment,
      version: '2.14.6',
      metricsPort: '7777',
    },
  ],
];

describe.each(scenarios)('a cluster %s', (_, { namespace, version, metricsPort, ...scenario }) => {
  let inputs: Values;
  let ending: Ending;
  let pods: Pod[];

  beforeAll(async () => {
    await withoutNamespace(namespace);
    inputs = { ...(await scenario.inputs()), namespace, create_namespace: 'true' };
    ending = await runMain(inputs, scenario.environment());
    console.log(`${version} from nothing to verified: ${ending.seconds.toFixed(1)} s`);
  });

  afterAll(() => leaveNamespace(namespace));

  it('comes up: three Ready pods, on three nodes in three zones', async () => {
    expect({ exitCode: ending.exitCode, errors: ending.errors }).toEqual({ exitCode: 0, errors: [] });
    pods = await podsOf(ending.outputs);
    expect(pods.map(({ ready }) => ready)).toEqual([true, true, true]);
    expect(new Set(pods.map(({ node }) => node)).size).toBe(3);
    expect(new Set(await zonesOf(pods)).size).toBe(3);
  });

  it('runs that version, with a JetStream meta leader and three current peers', async () => {
    const names = pods.map(({ name }) => name);
    const reports = await Promise.all(names.map((name) => reportOf(namespace, name, '/varz')));
    expect(reports.map((report) => report.version)).toEqual([version, version, version]);
    const { leader, current } = await metaGroup(ending.outputs);
    expect(names).toContain(leader);
    expect(current).toEqual(names.sort());
  });

  it('tells its outputs, of which match_labels selects its pods alone', async () => {
    const name = ending.outputs.name ?? '';
    expect(name).toMatch(/^nats-[0-9a-f]{8}$/);
    const host = `${name}.${namespace}.svc.cluster.local`;
    expect(ending.outputs).toEqual({
      name,
      namespace,
      host,
      client_port: '4222',
      cluster_port: '6222',
      metrics_port: metricsPort,
      nats_url: `tls://${host}:4222`,
      superuser_creds_secret: `${name}-superuser-creds`,
      admin_creds_secret: `${name}-admin-creds`,
      reader_creds_secret: `${name}-reader-creds`,
      match_labels: expect.stringContaining(name),
      changed: 'true',
      rolled_back: 'false',
    });
    expect(pods.map((pod) => pod.name).sort()).toEqual([0, 1, 2].map((ordinal) => `${name}-${ordinal}`));
    const everywhere = await kube.list('/api/v1/pods');
    const labels: Values = JSON.parse(ending.outputs.match_labels ?? '');
    const selected = everywhere.filter(({ metadata }) =>
      Object.entries(labels).every(([key, value]) => dig(metadata, 'labels', key) === value),
    );
    expect(selected).toHaveLength(3);
  });

  it('serves metrics on that port', async () => {
    const [path, known] = metricsPort === '7777' ? ['metrics', 'nats_varz_connections{'] : ['varz', '"server_name"'];
    const { status, body } = await kube.send({
      method: 'GET',
      path: `/api/v1/namespaces/${namespace}/pods/${pods[0]?.name}:${metricsPort}/proxy/${path}`,
    });
    expect({ status, known: body.includes(known) }).toEqual({ status: 200, known: true });
  });

  it('keeps an inventory that reads as an ApplySet, of which its objects are members', async () => {
    const name = `${ending.outputs.name}-inventory`;
    const { metadata } = await kube.get(`/api/v1/namespaces/${namespace}/configmaps/${name}`);
    const hash = createHash('sha256').update(`${name}.${namespace}.ConfigMap.`).digest('base64url');
    const id = `applyset-${hash}-v1`;
    expect(dig(metadata, 'labels', 'applyset.kubernetes.io/id')).toBe(id);
    expect(digText(metadata, 'annotations', 'applyset.kubernetes.io/tooling')).toMatch(/^kube-nats-action\/v\d/);
    const kinds = digText(metadata, 'annotations', 'applyset.kubernetes.io/contains-group-kinds').split(',');
    expect(kinds).toEqual(expect.arrayContaining(['Certificate.cert-manager.io', 'Service', 'StatefulSet.apps']));
    const [statefulSets, certificates] = await Promise.all([
      kube.list(`/apis/apps/v1/namespaces/${namespace}/statefulsets`),
      kube.list(`/apis/cert-manager.io/v1/namespaces/${namespace}/certificates`),
    ]);
    const partOf = (object: JsonObject) => dig(object.metadata, 'labels', 'applyset.kubernetes.io/part-of');
    expect([...statefulSets, ...certificates].map(partOf)).toEqual(Array(6).fill(id));
  });

  it('shows no secret in its log or summary', () => {
    const secrets = [vaultToken(), inputs.vault_token, ending.state.vault_token].filter(Boolean);
    for (const secret of secrets) expect(ending.log + ending.summary).not.toContain(secret);
    expect(ending.log + ending.summary).not.toContain('PRIVATE KEY');
  });
});

describe('the post step', () => {
  const isValid = async (token: string): Promise<boolean> => {
    const path = '/api/v1/namespaces/vault/services/http:vault-active:8200/proxy/v1/auth/token/lookup-self';
    const { status } = await kube.send({ method: 'GET', path, headers: { 'X-Vault-Token': token } });
    return status === 200;
  };
  const namespace = 'e2e-nowhere';

  it('revokes the Vault token that the main step minted, also of a run that failed', async () => {
    const inputs = { ...jobInputs, namespace };
    const main = await runMain(inputs, provider.environment);
    expect(main.errors.join()).toContain(`namespace ${namespace}`);
    const token = main.state.vault_token ?? '';
    expect(await isValid(token)).toBe(true);
    const post = await runPost(inputs, main.state);
    expect({ exitCode: post.exitCode, valid: await isValid(token) }).toEqual({ exitCode: 0, valid: false });
    await expect(new Vault(kube, token).call('GET', 'pki/internal/roles/nats-admin-x')).rejects.toThrow(/403/);
  });

  it('leaves a token alone that was handed in', async () => {
    const token = await deployerToken();
    const inputs = { ...asRoot(), vault_token: token, namespace };
    const main = await runMain(inputs);
    const post = await runPost(inputs, main.state);
    expect({ exitCode: post.exitCode, valid: await isValid(token) }).toEqual({ exitCode: 0, valid: true });
  });
});
