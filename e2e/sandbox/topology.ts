import { join, resolve } from 'node:path';

/** Everything the sandbox writes is below this directory; SANDBOX_DIR chooses another. */
export const sandboxDirectory = resolve(process.env.SANDBOX_DIR ?? join(import.meta.dirname, '../../.sandbox'));

const run = join(sandboxDirectory, 'run');

/**
 * `cache` outlives the sandbox and makes a second build short, as `tools` and `stackCrds`, which are links into it; `log` outlives it
 * to explain what went wrong; `run` is gone when the sandbox is down.
 */
export const paths = {
  cache: join(sandboxDirectory, 'cache'),
  log: join(sandboxDirectory, 'log'),
  tools: join(sandboxDirectory, 'tools'),
  stackCrds: join(sandboxDirectory, 'crds'),
  run,
  pki: join(run, 'pki'),
  kubeconfig: join(run, 'admin.kubeconfig'),
  kubectl: join(run, 'kubectl'),
  auditLog: join(run, 'audit.log'),
  vaultToken: join(run, 'vault-token'),
  vaultUnsealKey: join(run, 'vault-unseal-key'),
  resolvConf: join(run, 'resolv.conf'),
  sysctls: join(run, 'sysctls.json'),
};

/** The host's address on the bridge: the API server and the cluster's DNS listen on it. */
export const hostAddress = '10.90.0.1';
/** A loopback address of the sandbox's own, so that its ports never meet those of another program. */
export const loopback = '127.90.0.1';
export const bridge = 'knats-br';
export const podNetwork = '10.244.0.0/16';
export const serviceNetwork = '10.96.0.0/16';
/** The first address of serviceNetwork: the Service `kubernetes`. */
export const apiServiceAddress = '10.96.0.1';
export const apiServer = `https://${hostAddress}:6443`;

export interface Node {
  name: string;
  zone: string;
  /** The host's end of the virtual cable to the node's eth0. */
  cable: string;
  address: string;
  podNetwork: string;
  /** Host directory that holds what the node sees as /run, /var/lib and /var/log. */
  directory: string;
}

export const nodes: Node[] = ['a', 'b', 'c'].map((letter, index) => ({
  name: `node-${letter}`,
  zone: `zone-${letter}`,
  cable: `knats-node-${letter}`,
  address: `10.90.0.${11 + index}`,
  podNetwork: `10.244.${index + 1}.0/24`,
  directory: join(run, `node-${letter}`),
}));
