import { existsSync, readFileSync } from 'node:fs';
import { type Command, run } from './process.ts';
import { bridge, hostAddress, type Node, nodes, sandboxDirectory, serviceNetwork } from './topology.ts';

const ip = (...args: string[]): Promise<string> => run(['ip', ...args]);

/** A command in the network and mount namespaces of a process: not `ip netns exec`, whose own /sys hides the cgroups. */
export const inNamespacesOf = (pid: number, command: Command): Command => [
  'nsenter',
  `--target=${pid}`,
  '--net',
  '--mount',
  ...command,
];

/** Makes the bridge between the host and the nodes. */
export async function createBridge(): Promise<void> {
  await ip('link', 'add', bridge, 'type', 'bridge');
  // Whose sandbox this is, for the next one that finds it.
  await ip('link', 'set', bridge, 'alias', sandboxDirectory);
  await ip('address', 'add', `${hostAddress}/24`, 'dev', bridge);
  await ip('link', 'set', bridge, 'up');
  if (await isForwardingDropped()) await run(['iptables', '-I', ...forwardingRule]);
}

/** Docker has the host drop what it forwards, and br_netfilter counts what crosses a bridge as such. */
async function isForwardingDropped(): Promise<boolean> {
  return (await run(['iptables', '-S', 'FORWARD'])).includes('-P FORWARD DROP');
}

const forwardingRule = ['FORWARD', '-i', bridge, '-o', bridge, '-j', 'ACCEPT'];

/** Cables the network namespace of that process to the bridge, with routes between the pods of all nodes and the host. */
export async function connectNode(node: Node, pid: number): Promise<void> {
  const inside = (...args: string[]): Promise<string> => run(inNamespacesOf(pid, ['ip', ...args]));
  await ip('link', 'add', node.cable, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(pid));
  await ip('link', 'set', node.cable, 'master', bridge, 'up');
  await inside('address', 'add', `${node.address}/24`, 'dev', 'eth0');
  await inside('link', 'set', 'eth0', 'up');
  await inside('link', 'set', 'lo', 'up');
  await inside('route', 'add', 'default', 'via', hostAddress);
  for (const other of nodes) {
    if (other !== node) await inside('route', 'add', other.podNetwork, 'via', other.address);
  }
  await run(inNamespacesOf(pid, ['sysctl', '-qw', 'net.ipv4.ip_forward=1']));
  await ip('route', 'replace', node.podNetwork, 'via', node.address);
  // The host reaches ClusterIPs through the first node: its kube-proxy masquerades what comes from outside the pods.
  if (node === nodes[0]) await ip('route', 'replace', serviceNetwork, 'via', node.address);
}

/**
 * Removes the cables and the bridge and, with it, the routes. The kernel may keep a node's network namespace for minutes after
 * its last process, for a connection that was closed on one side: its cable is not left to it.
 */
export async function removeNetwork(): Promise<void> {
  for (const { cable } of nodes) await removeCable(cable);
  if (!linkExists(bridge)) return;
  const rules = await run(['iptables', '-S', 'FORWARD']);
  if (rules.includes(`-A ${forwardingRule.join(' ')}`)) await run(['iptables', '-D', ...forwardingRule]);
  await ip('link', 'delete', bridge);
}

const linkExists = (link: string): boolean => existsSync(`/sys/class/net/${link}`);

/** It may go by itself, with its namespace, between the look and the removal. */
async function removeCable(cable: string): Promise<void> {
  if (!linkExists(cable)) return;
  await ip('link', 'delete', cable).catch((error: Error) => {
    if (linkExists(cable)) throw error;
  });
}

/** The directory of the sandbox that is up on this machine (or was, when it crashed), if any. */
export function directoryOfSandboxInPlace(): string | undefined {
  const alias = `/sys/class/net/${bridge}/ifalias`;
  return existsSync(alias) ? readFileSync(alias, 'utf8').trim() : undefined;
}
