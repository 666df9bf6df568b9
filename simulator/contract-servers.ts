import { createPool } from '../src/http/pool.ts';
import type { HttpRequest } from '../src/http/transport.ts';
import { connect } from '../src/kube/connect.ts';
import type { ContractServers } from './contract.ts';
import type { Simulator } from './simulator.ts';

const VAULT_PROXY = '/api/v1/namespaces/vault/services/http:vault-active:8200/proxy/v1/';
const USER_AGENT = 'contract';

/** The simulator's two servers, each at its own port. */
export function simulatedServers(simulator: Simulator): ContractServers & { close(): void } {
  const vault = createPool({
    url: `${simulator.vaultUrl}/v1/`,
    credentials: async () => ({ headers: {}, tls: {} }),
    userAgent: USER_AGENT,
  });
  const kubernetes = kubernetesPool(simulator.kubeconfig);
  return {
    kubernetes,
    vault: (request: HttpRequest) => vault.send({ ...request, path: `/${request.path}` }),
    vaultToken: simulator.vaultToken,
    close() {
      vault.close();
      kubernetes.close();
    },
  };
}

/** A real cluster, with Vault behind its API server's proxy. */
export function clusterServers(kubeconfig: string, vaultToken: string): ContractServers & { close(): void } {
  const kubernetes = kubernetesPool(kubeconfig);
  return {
    kubernetes,
    vault: (request: HttpRequest) => kubernetes.send({ ...request, path: `${VAULT_PROXY}${request.path}` }),
    vaultToken,
    close: () => kubernetes.close(),
  };
}

function kubernetesPool(kubeconfig: string) {
  const { server, credentials } = connect(
    { kubeconfig, context: null },
    { inCluster: false, kubeconfigVariable: '', hasHomeKubeconfig: false },
  );
  return createPool({ url: server, credentials, userAgent: USER_AGENT });
}
