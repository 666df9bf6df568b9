import { type Simulator, type SimulatorOptions, startSimulator } from '../../simulator/simulator.ts';
import { createPool } from '../../src/http/pool.ts';
import type { HttpRequest, HttpResponse } from '../../src/http/transport.ts';
import type { Json, JsonObject } from '../../src/json.ts';
import { createKubeClient, type KubeClient } from '../../src/kube/client.ts';
import { connect } from '../../src/kube/connect.ts';

/** A simulator and the clients that tests talk to it with. */
export interface World {
  simulator: Simulator;
  kube: KubeClient;
  kubernetes(request: HttpRequest): Promise<{ status: number; body: Json }>;
  /** `path` below /v1/; sent with `token`, the root token by default. */
  vault(request: HttpRequest, token?: string): Promise<{ status: number; body: Json }>;
  /** Applies with server-side apply. */
  apply(path: string, object: JsonObject): Promise<{ status: number; body: Json }>;
  close(): Promise<void>;
}

export const NAMESPACE = 'demo';
export const NAME = 'n';
const CONVERGENCE = 5_000;

/** Starts a simulator with the namespace `demo`, four times as fast as in the demo. */
export async function createWorld(options: SimulatorOptions = {}): Promise<World> {
  const simulator = await startSimulator({ namespaces: [NAMESPACE], speed: 4, ...options });
  const cluster = connect(
    { kubeconfig: simulator.kubeconfig, context: null },
    { inCluster: false, kubeconfigVariable: '', hasHomeKubeconfig: false },
  );
  const kubernetes = createPool({ url: cluster.server, credentials: cluster.credentials, userAgent: 'test' });
  const vault = createPool({
    url: `${simulator.vaultUrl}/v1/`,
    credentials: async () => ({ headers: {}, tls: {} }),
    userAgent: 'test',
  });
  const world: World = {
    simulator,
    kube: createKubeClient(kubernetes, kubernetes),
    kubernetes: async (request) => parsed(await kubernetes.send(request)),
    vault: async (request, token = simulator.vaultToken) =>
      parsed(
        await vault.send({
          ...request,
          path: `/${request.path}`,
          headers: { 'x-vault-token': token, ...request.headers },
        }),
      ),
    apply: (path, body) =>
      world.kubernetes({
        method: 'PATCH',
        path: `${path}?fieldManager=test`,
        headers: { 'content-type': 'application/apply-patch+yaml' },
        body,
      }),
    async close() {
      kubernetes.close();
      vault.close();
      await simulator.close();
    },
  };
  return world;
}

function parsed(response: HttpResponse): { status: number; body: Json } {
  return { status: response.status, body: response.body === '' ? null : JSON.parse(response.body) };
}

/** Resolves when the condition holds; fails after five seconds with what it is about. */
export async function eventually(what: string, condition: () => boolean): Promise<void> {
  const deadline = Date.now() + CONVERGENCE;
  while (!condition()) {
    if (Date.now() > deadline) {
      throw new Error(`did not happen: ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export const paths = {
  statefulSet: `/apis/apps/v1/namespaces/${NAMESPACE}/statefulsets/${NAME}`,
  configMap: `/api/v1/namespaces/${NAMESPACE}/configmaps/${NAME}`,
  issuer: `/apis/cert-manager.io/v1/namespaces/${NAMESPACE}/issuers/${NAME}`,
  certificate: `/apis/cert-manager.io/v1/namespaces/${NAMESPACE}/certificates/${NAME}`,
  serviceAccount: `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${NAME}`,
};

export function configMap(content: string): JsonObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: NAME }, data: { 'nats.conf': content } };
}

/** Three NATS servers that mount the ConfigMap. */
export function statefulSet(image = 'nats:2.14.6', podSpec: JsonObject = {}): JsonObject {
  const labels = { 'app.kubernetes.io/instance': NAME };
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: NAME },
    spec: {
      replicas: 3,
      serviceName: NAME,
      podManagementPolicy: 'Parallel',
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          containers: [{ name: 'nats', image }],
          volumes: [{ name: 'config', configMap: { name: NAME } }],
          ...podSpec,
        },
      },
      volumeClaimTemplates: [
        {
          metadata: { name: 'data' },
          spec: {
            accessModes: ['ReadWriteOnce'],
            storageClassName: 'standard',
            resources: { requests: { storage: '1Gi' } },
          },
        },
      ],
    },
  };
}

/** An Issuer that signs by Vault's PKI role `n`, with the login that writeVault makes good. */
export function issuer(): JsonObject {
  const serviceAccountRef = { name: NAME, audiences: ['vault://demo/n'] };
  return {
    apiVersion: 'cert-manager.io/v1',
    kind: 'Issuer',
    metadata: { name: NAME },
    spec: {
      vault: {
        server: 'http://vault-active.vault.svc.cluster.local:8200',
        path: `pki/internal/sign/${NAME}`,
        auth: { kubernetes: { mountPath: '/v1/auth/kubernetes', role: NAME, serviceAccountRef } },
      },
    },
  };
}

export function certificate(dnsName: string): JsonObject {
  return {
    apiVersion: 'cert-manager.io/v1',
    kind: 'Certificate',
    metadata: { name: NAME },
    spec: {
      secretName: 'secret',
      commonName: dnsName,
      dnsNames: [dnsName],
      duration: '16h0m0s',
      renewBeforePercentage: 50,
      privateKey: { algorithm: 'ECDSA', size: 256, encoding: 'PKCS8' },
      issuerRef: { group: 'cert-manager.io', kind: 'Issuer', name: NAME },
    },
  };
}

/** The PKI role, which allows only the name `good`, and the auth role of the Issuer. */
export async function writeVault(world: World): Promise<void> {
  await world.vault({
    method: 'POST',
    path: `pki/internal/roles/${NAME}`,
    body: {
      allowed_domains: ['good'],
      allow_bare_domains: true,
      key_type: 'ec',
      key_bits: 256,
      max_ttl: '16h',
      server_flag: false,
    },
  });
  await world.vault({
    method: 'POST',
    path: `auth/kubernetes/role/${NAME}`,
    body: {
      bound_service_account_names: NAME,
      bound_service_account_namespaces: NAMESPACE,
      audience: 'vault://demo/n',
      token_policies: NAME,
    },
  });
}
