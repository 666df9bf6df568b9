import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { dig, digObjects, digText, isJsonObject, type JsonObject } from '../src/json.ts';
import { kube, waitFor } from './cluster.ts';
import { nodes } from './sandbox/topology.ts';

/** What a test makes of a node for a while. */
export interface NodeState {
  /** Besides those that it has; null takes one away. */
  labels?: { [key: string]: string | null };
  taints?: Taint[];
  cordoned?: boolean;
}

export interface Taint {
  key: string;
  value: string;
  effect: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute';
}

/** By node name. */
export interface NodeStates {
  [node: string]: NodeState;
}

/** Keeps, on the node itself, what a test found there: a run that was killed in between is made good by the next. */
const FOUND = 'e2e.sandbox/found';
/** Names a state, for pods that want to be sure that the scheduler has seen it. */
const STATE = 'e2e.sandbox/state';

const pathOf = (node: string): string => `/api/v1/nodes/${node}`;

/** The names of all nodes. */
export async function nodeNames(): Promise<string[]> {
  return (await kube.list('/api/v1/nodes')).map(({ metadata }) => digText(metadata, 'name')).sort();
}

/** Sets all nodes back to what they were before setNodes. */
export async function restoreNodes(): Promise<void> {
  for (const { metadata } of await kube.list('/api/v1/nodes')) {
    const found = digText(metadata, 'annotations', FOUND);
    if (found === '') continue;
    const { labels, taints, unschedulable }: JsonObject = JSON.parse(found);
    await kube.patch(pathOf(digText(metadata, 'name')), {
      metadata: { annotations: { [FOUND]: null }, labels: { ...(isJsonObject(labels) ? labels : {}), [STATE]: null } },
      spec: { taints, unschedulable },
    });
  }
}

/**
 * Puts every node in its state, those that are not named as they were, and waits until the scheduler has seen it: pods made from
 * then on are judged by it. Taints of others stay.
 *
 * @param namespace where the pods that look for it may run
 */
export async function setNodes(states: NodeStates, namespace: string): Promise<void> {
  await restoreNodes();
  const names = await nodeNames();
  const state = randomUUID();
  await Promise.all(names.map((name) => setNode(name, states[name] ?? {}, state)));
  await Promise.all(names.map((name) => waitForScheduler(name, state, namespace)));
}

async function setNode(name: string, { labels = {}, taints = [], cordoned }: NodeState, state: string): Promise<void> {
  const { metadata, spec } = await kube.get(pathOf(name));
  const before = digObjects(spec, 'taints');
  const found = {
    labels: Object.fromEntries(Object.keys(labels).map((key) => [key, dig(metadata, 'labels', key) ?? null])),
    taints: before.length > 0 ? before : null,
    unschedulable: dig(spec, 'unschedulable') ?? null,
  };
  await kube.patch(pathOf(name), {
    metadata: { annotations: { [FOUND]: JSON.stringify(found) }, labels: { ...labels, [STATE]: state } },
    spec: {
      taints: [...before, ...taints.map((taint) => ({ ...taint }))],
      unschedulable: cordoned ?? found.unschedulable,
    },
  });
}

/** A pod that runs on that node in that state only, whatever its taints. */
async function waitForScheduler(node: string, state: string, namespace: string): Promise<void> {
  const name = `sees-${node}-${state}`;
  const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
  await kube.apply(path, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      nodeSelector: { 'kubernetes.io/hostname': node, [STATE]: state },
      tolerations: [{ operator: 'Exists' }],
      containers: [{ name: 'none', image: 'registry.k8s.io/pause:3.10' }],
    },
  });
  const placed = async (): Promise<boolean> => digText(await kube.get(path), 'spec', 'nodeName') === node;
  await waitFor(placed, `the scheduler sees the new state of ${node}`, 30_000);
  await kube.delete(`${path}?gracePeriodSeconds=0`);
}

/** Pulls the cable of a node of the sandbox: to everybody else it is as if it had died. */
export function cutOff(name: string): void {
  for (const { cable } of nodes.filter((node) => node.name === name)) setCable(cable, 'down');
}

/** Plugs the cables of all nodes in again. */
export function reconnect(): void {
  for (const { cable } of nodes) setCable(cable, 'up');
}

function setCable(cable: string, state: 'up' | 'down'): void {
  execFileSync('ip', ['link', 'set', cable, state]);
}
