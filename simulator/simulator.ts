import { type Behaviour, healthyBehaviour } from './behaviour.ts';
import { CLUSTER_ISSUER_ROLE, reconcileCertificates } from './controllers/cert-manager.ts';
import { countDisruptions } from './controllers/disruption-budgets.ts';
import { collectGarbage } from './controllers/garbage.ts';
import { startLoop } from './controllers/loop.ts';
import { NatsServers } from './controllers/nats-servers.ts';
import { advancePods } from './controllers/pods.ts';
import { reconcileStatefulSets } from './controllers/stateful-sets.ts';
import { FaultInjector } from './faults.ts';
import { serve } from './http.ts';
import { kubernetesApi } from './kubernetes/api.ts';
import { Cluster } from './kubernetes/cluster.ts';
import { furnish } from './kubernetes/furnish.ts';
import { CERT_MANAGER_GROUP } from './kubernetes/resources.ts';
import { serviceProxy } from './kubernetes/service-proxy.ts';
import type { RecordedRequest } from './requests.ts';
import { PkiEngine } from './vault/pki.ts';
import { Vault } from './vault/vault.ts';

export interface SimulatorOptions {
  /** False: the cluster has no cert-manager.io API; true by default. */
  certManager?: boolean;
  /** API groups that a cluster of a whole stack serves besides: "autoscaling.k8s.io"; none by default. */
  apiGroups?: string[];
  /** ClusterIssuers that exist and are Ready; ['internal'], of the first PKI mount, by default. Others are CAs of their own. */
  clusterIssuers?: string[];
  /** ['ebs-standard-retained', 'standard'] by default. */
  storageClasses?: string[];
  /** The StorageClass that is marked as default; 'standard' by default, null for none. */
  defaultStorageClass?: string | null;
  /** ['workload-important'] by default. */
  priorityClasses?: string[];
  /** Namespaces besides default, kube-system, cert-manager and vault; none by default. */
  namespaces?: string[];
  /** Nodes, one in each zone; 3 by default. */
  nodes?: number;
  /** Mounts of PKI secrets engines in Vault; ['pki/internal'] by default. */
  pkiMounts?: string[];
  /** Vault namespaces besides the root; none by default. Each has the same mounts. */
  vaultNamespaces?: string[];
  /**
   * How many times faster than usual the controllers are; 1 by default: a new cluster is Ready in about 300 ms. 0: they do
   * nothing but when told to.
   */
  speed?: number;
}

/** A Kubernetes API and a Vault API, each on a port of 127.0.0.1, in this process. */
export interface Simulator {
  kubernetesUrl: string;
  vaultUrl: string;
  /** A kubeconfig as text (YAML): one context, a token. */
  kubeconfig: string;
  /** Vault's root token. */
  vaultToken: string;
  /** Every request in the order of arrival, to both servers. */
  requests: RecordedRequest[];
  faults: FaultInjector;
  behaviour: Behaviour;
  /** The objects behind the Kubernetes API. */
  cluster: Cluster;
  /** The state behind the Vault API: policies, roles, tokens. */
  vault: Vault;
  nats: NatsServers;
  /** Has every controller take a turn. */
  turn(): void;
  /** Requests that have arrived and are not answered, or whose connection is there still where they get no answer. */
  inProgress(): number;
  /** Remembers all that is in Kubernetes and Vault, and the servers that run; to call what it returns brings that back. */
  snapshot(): () => void;
  close(): Promise<void>;
}

const KUBERNETES_TOKEN = 'simulator-token';
const VAULT_ROOT_TOKEN = 'hvs.simulator-root-token';
/** Milliseconds between a change and the controllers' next turn. */
const STEP = 25;

/** Starts both servers and the controllers; `close` stops all of it. */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const { pkiMounts = ['pki/internal'], vaultNamespaces = [], speed = 1, certManager = true } = options;
  const requests: RecordedRequest[] = [];
  const faults = new FaultInjector();
  const behaviour = healthyBehaviour();
  const cluster = new Cluster();
  const vault = new Vault(behaviour, VAULT_ROOT_TOKEN, pkiMounts, vaultNamespaces);
  const nats = new NatsServers(cluster, behaviour, speed);
  const clusterIssuers = certManager ? (options.clusterIssuers ?? [STACK_ISSUER]) : [];
  const clusterAuthorities = new Map(clusterIssuers.map((name) => [name, authorityOf(name, vault, pkiMounts[0])]));
  furnish(cluster, {
    namespaces: options.namespaces ?? [],
    nodes: options.nodes ?? 3,
    storageClasses: options.storageClasses ?? ['ebs-standard-retained', 'standard'],
    defaultStorageClass: options.defaultStorageClass === undefined ? 'standard' : options.defaultStorageClass,
    priorityClasses: options.priorityClasses ?? ['workload-important'],
    clusterIssuers,
  });

  const loop = startLoop(
    [
      () => collectGarbage(cluster),
      () => reconcileCertificates({ cluster, vault, behaviour, clusterAuthorities }),
      () => reconcileStatefulSets(cluster),
      () => advancePods(cluster, behaviour),
      () => countDisruptions(cluster),
      () => nats.reconcile(),
    ],
    STEP / speed,
  );
  cluster.store.onChange(loop.wake);

  const vaultServer = await serve('vault', (request) => vault.handle(request), requests, faults);
  const api = kubernetesApi({
    cluster,
    behaviour,
    token: KUBERNETES_TOKEN,
    addedGroups: [...(certManager ? [CERT_MANAGER_GROUP] : []), ...(options.apiGroups ?? [])],
    dialPod: (pod, port, connection) => nats.accept(pod, port, connection),
    podLog: (pod) => nats.log(pod),
    serviceProxy: serviceProxy(cluster, behaviour, vault),
  });
  const kubernetesServer = await serve('kubernetes', api, requests, faults);
  return {
    kubernetesUrl: kubernetesServer.url,
    vaultUrl: vaultServer.url,
    kubeconfig: kubeconfigFor(kubernetesServer.url),
    vaultToken: VAULT_ROOT_TOKEN,
    requests,
    faults,
    behaviour,
    cluster,
    vault,
    nats,
    turn: loop.turn,
    inProgress: () => kubernetesServer.inProgress() + vaultServer.inProgress(),
    snapshot() {
      const restores = [cluster.store.snapshot(), vault.snapshot(), nats.snapshot()];
      return () => {
        for (const restore of restores) restore();
      };
    },
    async close() {
      loop.stop();
      await Promise.all([kubernetesServer.close(), vaultServer.close()]);
    },
  };
}

/** Signs by the same CA as the clusters' own roles, with a role that is not at their mount. */
const STACK_ISSUER = 'internal';

function authorityOf(clusterIssuer: string, vault: Vault, mount = ''): PkiEngine {
  const shared = clusterIssuer === STACK_ISSUER ? vault.namespace().pki.get(mount) : undefined;
  const engine = new PkiEngine(clusterIssuer, shared?.authority);
  engine.writeRole(CLUSTER_ISSUER_ROLE, { allow_any_name: true, key_type: 'ec', key_bits: 256, max_ttl: '8760h' });
  return engine;
}

/** insecure-skip-tls-verify: without it client-node refuses a server that speaks plain http. */
function kubeconfigFor(server: string): string {
  return `apiVersion: v1
kind: Config
clusters:
- name: simulator
  cluster:
    server: ${server}
    insecure-skip-tls-verify: true
users:
- name: simulator
  user:
    token: ${KUBERNETES_TOKEN}
contexts:
- name: simulator
  context:
    cluster: simulator
    user: simulator
current-context: simulator
`;
}
