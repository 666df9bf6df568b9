import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Artifacts } from './build.ts';
import type { KubeApi } from './kube-api.ts';
import { certificateFile, keyFile, writeKubeconfig } from './pki.ts';
import { type Daemon, type Daemons, waitForDaemon } from './process.ts';
import { apiServer, hostAddress, loopback, paths, podNetwork, serviceNetwork } from './topology.ts';

type Flags = { [name: string]: string | number | boolean };

export const flags = (values: Flags): string[] => Object.entries(values).map(([name, value]) => `--${name}=${value}`);

const etcdUrl = `http://${loopback}:2379`;

/** Starts etcd and the API server; the latter needs the bridge to be there. */
export function startApiServer({ programs }: Artifacts, daemons: Daemons): Daemon {
  const peerUrl = `http://${loopback}:2380`;
  daemons.start('etcd', [
    join(programs, 'etcd'),
    ...flags({
      'data-dir': join(paths.run, 'etcd'),
      'listen-client-urls': etcdUrl,
      'advertise-client-urls': etcdUrl,
      'listen-peer-urls': peerUrl,
      'initial-advertise-peer-urls': peerUrl,
      'initial-cluster': `default=${peerUrl}`,
      // Nothing here outlives a crash of the machine.
      'unsafe-no-fsync': true,
      'log-level': 'warn',
    }),
  ]);
  return daemons.start('kube-apiserver', [
    join(programs, 'kube-apiserver'),
    ...flags({
      'etcd-servers': etcdUrl,
      'bind-address': hostAddress,
      'advertise-address': hostAddress,
      'secure-port': 6443,
      'service-cluster-ip-range': serviceNetwork,
      'tls-cert-file': certificateFile('kube-apiserver'),
      'tls-private-key-file': keyFile('kube-apiserver'),
      'client-ca-file': certificateFile('ca'),
      'service-account-issuer': apiServer,
      'api-audiences': apiServer,
      'service-account-key-file': join(paths.pki, 'service-accounts.pub'),
      'service-account-signing-key-file': keyFile('service-accounts'),
      'authorization-mode': 'Node,RBAC',
      'enable-admission-plugins': 'NodeRestriction',
      'allow-privileged': true,
      'kubelet-preferred-address-types': 'InternalIP',
      'kubelet-client-certificate': certificateFile('kubelet-client'),
      'kubelet-client-key': keyFile('kubelet-client'),
      'kubelet-certificate-authority': certificateFile('ca'),
      'audit-policy-file': join(import.meta.dirname, 'audit-policy.yaml'),
      'audit-log-path': paths.auditLog,
      // In MB: never rotated, as tests read it whole.
      'audit-log-maxsize': 10_000,
    }),
  ]);
}

/** Waits until the API server answers /readyz with 200. */
export async function waitForApiServer(daemon: Daemon, api: KubeApi): Promise<void> {
  const ready = async (): Promise<boolean> => (await api.send({ method: 'GET', path: '/readyz' })).status === 200;
  await waitForDaemon(daemon, ready, 'the API server is ready', 60_000);
}

/** Starts what works through the API server: controllers, scheduler and the cluster's DNS. */
export function startControllers({ programs, coredns }: Artifacts, daemons: Daemons): void {
  const start = (name: string, own: Flags): Daemon =>
    daemons.start(name, [join(programs, name), ...flags({ ...controllerFlags(name), ...own })]);
  start('kube-controller-manager', {
    'root-ca-file': certificateFile('ca'),
    'service-account-private-key-file': keyFile('service-accounts'),
    'use-service-account-credentials': true,
    'allocate-node-cidrs': false,
    'cluster-signing-cert-file': certificateFile('ca'),
    'cluster-signing-key-file': keyFile('ca'),
    // Its default is a directory of the host, which it makes.
    'flex-volume-plugin-dir': join(paths.run, 'volume-plugins'),
  });
  start('kube-scheduler', {});
  startDns(coredns, daemons);
}

/** What controllers and scheduler have in common: they trust the API server's word on who may ask them. */
function controllerFlags(name: string): Flags {
  const kubeconfig = join(paths.run, `${name}.kubeconfig`);
  writeKubeconfig(name, kubeconfig);
  return {
    kubeconfig,
    'authentication-kubeconfig': kubeconfig,
    'authorization-kubeconfig': kubeconfig,
    'bind-address': loopback,
    'leader-elect': false,
  };
}

function startDns(coredns: string, daemons: Daemons): void {
  const kubeconfig = join(paths.run, 'dns.kubeconfig');
  writeKubeconfig('dns', kubeconfig);
  const corefile = join(paths.run, 'Corefile');
  writeFileSync(
    corefile,
    `.:53 {
  bind ${hostAddress}
  errors
  kubernetes cluster.local ${podNetwork} {
    kubeconfig ${kubeconfig} sandbox
    pods insecure
    ttl 5
  }
}
`,
  );
  // For a process of the host that wants to resolve as a pod does.
  writeFileSync(paths.resolvConf, `nameserver ${hostAddress}\nsearch svc.cluster.local\noptions ndots:5\n`);
  daemons.start('coredns', [coredns, '-conf', corefile]);
}

/** Makes the directories that the control plane writes to. */
export function createDirectories(): void {
  for (const directory of [paths.run, paths.log]) mkdirSync(directory, { recursive: true });
}
