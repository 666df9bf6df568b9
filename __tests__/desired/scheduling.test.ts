import { describe, expect, test } from '@jest/globals';
import type { TargetFacts } from '../../src/desired/state.ts';
import type { Inputs } from '../../src/inputs/table.ts';
import { podTemplate, stateWith, valueAt } from './fixture.ts';

const HOST = 'kubernetes.io/hostname';
const INSTANCE_TYPE = 'node.kubernetes.io/instance-type';
const KARPENTER: Partial<TargetFacts> = { hasKarpenter: true };
const NO_ZONES: Partial<TargetFacts> = { hasZones: false };
/** Taints of clouds on nodes of a class. */
const CLOUD_TAINTS: { [nodeClass: string]: string[] } = {
  spot: ['kubernetes.azure.com/scalesetpriority'],
  arm64: ['kubernetes.io/arch'],
};
const NO_OTHERS: Partial<Inputs> = { spot_nodes_enabled: false, arm_nodes_enabled: false };

describe('anti-affinity', () => {
  test.each<[string, Partial<Inputs>, Partial<TargetFacts>, string[], string[]]>([
    ['by default', {}, {}, [HOST], [INSTANCE_TYPE]],
    ['by default with Karpenter', {}, KARPENTER, [HOST, INSTANCE_TYPE], []],
    ['by default without adaptation', { adapt: false }, {}, [HOST, INSTANCE_TYPE], []],
    ['with sla_target 3 and Karpenter', { sla_target: 3 }, KARPENTER, [HOST, INSTANCE_TYPE], []],
    ['with sla_target 1', { sla_target: 1 }, KARPENTER, [HOST], []],
    ['with sla_target 1 without adaptation', { sla_target: 1, adapt: false }, {}, [HOST], []],
    ['asked for', { instance_type_anti_affinity_required: true }, {}, [HOST, INSTANCE_TYPE], []],
    [
      'asked for with sla_target 1',
      { sla_target: 1, instance_type_anti_affinity_required: true },
      {},
      [HOST, INSTANCE_TYPE],
      [],
    ],
    ['declined', { instance_type_anti_affinity_required: false }, KARPENTER, [HOST], []],
    ['of hosts preferred', { host_anti_affinity: 'preferred' }, {}, [], [HOST, INSTANCE_TYPE]],
    ['of hosts preferred by default where nodes have no zones', {}, NO_ZONES, [], [HOST, INSTANCE_TYPE]],
    ['of hosts as asked for where zones are no matter', { zone_spread: 'off' }, NO_ZONES, [HOST], [INSTANCE_TYPE]],
    ['of hosts off', { host_anti_affinity: 'off', sla_target: 1 }, {}, [], []],
  ])('%s', (_, overrides, facts, required, preferred) => {
    const rules = valueAt(spec(overrides, facts), 'affinity', 'podAntiAffinity');
    expect(keys(valueAt(rules, 'requiredDuringSchedulingIgnoredDuringExecution'))).toEqual(required);
    expect(keys(valueAt(rules, 'preferredDuringSchedulingIgnoredDuringExecution'))).toEqual(preferred);
  });

  test('leaves no empty rule behind', () => {
    expect(spec({ host_anti_affinity: 'off', sla_target: 1 })).not.toHaveProperty('affinity');
  });
});

describe('zone spread', () => {
  test.each<[string, Inputs['zone_spread'], Partial<TargetFacts>, string | undefined]>([
    ['required', 'required', {}, 'DoNotSchedule'],
    ['preferred', 'preferred', {}, 'ScheduleAnyway'],
    ['off', 'off', {}, undefined],
    ['preferred by default where nodes have no zones', 'required', NO_ZONES, 'ScheduleAnyway'],
  ])('%s', (_, zone_spread, facts, whenUnsatisfiable) => {
    const rule = valueAt(spec({ zone_spread }, facts), 'topologySpreadConstraints', 0);
    expect(valueAt(rule, 'whenUnsatisfiable')).toBe(whenUnsatisfiable);
  });
});

