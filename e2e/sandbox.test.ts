import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { get } from 'node:https';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { digText, type JsonObject } from '../src/json.ts';
import { auditWrites, kube, kubeconfig, sealVault, unsealVault, vault, waitFor } from './cluster.ts';
import { hasCondition, KubeApi } from './sandbox/kube-api.ts';
import { certificateFile } from './sandbox/pki.ts';

const namespace = '/api/v1/namespaces/sandbox-test';

beforeAll(async () => {
  await kube.apply(namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'sandbox-test' } });
});

afterAll(async () => {
  await kube.delete(namespace);
  const isGone = async (): Promise<boolean> => (await kube.send({ method: 'GET', path: namespace })).status === 404;
  await waitFor(isGone, 'the namespace is gone', 60_000);
  kube.close();
});

describe('the cluster', () => {
  it('has three Ready nodes in three zones', async () => {
    const nodes = await kube.list('/api/v1/nodes');
    expect(nodes.map((node) => hasCondition(node, 'Ready'))).toEqual([true, true, true]);
    const zones = nodes.map(({ metadata }) => digText(metadata, 'labels', 'topology.kubernetes.io/zone'));
    expect(new Set(zones).size).toBe(3);
  });

  it('resolves the name of a Service in a pod, and reaches it', async () => {
    const pod = podThatRuns('wget -qO- http://vault-active.vault.svc.cluster.local:8200/v1/sys/seal-status');
    await kube.apply(`${namespace}/pods/resolver`, pod);
    await waitFor(async () => (await phaseOf('resolver')) === 'Succeeded', 'the pod has asked Vault', 60_000);
    const { body } = await kube.send({ method: 'GET', path: `${namespace}/pods/resolver/log` });
    expect(JSON.parse(body)).toMatchObject({ initialized: true, sealed: false });
  });

  it('lets the tests reach Services and pods by name', async () => {
    const response = await fetch('http://vault-0.vault-active.vault.svc.cluster.local:8200/v1/sys/seal-status');
    expect(await response.json()).toMatchObject({ sealed: false });
    const service = await fetch('http://vault-active.vault:8200/v1/sys/seal-status');
    expect(await service.json()).toMatchObject({ sealed: false });
  });

  it('issues a Certificate of a CA that signs itself', async () => {
    const path = '/apis/cert-manager.io/v1/namespaces/sandbox-test';
    const issuer = (name: string, spec: JsonObject): Promise<JsonObject> =>
      kube.apply(`${path}/issuers/${name}`, object('Issuer', name, spec));
    const certificate = (name: string, spec: JsonObject): Promise<JsonObject> =>
      kube.apply(`${path}/certificates/${name}`, object('Certificate', name, { secretName: name, ...spec }));
    await issuer('self-signed', { selfSigned: {} });
    await certificate('ca', { isCA: true, commonName: 'ca', issuerRef: { name: 'self-signed' } });
    await issuer('ca', { ca: { secretName: 'ca' } });
    await certificate('leaf', { dnsNames: ['leaf.example'], issuerRef: { name: 'ca' } });
    const ready = async (): Promise<boolean> => hasCondition(await kube.get(`${path}/certificates/leaf`), 'Ready');
    await waitFor(ready, 'the Certificate is Ready', 60_000);
    const [ca, leaf] = await Promise.all(['ca', 'leaf'].map((name) => kube.get(`${namespace}/secrets/${name}`)));
    expect(leaf?.data).toMatchObject({ 'ca.crt': digText(ca, 'data', 'tls.crt') });
  });
});

describe('Vault', () => {
  it('is unsealed and has a CA at pki/internal, through the service proxy', async () => {
    expect(await vault().isOpen()).toBe(true);
    const { data } = await vault().call('GET', 'pki/internal/cert/ca');
    expect(data).toMatchObject({ certificate: expect.stringContaining('BEGIN CERTIFICATE') });
  });

  it('speaks TLS too, with a certificate of its own CA', async () => {
    const ca = readFileSync(certificateFile('vault-ca'));
    const asked = get('https://vault-active.vault.svc.cluster.local:8443/v1/sys/seal-status', { ca });
    const [response] = await once(asked, 'response');
    expect(await json(response)).toMatchObject({ sealed: false });
  });

  it('refuses while it is sealed, and keeps its data', async () => {
    await vault().call('POST', 'pki/internal/roles/kept', { allowed_domains: ['kept.example'] });
    await sealVault();
    try {
      await expect(vault().call('GET', 'pki/internal/roles/kept')).rejects.toThrow(/503 .*sealed/s);
    } finally {
      await unsealVault();
    }
    const { data } = await vault().call('GET', 'pki/internal/roles/kept');
    expect(data).toMatchObject({ allowed_domains: ['kept.example'] });
    await vault().call('DELETE', 'pki/internal/roles/kept');
  });
});

describe('auditWrites', () => {
  it('counts what changes something in Kubernetes or Vault, and nothing else', async () => {
    const userAgent = 'sandbox-test';
    const other = await KubeApi.connect(kubeconfig, userAgent);
    const since = new Date();
    const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'counted' } };
    const path = `${namespace}/configmaps`;
    const role = '/api/v1/namespaces/vault/services/http:vault-active:8200/proxy/v1/pki/internal/roles/none';
    await other.get(`${path}?limit=1`);
    await other.call({ method: 'POST', path: `${path}?dryRun=All`, body: configMap });
    await other.call({ method: 'POST', path, body: configMap });
    await other.send({ method: 'GET', path: role });
    await other.send({ method: 'POST', path: role, body: {} });
    other.close();
    const writes = await auditWrites(since, { userAgent });
    expect(writes.map(({ uri, status }) => [uri, status])).toEqual([
      [path, 201],
      [role, 403],
    ]);
    expect(await auditWrites(since, { userAgent, user: 'someone else' })).toEqual([]);
  });
});

const object = (kind: string, name: string, spec: JsonObject): JsonObject => ({
  apiVersion: 'cert-manager.io/v1',
  kind,
  metadata: { name, namespace: 'sandbox-test' },
  spec,
});

const podThatRuns = (script: string): JsonObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'resolver', namespace: 'sandbox-test' },
  spec: {
    restartPolicy: 'OnFailure',
    containers: [{ name: 'shell', image: 'docker.io/library/nats:2.10.23-alpine', command: ['sh', '-c', script] }],
  },
});

async function phaseOf(pod: string): Promise<string> {
  return digText(await kube.get(`${namespace}/pods/${pod}`), 'status', 'phase');
}
