import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { dig, digObjects, digText, isJsonObject, type Json, type JsonObject } from '../../src/json.ts';
import type { KubeApi } from './kube-api.ts';
import { inNamespacesOf } from './network.ts';
import { type Command, run } from './process.ts';
import { type Node, nodes, paths } from './topology.ts';

/** NetworkPolicies that hold for the pods of one namespace. */
export interface Enforcement {
  /** Resolves when what the API server has now is enforced. */
  settled(): Promise<void>;
  /** Lets everything through again. */
  stop(): Promise<void>;
}

/**
 * Enforces the ingress rules of a namespace's NetworkPolicies, which the sandbox's network does not, until it is told to stop:
 * iptables rules of each node for the pods on it, followed as policies and pods change. As in every cluster a pod's own node
 * may reach it. Left out is what no test needs: egress, port names and ranges, ipBlock.except, other protocols than TCP.
 */
export async function enforceNetworkPolicies(api: KubeApi, namespace: string): Promise<Enforcement> {
  const chain = `NP-${namespace}`.slice(0, 28);
  const directory = mkdtempSync(join(tmpdir(), 'network-policy-'));
  const enforced = new Map<Node, string>();
  let stopped = false;

  async function enforce(): Promise<void> {
    const rules = await rulesOf(api, namespace);
    for (const node of nodes) {
      const verdicts = (rules.get(node.name) ?? []).map((rule) => `-A ${chain} ${rule}\n`).join('');
      // Declaring a chain empties it; what follows takes its place at once.
      const table = `*filter\n:${chain} - [0:0]\n${verdicts}COMMIT\n`;
      if (enforced.get(node) === table) continue;
      const file = join(directory, node.name);
      writeFileSync(file, table);
      await inNode(node, ['iptables-restore', '--wait', '--noflush', file]);
      enforced.set(node, table);
    }
  }

  for (const node of nodes) await remove(node, chain);
  await enforce();
  for (const node of nodes) await inNode(node, ['iptables', '--wait', '-I', 'FORWARD', '-j', chain]);

  let round = Promise.resolve();
  const following = (async () => {
    while (!stopped) {
      await sleep(300);
      round = enforce();
      await round;
    }
  })();
  // Told by stop(); until then it is nobody's failure.
  following.catch(() => undefined);
  return {
    async settled() {
      await round;
      await enforce();
    },
    async stop() {
      stopped = true;
      try {
        await following;
      } finally {
        for (const node of nodes) await remove(node, chain);
        rmSync(directory, { recursive: true });
      }
    },
  };
}

const inNode = (node: Node, command: Command): Promise<string> =>
  run(inNamespacesOf(Number(readFileSync(join(paths.run, `${node.name}-containerd.pid`), 'utf8')), command));

async function remove(node: Node, chain: string): Promise<void> {
  const rules = await inNode(node, ['iptables', '--wait', '-S']);
  if (rules.includes(`-A FORWARD -j ${chain}\n`))
    await inNode(node, ['iptables', '--wait', '-D', 'FORWARD', '-j', chain]);
  if (!rules.includes(`-N ${chain}\n`)) return;
  await inNode(node, ['iptables', '--wait', '-F', chain]);
  await inNode(node, ['iptables', '--wait', '-X', chain]);
}

/** By node, what happens to packets for its pods: a connection is let in by a rule, or else told that it is not wanted. */
async function rulesOf(api: KubeApi, namespace: string): Promise<Map<string, string[]>> {
  const rules = new Map(nodes.map(({ name }): [string, string[]] => [name, []]));
  const policies = await api.list(`/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies`);
  for (const { spec } of policies) {
    const ingress = digObjects(spec, 'ingress');
    const sources = await Promise.all(ingress.map(({ from }) => sourcesOf(api, namespace, from)));
    for (const pod of await podsOf(api, namespace, dig(spec, 'podSelector'))) {
      const open = ingress.flatMap((rule, index) => openings(pod.address, portsOf(rule), sources[index] ?? []));
      rules.get(pod.node)?.push(...open);
    }
  }
  // A pod that several policies select is open to what any of them lets in.
  for (const { spec } of policies) {
    for (const { address, node } of await podsOf(api, namespace, dig(spec, 'podSelector'))) {
      rules.get(node)?.push(`-d ${address} -m conntrack --ctstate NEW -j REJECT --reject-with icmp-admin-prohibited`);
    }
  }
  return rules;
}

function openings(address: string, ports: string[], sources: string[]): string[] {
  return ports.flatMap((port) =>
    sources.map((source) => `-s ${source} -d ${address} -p tcp --dport ${port} -j RETURN`),
  );
}

function portsOf(rule: JsonObject): string[] {
  return digObjects(rule, 'ports').map((port) => {
    if (typeof port.port !== 'number' || port.endPort !== undefined || (port.protocol ?? 'TCP') !== 'TCP') {
      throw new Error(`The sandbox does not enforce the port ${JSON.stringify(port)}`);
    }
    return String(port.port);
  });
}

async function sourcesOf(api: KubeApi, namespace: string, from: Json | undefined): Promise<string[]> {
  if (!Array.isArray(from) || from.length === 0) return ['0.0.0.0/0'];
  const sources = await Promise.all(from.filter(isJsonObject).map((peer) => sourcesOfPeer(api, namespace, peer)));
  return sources.flat();
}

async function sourcesOfPeer(api: KubeApi, namespace: string, peer: JsonObject): Promise<string[]> {
  if (peer.ipBlock !== undefined) {
    if (dig(peer, 'ipBlock', 'except') !== undefined) throw new Error('The sandbox does not enforce ipBlock.except');
    return [digText(peer, 'ipBlock', 'cidr')];
  }
  const namespaces =
    peer.namespaceSelector === undefined
      ? [namespace]
      : (await api.list(`/api/v1/namespaces?${query(peer.namespaceSelector)}`)).map(({ metadata }) =>
          digText(metadata, 'name'),
        );
  const pods = await Promise.all(namespaces.map((name) => podsOf(api, name, peer.podSelector)));
  return pods.flat().map(({ address }) => address);
}

interface PodAddress {
  address: string;
  node: string;
}

/** The pods that have an address, of those that a label selector selects: none given selects all. */
async function podsOf(api: KubeApi, namespace: string, selector: Json | undefined): Promise<PodAddress[]> {
  const pods = await api.list(`/api/v1/namespaces/${namespace}/pods?${query(selector)}`);
  return pods
    .map(({ spec, status }) => ({
      address: digText(status, 'podIP'),
      node: digText(spec, 'nodeName'),
      phase: digText(status, 'phase'),
    }))
    .filter(({ address, phase }) => address !== '' && phase !== 'Succeeded' && phase !== 'Failed');
}

/** A label selector as the API server's lists take it. */
function query(selector: Json | undefined): URLSearchParams {
  const labels = dig(selector, 'matchLabels');
  const equal = Object.entries(isJsonObject(labels) ? labels : {}).map(([key, value]) => `${key}=${value}`);
  const requirements = digObjects(selector, 'matchExpressions').map(({ key, operator, values }) => {
    const list = `(${Array.isArray(values) ? values.join(',') : ''})`;
    if (operator === 'In') return `${key} in ${list}`;
    if (operator === 'NotIn') return `${key} notin ${list}`;
    return operator === 'Exists' ? `${key}` : `!${key}`;
  });
  return new URLSearchParams({ labelSelector: [...equal, ...requirements].join(',') });
}
