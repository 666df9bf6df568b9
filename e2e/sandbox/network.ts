import { existsSync, readFileSync } from 'node:fs';
import { run } from './process.ts';
import { bridge, hostAddress, type Node, nodes, sandboxDirectory, serviceNetwork } from './topology.ts';

const ip = (...args: string[]): Promise<string> => run(['ip', ...args]);

/** A bridge on the host, with a network namespace for each node cabled to it, and routes between the nodes' pods. */
export async function createNetwork(): Promise<void> {
  await ip('link', 'add', bridge, 'type', 'bridge');
  // Whose sandbox this is, for the next one that finds it.
  await ip('link', 'set', bridge, 'alias', sandboxDirectory);
  await ip('address', 'add', `${hostAddress}/24`, 'dev', bridge);
  await ip('link', 'set', bridge, 'up');
  for (const node of nodes) await createNodeNetwork(node);
  // The host reaches ClusterIPs through the first node: kube-proxy there masquerades what comes from outside the pods.
  const [gateway] = nodes;
  if (gateway) await ip('route', 'replace', serviceNetwork, 'via', gateway.address);
}

async function createNodeNetwork(node: Node): Promise<void> {
  const inside = (...args: string[]): Promise<string> => ip('-n', node.netns, ...args);
  await ip('netns', 'add', node.netns);
  await ip('link', 'add', node.netns, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', node.netns);
  await ip('link', 'set', node.netns, 'master', bridge, 'up');
  await inside('address', 'add', `${node.address}/24`, 'dev', 'eth0');
  await inside('link', 'set', 'eth0', 'up');
  await inside('link', 'set', 'lo', 'up');
  await inside('route', 'add', 'default', 'via', hostAddress);
  for (const other of nodes) {
    if (other !== node) await inside('route', 'add', other.podNetwork, 'via', other.address);
  }
  await ip('route', 'replace', node.podNetwork, 'via', node.address);
  // Not `ip netns exec`: it mounts a /sys of its own, which hides the cgroups.
  await run(['nsenter', `--net=/run/netns/${node.netns}`, 'sysctl', '-qw', 'net.ipv4.ip_forward=1']);
}

/** Removes the bridge, the namespaces and, with them, cables and routes. Needs their processes gone. */
export async function removeNetwork(): Promise<void> {
  for (const node of nodes) {
    if (existsSync(`/run/netns/${node.netns}`)) await ip('netns', 'delete', node.netns);
    if (existsSync(`/sys/class/net/${node.netns}`)) await ip('link', 'delete', node.netns);
  }
  if (existsSync(`/sys/class/net/${bridge}`)) await ip('link', 'delete', bridge);
}

/** The directory of the sandbox that is up on this machine (or was, when it crashed), if any. */
export function directoryOfSandboxInPlace(): string | undefined {
  const alias = `/sys/class/net/${bridge}/ifalias`;
  return existsSync(alias) ? readFileSync(alias, 'utf8').trim() : undefined;
}
