import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { NAME, objectIn, stateWith } from '../__tests__/desired/fixture.ts';
import { type Ending, runMain } from '../simulator/runner.ts';
import type { TargetFacts } from '../src/desired/state.ts';
import type { Inputs } from '../src/inputs/table.ts';
import { dig, digObjects, digText, isJsonObject, type JsonObject } from '../src/json.ts';
import { kube, waitFor } from './cluster.ts';
import { asRoot } from './deployer.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';
import { type NodeState, type NodeStates, restoreNodes, setNodes, type Taint } from './nodes.ts';
import { podsOf } from './observe.ts';

const namespace = 'e2e-scheduling';
const pods = `/api/v1/namespaces/${namespace}/pods`;

/** One pod, as these inputs want it, where a pod can go to one node only. */
interface Case {
  what: string;
  node: NodeState;
  inputs: Partial<Inputs>;
  facts?: Partial<TargetFacts>;
  /** What the scheduler says when it refuses; null: the pod is placed. */
  refusal: RegExp | null;
}

beforeAll(async () => {
  await restoreNodes();
  await emptyNamespace(namespace);
});

afterAll(async () => {
  await restoreNodes();
  await leaveNamespace(namespace);
  kube.close();
});

describe('a node with the taint of its class', () => {
  const taint = (key: string): NodeState => ({ taints: [noSchedule(key)] });
  const refusal = /untolerated taint/;
  const none: Partial<Inputs> = { spot_nodes_enabled: false, arm_nodes_enabled: false };

  judge([
    { what: 'spot, by default', node: taint('spot'), inputs: {}, refusal: null },
    { what: 'spot, not allowed', node: taint('spot'), inputs: { spot_nodes_enabled: false }, refusal },
    {
      what: 'spot, with burstable ones',
      node: taint('spot'),
      inputs: { ...none, burstable_nodes_enabled: true },
      refusal: null,
    },
    { what: 'arm64, by default', node: taint('arm64'), inputs: {}, refusal: null },
    { what: 'arm64, not allowed', node: taint('arm64'), inputs: { arm_nodes_enabled: false }, refusal },
    {
      what: 'arm64, with burstable ones',
      node: taint('arm64'),
      inputs: { ...none, burstable_nodes_enabled: true },
      refusal,
    },
    {
      what: 'arm64, with controllers',
      node: taint('arm64'),
      inputs: { ...none, controller_nodes_enabled: true },
      refusal: null,
    },
    { what: 'burstable, by default', node: taint('burstable'), inputs: {}, refusal },
    { what: 'burstable, allowed', node: taint('burstable'), inputs: { burstable_nodes_enabled: true }, refusal: null },
    {
      what: 'burstable, with controllers',
      node: taint('burstable'),
      inputs: { controller_nodes_enabled: true },
      refusal: null,
    },
    { what: 'controller, by default', node: taint('controller'), inputs: {}, refusal },
    {
      what: 'controller, with burstable ones',
      node: taint('controller'),
      inputs: { burstable_nodes_enabled: true },
      refusal,
    },
    {
      what: 'controller, allowed',
      node: taint('controller'),
      inputs: { controller_nodes_enabled: true },
      refusal: null,
    },
    { what: 'of another kind', node: taint('database'), inputs: { controller_nodes_enabled: true }, refusal },
    { what: 'before its network is ready', node: taint('node.cilium.io/agent-not-ready'), inputs: {}, refusal: null },
  ]);
});

