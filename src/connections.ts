import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { type Clock, systemClock } from './clock.ts';
import { cancellable } from './http/cancellable.ts';
import { LEAVING, PATIENCE, type Patience } from './http/patience.ts';
import { createPool, secretsOfHeaders } from './http/pool.ts';
import { withRetry } from './http/retry.ts';
import type { Transport } from './http/transport.ts';
import type { WebSockets } from './http/web-socket.ts';
import type { Environment } from './inputs/environment.ts';
import { masks } from './inputs/secrets.ts';
import type { Inputs } from './inputs/table.ts';
import { type Access, createKubeClient, type KubeClient } from './kube/client.ts';
import { connect, type Surroundings } from './kube/connect.ts';
import { createVaultClient, type VaultClient } from './vault/client.ts';
import { vaultRoute } from './vault/route.ts';

export interface Connections extends Clients {
  /** What reaching Vault asks of the Kubernetes API; empty when Vault is reached directly. */
  vaultAccess: Access[];
  /** For what a cancelled run gives back, its lock and its token: clients that still send, and give up within seconds. */
  leaving: Clients;
  /** Ends all connections, which would hold the process. */
  close(): void;
}

interface Clients {
  kube: KubeClient;
  vault: VaultClient;
}

export interface ConnectionOptions {
  clock: Clock;
  userAgent: string;
  /** Is told what is waited for, and why a pod cannot be reached. */
  progress(message: string): void;
  /** Is told the secrets of the kubeconfig, and what an exec plugin or a file gives before it is sent. */
  mask(secrets: string[]): void;
  /** Aborted when the run is cancelled, with the Problem that it then ends with. */
  cancelled?: AbortSignal;
  patience?: Patience;
}

/** Builds the clients of Kubernetes and Vault that the inputs describe. Sends nothing yet. */
export function openConnections(inputs: Inputs, env: Environment, options: ConnectionOptions): Connections {
  const { clock, userAgent, progress, mask, cancelled = new AbortController().signal, patience = PATIENCE } = options;
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
  const clientsOver = (
    kubernetes: Transport & WebSockets,
    vault: Transport,
    clock: Clock,
    patience: Patience,
  ): Clients => ({
    kube: createKubeClient(withRetry(kubernetes, clock, patience.kubernetes), kubernetes, progress, patience.pod),
    vault: createVaultClient({
      transport: vault,
      pathPrefix: route.direct ? '' : route.pathPrefix,
      namespace: inputs.vault_namespace ?? '',
      clock,
      progress,
      patience: patience.vault,
    }),
  });
  return {
    ...clientsOver(cancellable(kubePool, cancelled), cancellable(vaultPool, cancelled), clock, patience),
    leaving: clientsOver(kubePool, vaultPool, systemClock(new AbortController().signal), LEAVING),
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
