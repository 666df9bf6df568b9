import { type Behaviour, healthyBehaviour } from './behaviour.ts';
import { FaultInjector } from './faults.ts';
import { type RecordedRequest, serve } from './http.ts';

export interface SimulatorOptions {
  /** False: the cluster has no cert-manager.io API; true by default. */
  certManager?: boolean;
  /** ClusterIssuers that exist and are Ready; ['internal'] by default. */
  clusterIssuers?: string[];
  /** ['ebs-standard-retained', 'standard'] by default. */
  storageClasses?: string[];
  /** The StorageClass that is marked as default; 'standard' by default, null for none. */
  defaultStorageClass?: string | null;
  /** ['workload-important'] by default. */
  priorityClasses?: string[];
  /** Namespaces besides default, kube-system, cert-manager and vault; none by default. */
  namespaces?: string[];
  /** How many times faster than usual the controllers are; 1 by default: a new cluster is Ready in about 300 ms. */
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
  close(): Promise<void>;
}

const KUBERNETES_TOKEN = 'simulator-token';
const VAULT_ROOT_TOKEN = 'hvs.simulator-root-token';

/** Starts both servers and the controllers; `close` stops all of it. */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const requests: RecordedRequest[] = [];
  const faults = new FaultInjector();
  const behaviour = healthyBehaviour();
  const vault = await serve('vault', () => ({ status: 404, body: { errors: [] } }), requests, faults);
  const kubernetes = await serve('kubernetes', () => ({ status: 404, body: {} }), requests, faults);
  void options;
  return {
    kubernetesUrl: kubernetes.url,
    vaultUrl: vault.url,
    kubeconfig: kubeconfigFor(kubernetes.url),
    vaultToken: VAULT_ROOT_TOKEN,
    requests,
    faults,
    behaviour,
    async close() {
      await Promise.all([kubernetes.close(), vault.close()]);
    },
  };
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
