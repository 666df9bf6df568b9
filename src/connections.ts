import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import type { Clock } from './clock.ts';
import { createPool, secretsOfHeaders } from './http/pool.ts';
import { withRetry } from './http/retry.ts';
import type { Environment } from './inputs/environment.ts';
import { masks } from './inputs/secrets.ts';
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
  /** Ends all connections, which would hold the process. */
  close(): void;
}

/**
 * Builds the clients of Kubernetes and Vault that the inputs describe. Sends nothing yet.
 *
 * @param mask is told the secrets of the kubeconfig, and what an exec plugin or a file gives before it is sent
 */
export function openConnections(
  inputs: Inputs,
  env: Environment,
  clock: Clock,
  userAgent: string,
  progress: (message: string) => void,
  mask: (secrets: string[]) => void,
): Connections {
  const cluster = connect(inputs, surroundingsOf(env));
  mask(cluster.secrets);
  const kubePool = createPool({
    url: cluster.server,
    async credentials() {
      const credentials = await cluster.credentials();
      mask(masks(secretsOfHeaders(credentials.headers)));
      return credentials;
    },
    userAgent,
  });
  const route = vaultRoute(inputs);
  const vaultPool = route.direct
    ? createPool({
        url: route.url,
        credentials: async () => ({ headers: {}, tls: { ca: inputs.vault_ca_certificate ?? undefined } }),
        userAgent,
      })
    : kubePool;
  return {
    kube: createKubeClient(withRetry(kubePool, clock), kubePool, progress),
    vault: createVaultClient({
      transport: vaultPool,
      pathPrefix: route.direct ? '' : route.pathPrefix,
      namespace: inputs.vault_namespace ?? '',
      clock,
      progress,
    }),
    vaultAccess: route.direct ? [] : route.accesses,
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
