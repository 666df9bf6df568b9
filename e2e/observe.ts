import type { Values } from '../simulator/runner.ts';
import { dig, digObjects, digText, type JsonObject } from '../src/json.ts';
import { kube } from './cluster.ts';
import { hasCondition } from './sandbox/kube-api.ts';

/** A server's pod as the tests see it. */
export interface Pod {
  name: string;
  uid: string;
  node: string;
  ready: boolean;
}

/** The pods that the output match_labels selects. */
export async function podsOf({ namespace, match_labels }: Values): Promise<Pod[]> {
  const labels: Values = JSON.parse(match_labels ?? '{}');
  const selector = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  const query = new URLSearchParams({ labelSelector: selector.join(',') });
  const pods = await kube.list(`/api/v1/namespaces/${namespace}/pods?${query}`);
  return pods.map((pod) => ({
    name: digText(pod.metadata, 'name'),
    uid: digText(pod.metadata, 'uid'),
    node: digText(pod.spec, 'nodeName'),
    ready: hasCondition(pod, 'Ready'),
  }));
}

/** The pods, looked at again and again until the work has ended. */
export async function sampleUntil(ended: Promise<unknown>, outputs: Values): Promise<Pod[][]> {
  const samples: Pod[][] = [];
  let running = true;
  const end = ended.finally(() => {
    running = false;
  });
  while (running) samples.push(await podsOf(outputs));
  await end;
  return samples;
}

/** What a server reports on its monitoring port: /varz, /jsz. */
export function reportOf(namespace: string, pod: string, path: string): Promise<JsonObject> {
  return kube.get(`/api/v1/namespaces/${namespace}/pods/${pod}:8222/proxy${path}`);
}

/** What a server has logged. */
export async function logOf(namespace: string, pod: string): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/pods/${pod}/log?container=nats`;
  return (await kube.send({ method: 'GET', path })).body;
}

/** JetStream's meta group, as its leader tells: the leader's name and the peers that are current, itself included. */
export async function metaGroup(outputs: Values): Promise<{ leader: string; current: string[] }> {
  const pods = await podsOf(outputs);
  const reports = await Promise.all(pods.map(({ name }) => reportOf(outputs.namespace ?? '', name, '/jsz')));
  const leader = digText(reports[0], 'meta_cluster', 'leader');
  const ofLeader = reports[pods.findIndex(({ name }) => name === leader)];
  const followers = digObjects(ofLeader, 'meta_cluster', 'replicas').filter((peer) => dig(peer, 'current') === true);
  return { leader, current: [leader, ...followers.map((peer) => digText(peer, 'name'))].sort() };
}

/** The zones of the pods' nodes. */
export async function zonesOf(pods: Pod[]): Promise<string[]> {
  const nodes = await Promise.all(pods.map(({ node }) => kube.get(`/api/v1/nodes/${node}`)));
  return nodes.map(({ metadata }) => digText(metadata, 'labels', 'topology.kubernetes.io/zone'));
}