describe('a node with a label alone', () => {
  const labels: [string, string, Partial<Inputs>][] = [
    ['kubernetes.io/arch', 'arm64', { arm_nodes_enabled: false }],
    ['karpenter.sh/capacity-type', 'spot', { spot_nodes_enabled: false }],
    ['eks.amazonaws.com/capacityType', 'SPOT', { spot_nodes_enabled: false }],
    ['cloud.google.com/gke-spot', 'true', { spot_nodes_enabled: false }],
    ['cloud.google.com/gke-preemptible', 'true', { spot_nodes_enabled: false }],
    ['kubernetes.azure.com/scalesetpriority', 'spot', { spot_nodes_enabled: false }],
  ];
  const other: NodeState = {
    labels: {
      'kubernetes.io/arch': 'amd64',
      'karpenter.sh/capacity-type': 'on-demand',
      'eks.amazonaws.com/capacityType': 'ON_DEMAND',
    },
  };

  judge([
    ...labels.flatMap(([key, value, inputs]): Case[] => [
      { what: `${key}=${value}, by default`, node: { labels: { [key]: value } }, inputs: {}, refusal: null },
      { what: `${key}=${value}, not allowed`, node: { labels: { [key]: value } }, inputs, refusal: /node affinity/ },
    ]),
    {
      what: 'of neither class, where both are not allowed',
      node: other,
      inputs: { spot_nodes_enabled: false, arm_nodes_enabled: false },
      refusal: null,
    },
  ]);
});

describe('controller nodes', () => {
  it.each(['node-a', 'node-b', 'node-c'])('are preferred: %s', async (node) => {
    const controller = { labels: { 'panfactum.com/class': 'controller' }, taints: [noSchedule('controller')] };
    await setNodes({ [node]: controller }, namespace);
    expect(await place('controllers', 1, { controller_nodes_enabled: true })).toEqual([node]);
  });
});

describe('instance types', () => {
  const type = (name: string): NodeState => ({ labels: { 'node.kubernetes.io/instance-type': name } });

  beforeAll(() => setNodes({ 'node-a': type('m7g'), 'node-b': type('m7g'), 'node-c': type('r7g') }, namespace));

  it.each<[string, Partial<Inputs>, Partial<TargetFacts>]>([
    ['required by the input', { instance_type_anti_affinity_required: true }, {}],
    ['required by sla_target where Karpenter is', {}, { hasKarpenter: true }],
    ['required by sla_target without adaptation', { adapt: false }, {}],
  ])('%s: the third server of two types has no place', async (_, inputs, facts) => {
    const places = await place('types', 3, inputs, facts);
    expect(places.slice(0, 2)).toEqual(expect.arrayContaining(['node-c', expect.stringMatching(/node-[ab]/)]));
    expect(places[2]).toMatch(/anti-affinity/);
  });

  it.each<[string, Partial<Inputs>, Partial<TargetFacts>]>([
    ['preferred by default', {}, {}],
    ['declined', { instance_type_anti_affinity_required: false }, { hasKarpenter: true }],
    ['not asked for by sla_target 1', { sla_target: 1 }, { hasKarpenter: true }],
  ])('%s: three servers run on two types', async (_, inputs, facts) => {
    expect((await place('types', 3, inputs, facts)).sort()).toEqual(['node-a', 'node-b', 'node-c']);
  });

  describe('where the other type is the busier node', () => {
    const ballast = `${pods}/ballast`;

    beforeAll(async () => {
      await kube.apply(ballast, {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'ballast' },
        spec: {
          nodeSelector: { 'kubernetes.io/hostname': 'node-c' },
          containers: [{ name: 'none', image: 'registry.k8s.io/pause:3.10', resources: { requests: { cpu: '1' } } }],
        },
      });
      await verdictOn('ballast');
    });

    afterAll(() => kube.delete(`${ballast}?gracePeriodSeconds=0`));

    it('preferred: the second server goes there', async () => {
      expect((await place('types', 2, {}))[1]).toBe('node-c');
    });

    it('declined: neither goes there', async () => {
      const places = await place('types', 2, { instance_type_anti_affinity_required: false });
      expect(places.sort()).toEqual(['node-a', 'node-b']);
    });
  });
});

