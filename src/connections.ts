import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import type { Clock } from './clock.ts';
import { createPool } from './http/pool.ts';
import { withRetry } from './http/retry.ts';
import type { Environment } from './inputs/environment.ts';
import type { Inputs } from './inputs/table.ts';
import { type Access, createKubeClient, type KubeClient } from './kube/client.ts';
import { connect, type Surroundings } from './kube/connect.ts';
import { createVaultClient, type VaultClient } from './vault/client.ts';
import { vaultRoute } from './vault/route.ts';

export interface Connections {
  kube: KubeClient;
  vault: VaultClient;
  /** What reaching Vault asks of the Kubernetes API; empty when Vault is reached directly. */
  vaultAccess: Access[];
  /** What the kubeconfig holds that must not be printed. */
  secrets: string[];
  /** Ends the kept-alive connections, which would hold the process. */
  close(): void;
}

/** Builds the clients of Kubernetes and Vault that the inputs describe. Sends nothing yet. */
export function openConnections(
  inputs: Inputs,
  env: Environment,
  clock: Clock,
  userAgent: string,
  progress: (message: string) => void,
): Connections {
  const cluster = connect(inputs, surroundingsOf(env));
  const kubePool = createPool({ url: cluster.server, credentials: cluster.credentials, userAgent });
  const route = vaultRoute(inputs);
  const vaultPool = route.direct
    ? createPool({
        url: route.url,
        credentials: async () => ({ headers: {}, tls: { ca: inputs.vault_ca_certificate ?? undefined } }),
        userAgent,
      })
    : kubePool;
  return {
    kube: createKubeClient(withRetry(kubePool, clock)),
    vault: createVaultClient({
      transport: vaultPool,
      pathPrefix: route.direct ? '' : route.pathPrefix,
      namespace: inputs.vault_namespace ?? '',
      clock,
      progress,
    }),
    vaultAccess: route.direct ? [] : route.accesses,
    secrets: cluster.secrets,
    close() {
      kubePool.close();
      vaultPool.close();
    },
  };
}

function surroundingsOf(env: Environment): Surroundings {
  const home = path.join(homedir(), '.kube', 'config');
  return {
    kubeconfigVariable: env.KUBECONFIG ?? '',
    hasHomeKubeconfig: existsSync(home),
    inCluster:
      (env.KUBERNETES_SERVICE_HOST ?? '') !== '' && existsSync('/var/run/secrets/kubernetes.io/serviceaccount/token'),
  };
}