describe('nodes', () => {
  test.each<[string, Partial<Inputs>, string[]]>([
    ['by default', {}, ['spot', 'arm64']],
    ['none of them', NO_OTHERS, []],
    ['burstable ones may be spot ones', { ...NO_OTHERS, burstable_nodes_enabled: true }, ['burstable', 'spot']],
    [
      'controllers are of every sort',
      { ...NO_OTHERS, controller_nodes_enabled: true },
      ['burstable', 'spot', 'arm64', 'controller'],
    ],
  ])('%s: tolerated and labelled alike', (_, overrides, classes) => {
    const tolerations = valueAt(spec(overrides), 'tolerations');
    const tolerated = Array.isArray(tolerations) ? tolerations.map((toleration) => valueAt(toleration, 'key')) : [];
    expect(tolerated).toEqual([
      ...classes.flatMap((nodeClass) => [nodeClass, ...(CLOUD_TAINTS[nodeClass] ?? [])]),
      'panfactum.com/linkerd-not-ready',
      'node.cilium.io/agent-not-ready',
    ]);

    const labels = valueAt(podTemplate(stateWith(overrides)), 'metadata', 'labels');
    const labelled = ['burstable', 'spot', 'arm64', 'controller'].filter(
      (kind) => valueAt(labels, `panfactum.com/${kind}-enabled`) === 'true',
    );
    expect(labelled).toEqual(classes);
  });

  const SPOT_LABELS = [
    ['karpenter.sh/capacity-type', 'spot'],
    ['eks.amazonaws.com/capacityType', 'SPOT'],
    ['cloud.google.com/gke-spot', 'true'],
    ['cloud.google.com/gke-preemptible', 'true'],
    ['kubernetes.azure.com/scalesetpriority', 'spot'],
  ];
  const ARM_LABELS = [['kubernetes.io/arch', 'arm64']];

  test.each<[string, Partial<Inputs>, Partial<TargetFacts>, string[][]]>([
    ['nothing by default', {}, {}, []],
    ['spot nodes', { spot_nodes_enabled: false }, {}, SPOT_LABELS],
    ['arm64 nodes', { arm_nodes_enabled: false }, {}, ARM_LABELS],
    ['both', NO_OTHERS, {}, [...ARM_LABELS, ...SPOT_LABELS]],
    ['by labels that Karpenter knows', NO_OTHERS, KARPENTER, [...ARM_LABELS, ...SPOT_LABELS.slice(0, 1)]],
    ['no spot nodes where burstable ones are allowed', { ...NO_OTHERS, burstable_nodes_enabled: true }, {}, ARM_LABELS],
    ['nothing where controllers are allowed', { ...NO_OTHERS, controller_nodes_enabled: true }, {}, []],
  ])('exclude by their labels: %s', (_, overrides, facts, excluded) => {
    const rule = 'requiredDuringSchedulingIgnoredDuringExecution';
    const required = valueAt(spec(overrides, facts), 'affinity', 'nodeAffinity', rule);
    expect(required).toEqual(
      excluded.length === 0
        ? undefined
        : {
            nodeSelectorTerms: [
              { matchExpressions: excluded.map(([key, value]) => ({ key, operator: 'NotIn', values: [value] })) },
            ],
          },
    );
  });

  test('controllers are preferred when allowed', () => {
    const rule = 'affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution';
    expect(spec({ controller_nodes_enabled: true })).toHaveProperty(rule);
    expect(spec(NO_OTHERS)).not.toHaveProperty(rule);
    expect(spec({})).not.toHaveProperty('affinity.nodeAffinity');
  });
});

test.each([
  ['panfactum_scheduler_enabled', 'panfactum.com/scheduler-enabled'],
  ['pull_through_cache_enabled', 'panfactum.com/pull-through-cache-enabled'],
] as const)('%s is told to the stack by a label', (input, label) => {
  for (const enabled of [true, false]) {
    const labels = valueAt(podTemplate(stateWith({ [input]: enabled })), 'metadata', 'labels');
    expect(valueAt(labels, label)).toBe(`${enabled}`);
  }
});

function spec(overrides: Partial<Inputs>, facts: Partial<TargetFacts> = {}) {
  return valueAt(podTemplate(stateWith(overrides, facts)), 'spec');
}

/** The topology keys of affinity terms, weighted or not. */
function keys(terms: ReturnType<typeof valueAt>) {
  if (!Array.isArray(terms)) return [];
  return terms.map((term) => valueAt(term, 'topologyKey') ?? valueAt(term, 'podAffinityTerm', 'topologyKey'));
}