describe('host anti-affinity, on two nodes', () => {
  const elsewhere: Partial<Inputs> = { zone_spread: 'off', sla_target: 1 };
  const first = ['node-a', 'node-b'];

  beforeAll(() => setNodes({ 'node-c': { cordoned: true } }, namespace));

  it('required: the third server has no place', async () => {
    const places = await place('hosts', 3, { ...elsewhere, host_anti_affinity: 'required' });
    expect(places.slice(0, 2).sort()).toEqual(first);
    expect(places[2]).toMatch(/anti-affinity/);
  });

  it('preferred: the third server shares a node, the first two do not', async () => {
    const places = await place('hosts', 3, { ...elsewhere, host_anti_affinity: 'preferred' });
    expect(places.slice(0, 2).sort()).toEqual(first);
    expect(first).toContain(places[2]);
  });

  it('off: the third server shares a node', async () => {
    const places = await place('hosts', 3, { ...elsewhere, host_anti_affinity: 'off' });
    expect(places.filter((node) => first.includes(node))).toHaveLength(3);
  });
});

describe('the spread over zones', () => {
  const elsewhere: Partial<Inputs> = { host_anti_affinity: 'off', sla_target: 1 };

  it('required: three servers run in three zones', async () => {
    await setNodes({}, namespace);
    const places = await place('zones', 3, { ...elsewhere, zone_spread: 'required' });
    expect(places.sort()).toEqual(['node-a', 'node-b', 'node-c']);
  });

  it.each<[Inputs['zone_spread'], RegExp]>([
    ['required', /topology spread constraints/],
    ['preferred', /^node-[ab]$/],
    ['off', /^node-[ab]$/],
  ])('%s, without nodes in one zone', async (zone_spread, third) => {
    await setNodes({ 'node-c': { cordoned: true } }, namespace);
    const places = await place('zones', 3, { ...elsewhere, zone_spread });
    expect(places[2]).toMatch(third);
  });
});

describe('nodes without zones, one of them cordoned', () => {
  const plain: NodeState = { labels: { 'topology.kubernetes.io/zone': null } };

  beforeAll(() => setNodes({ 'node-a': plain, 'node-b': plain, 'node-c': { ...plain, cordoned: true } }, namespace));

  it('get three servers by default', async () => {
    const places = await place('zoneless', 3, {}, { hasZones: false });
    expect(places.sort()).toEqual(expect.arrayContaining(['node-a', 'node-b', expect.stringMatching(/^node-[ab]$/)]));
  });

  it('get none where the zones are not looked at', async () => {
    expect(await place('zoneless', 1, {}, { hasZones: true })).toEqual([
      expect.stringMatching(/topology spread constraints/),
    ]);
  });
});

describe('the priority class', () => {
  it.each([
    ['workload-important', '/apis/scheduling.k8s.io/v1/priorityclasses/workload-important'],
    [null, null],
  ])('%s gives the pods its value', async (priorityClassName, path) => {
    const pod = await kube.apply(`${pods}/priority`, podOf('priority', {}, { priorityClassName }));
    await kube.delete(`${pods}/priority?gracePeriodSeconds=0`);
    expect(dig(pod.spec, 'priority')).toEqual(path === null ? 0 : (await kube.get(path)).value);
  });
});

describe('a run', () => {
  const inputs = { ...asRoot(), namespace, replicas: '1' };
  const burstable = { taints: [noSchedule('burstable')] };

  beforeAll(() => setNodes({ 'node-a': burstable, 'node-b': burstable, 'node-c': burstable }, namespace));

  it("that finds no node fails, naming the nodes' fault and the inputs", async () => {
    const { exitCode, errors } = await runMain({ ...inputs, timeout: '30' });
    expect({ exitCode, errors }).toEqual({
      exitCode: 1,
      errors: [expect.stringMatching(/-0: not scheduled: 0\/3 nodes are available.*untolerated taint.*inputs/s)],
    });
  });

  it('that allows these nodes brings the same cluster up, and tells a Panfactum cluster of it', async () => {
    const ending: Ending = await runMain({ ...inputs, burstable_nodes_enabled: 'true', arm_nodes_enabled: 'false' });
    expect(ending).toMatchObject({ exitCode: 0, errors: [], outputs: { changed: 'true' } });
    const [pod] = await podsOf(ending.outputs);
    expect(pod?.ready).toBe(true);
    const { metadata, spec } = await kube.get(`${pods}/${pod?.name}`);
    expect(dig(metadata, 'labels')).toMatchObject({
      'panfactum.com/workload': ending.outputs.name,
      'panfactum.com/prevent-lifetime-eviction': 'true',
      'panfactum.com/scheduler-enabled': 'true',
      'panfactum.com/pull-through-cache-enabled': 'false',
      'panfactum.com/burstable-enabled': 'true',
      'panfactum.com/spot-enabled': 'true',
      'panfactum.com/arm64-enabled': 'false',
      'panfactum.com/controller-enabled': 'false',
    });
    expect(digText(spec, 'priorityClassName')).toBe('workload-important');
  });
});

