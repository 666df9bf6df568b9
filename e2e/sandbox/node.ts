import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Artifacts } from './build.ts';
import { cgroupOfNode } from './cgroups.ts';
import { flags } from './control-plane.ts';
import { hasCondition, type KubeApi } from './kube-api.ts';
import { connectNode, inNamespacesOf } from './network.ts';
import { copyNodePki, writeKubeconfig } from './pki.ts';
import { type Daemon, type Daemons, run, waitForDaemon } from './process.ts';
import { hostAddress, type Node, podNetwork } from './topology.ts';
import { volumesOf } from './volumes.ts';

/** Host directories that each node has a version of its own of, below node.directory. */
const ownDirectories = ['run', 'var/lib', 'var/log'];

/** What a node sees below /var/lib, as the host sees it. */
const hostPath = (node: Node, path: string): string => join(node.directory, path);

const kubeletDirectory = '/var/lib/kubelet';
const socket = '/run/containerd/containerd.sock';

/**
 * Starts a node's containerd and gives it network and images. Its network and mount namespaces are the node: nothing that it mounts
 * shows on the host, and all of it goes with the processes.
 */
export async function startContainerd(node: Node, { images }: Artifacts, daemons: Daemons): Promise<Daemon> {
  for (const directory of ownDirectories) mkdirSync(hostPath(node, directory), { recursive: true });
  mkdirSync(hostPath(node, 'var/log/pods'), { recursive: true });
  mkdirSync(hostPath(node, 'var/lib/cni/conf'), { recursive: true });
  writeFileSync(hostPath(node, 'var/lib/cni/conf/10-bridge.conflist'), JSON.stringify(cniConfiguration(node)));
  writeFileSync(hostPath(node, 'var/lib/containerd.toml'), containerdConfiguration);
  const binds = ownDirectories
    .map((directory) => `mount --no-mtab --bind "$0/${directory}" "/${directory}"`)
    .join(' && ');
  const containerd = daemons.start(`${node.name}-containerd`, [
    'unshare',
    '--net',
    '--mount',
    '--propagation=private',
    ...['sh', '-c', `${binds} && cd / && exec "$@"`, node.directory],
    ...['containerd', '--config', '/var/lib/containerd.toml'],
  ]);
  const ctr = (...args: string[]): Promise<string> =>
    run(inNamespacesOf(containerd.pid, ['ctr', '--address', socket, ...args]));
  // The file tells that the process has entered its namespaces: before, another containerd of the machine may answer.
  const answers = async (): Promise<boolean> => existsSync(hostPath(node, socket)) && (await ctr('version')) !== '';
  await waitForDaemon(containerd, answers, `containerd of ${node.name} answers`, 30_000);
  await connectNode(node, containerd.pid);
  for (const image of images) {
    if (image.node === undefined || image.node === node.name)
      await ctr('-n', 'k8s.io', 'images', 'import', image.archive);
  }
  return containerd;
}

// restrict_oom_score_adj: where root lacks CAP_SYS_RESOURCE, runc dies without it ("can't get final child's PID from pipe: EOF").
const containerdConfiguration = `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "${socket}"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  sandbox_image = "registry.k8s.io/pause:3.10"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/var/lib/cni/conf"
`;

const cniConfiguration = (node: Node) => ({
  cniVersion: '0.4.0',
  name: 'sandbox',
  plugins: [
    {
      type: 'bridge',
      bridge: 'cni0',
      isGateway: true,
      ipMasq: false,
      hairpinMode: true,
      ipam: { type: 'host-local', ranges: [[{ subnet: node.podNetwork }]], routes: [{ dst: '0.0.0.0/0' }] },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
});

/** Starts a node's kubelet and kube-proxy. */
export function startKubelet(node: Node, containerd: Daemon, { programs }: Artifacts, daemons: Daemons): Daemon {
  const directory = hostPath(node, kubeletDirectory);
  copyNodePki(node, join(directory, 'pki'));
  writeKubeconfig(node.name, join(directory, 'kubeconfig'));
  writeKubeconfig('kube-proxy', join(directory, 'kube-proxy.kubeconfig'));
  writeFileSync(join(directory, 'config.json'), JSON.stringify(kubeletConfiguration(node)));
  for (const volume of volumesOf(node)) mkdirSync(hostPath(node, volume.path), { recursive: true });
  daemons.start(
    `${node.name}-kube-proxy`,
    inNamespacesOf(containerd.pid, [
      join(programs, 'kube-proxy'),
      ...flags({
        kubeconfig: join(kubeletDirectory, 'kube-proxy.kubeconfig'),
        'hostname-override': node.name,
        'cluster-cidr': podNetwork,
        'proxy-mode': 'iptables',
        // 0: leave the machine's connection tracking as it is.
        'conntrack-max-per-core': 0,
        'conntrack-tcp-timeout-established': 0,
        'conntrack-tcp-timeout-close-wait': 0,
      }),
    ]),
  );
  return daemons.start(
    `${node.name}-kubelet`,
    inNamespacesOf(containerd.pid, [
      join(programs, 'kubelet'),
      ...flags({
        config: join(kubeletDirectory, 'config.json'),
        kubeconfig: join(kubeletDirectory, 'kubeconfig'),
        'root-dir': kubeletDirectory,
        'hostname-override': node.name,
        'node-ip': node.address,
        'node-labels': `topology.kubernetes.io/region=sandbox,topology.kubernetes.io/zone=${node.zone}`,
      }),
    ]),
  );
}

const kubeletConfiguration = (node: Node) => ({
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  address: '0.0.0.0',
  authentication: {
    anonymous: { enabled: false },
    webhook: { enabled: true },
    x509: { clientCAFile: join(kubeletDirectory, 'pki/ca.crt') },
  },
  authorization: { mode: 'Webhook' },
  tlsCertFile: join(kubeletDirectory, 'pki/node.crt'),
  tlsPrivateKeyFile: join(kubeletDirectory, 'pki/node.key'),
  cgroupDriver: 'cgroupfs',
  cgroupRoot: cgroupOfNode(node.name),
  enforceNodeAllocatable: [],
  containerRuntimeEndpoint: `unix://${socket}`,
  clusterDNS: [hostAddress],
  clusterDomain: 'cluster.local',
  resolvConf: '',
  volumePluginDir: join(kubeletDirectory, 'volume-plugins'),
  failSwapOn: false,
  evictionHard: { 'memory.available': '100Mi' },
  imageGCHighThresholdPercent: 100,
});

/** Waits until the API server calls the node Ready. */
export async function waitForNode(node: Node, kubelet: Daemon, api: KubeApi): Promise<void> {
  await waitForDaemon(kubelet, () => isReady(node, api), `${node.name} is Ready`, 90_000);
}

/** Whether the node's condition Ready is True. */
export async function isReady(node: Node, api: KubeApi): Promise<boolean> {
  const [found] = await api.list(`/api/v1/nodes?fieldSelector=metadata.name%3D${node.name}`);
  return hasCondition(found, 'Ready');
}