function noSchedule(key: string): Taint {
  return { key, value: 'true', effect: 'NoSchedule' };
}

/** Has each pod judged with node-c in its state and no other node to go to. */
function judge(cases: Case[]): void {
  it.each(cases.map((entry): [string, Case] => [entry.what, entry]))(
    '%s',
    async (_, { node, inputs, facts, refusal }) => {
      const states: NodeStates = { 'node-a': { cordoned: true }, 'node-b': { cordoned: true }, 'node-c': node };
      await setNodes(states, namespace);
      const [verdict] = await place('judged', 1, inputs, facts);
      expect(verdict).toEqual(refusal === null ? 'node-c' : expect.stringMatching(refusal));
    },
  );
}

/**
 * Makes the pods of a cluster of that size, one after the other, and removes them again. Returns the node of each, or why the
 * scheduler found none.
 */
async function place(
  cluster: string,
  count: number,
  inputs: Partial<Inputs>,
  facts: Partial<TargetFacts> = {},
): Promise<string[]> {
  const names = Array.from({ length: count }, (_, index) => `${cluster}-${index}`);
  const verdicts: string[] = [];
  try {
    for (const name of names) {
      await kube.apply(`${pods}/${name}`, podOf(name, inputs, { ...facts, name: cluster }));
      verdicts.push(await verdictOn(name));
    }
  } finally {
    for (const name of names) await kube.delete(`${pods}/${name}?gracePeriodSeconds=0`);
    const gone = async (): Promise<boolean> => (await present(names)).length === 0;
    await waitFor(gone, `the pods of ${cluster} are gone`, 30_000);
  }
  return verdicts;
}

async function present(names: string[]): Promise<string[]> {
  return (await kube.list(pods))
    .map(({ metadata }) => digText(metadata, 'name'))
    .filter((name) => names.includes(name));
}

/** A pod as the StatefulSet would make it, but for what it runs: that takes certificates and a volume. */
function podOf(name: string, inputs: Partial<Inputs>, facts: Partial<TargetFacts>): JsonObject {
  const servers = objectIn(stateWith(inputs, facts), 'StatefulSet', facts.name ?? NAME);
  const template = dig(servers.spec, 'template');
  const spec = dig(template, 'spec');
  const resources = digObjects(spec, 'containers').map(({ resources }) => resources);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: dig(template, 'metadata', 'labels') },
    spec: {
      ...(isJsonObject(spec) ? spec : {}),
      volumes: [],
      containers: resources.map((resources, index) => ({
        name: `container-${index}`,
        image: 'registry.k8s.io/pause:3.10',
        resources,
      })),
    },
  };
}

/** The node that the scheduler gave the pod, or its words when it found none. */
async function verdictOn(name: string): Promise<string> {
  let verdict = '';
  await waitFor(
    async () => {
      const { spec, status } = await kube.get(`${pods}/${name}`);
      const refused = digObjects(status, 'conditions').find(({ reason }) => reason === 'Unschedulable');
      verdict = digText(spec, 'nodeName') || digText(refused, 'message');
      return verdict !== '';
    },
    `the scheduler has judged ${name}`,
    30_000,
  );
  return verdict;
}
