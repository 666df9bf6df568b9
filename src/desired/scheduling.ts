import type { Inputs } from '../inputs/table.ts';
import type { JsonObject } from '../json.ts';
import { type Labels, selectorLabels } from './labels.ts';
import type { TargetFacts } from './state.ts';

type Strength = Inputs['host_anti_affinity'];

/** Which nodes a pod may and should run on: affinity, spread over zones, tolerations. */
export function scheduling(inputs: Inputs, { name: cluster, choosesInstanceTypes }: TargetFacts): JsonObject {
  const affinity = { ...nodeAffinity(inputs), ...podAntiAffinity(inputs, cluster, choosesInstanceTypes) };
  return {
    ...(Object.keys(affinity).length > 0 ? { affinity } : {}),
    ...zoneSpread(inputs.zone_spread, cluster),
    tolerations: tolerations(inputs),
  };
}

/**
 * The labels by which a Panfactum cluster treats pods at their admission: its scheduler, its pull-through cache, its
 * nodes. They do nothing elsewhere.
 */
export function panfactumPodLabels(inputs: Inputs, cluster: string): Labels {
  const nodes = nodeClasses(inputs);
  return {
    'panfactum.com/workload': cluster,
    'panfactum.com/prevent-lifetime-eviction': 'true',
    'panfactum.com/scheduler-enabled': `${inputs.panfactum_scheduler_enabled}`,
    'panfactum.com/pull-through-cache-enabled': `${inputs.pull_through_cache_enabled}`,
    'panfactum.com/arm64-enabled': `${nodes.arm64}`,
    'panfactum.com/burstable-enabled': `${nodes.burstable}`,
    'panfactum.com/spot-enabled': `${nodes.spot}`,
    'panfactum.com/controller-enabled': `${nodes.controller}`,
  };
}

/** Controller nodes are arm64 and burstable; burstable and controller nodes may be spot nodes. */
function nodeClasses(inputs: Inputs) {
  const controller = inputs.controller_nodes_enabled;
  const burstable = inputs.burstable_nodes_enabled || controller;
  return {
    burstable,
    spot: inputs.spot_nodes_enabled || burstable,
    arm64: inputs.arm_nodes_enabled || controller,
    controller,
  };
}

/** The taints that the pods may run in spite of: those of the node classes that the inputs allow. */
export function tolerations(inputs: Inputs): JsonObject[] {
  const allowed = Object.entries(nodeClasses(inputs)).filter(([, enabled]) => enabled);
  return [
    ...allowed.map(([key]) => ({ key, operator: 'Equal', value: 'true', effect: 'NoSchedule' })),
    { key: 'panfactum.com/linkerd-not-ready', operator: 'Exists', effect: 'NoSchedule' },
    { key: 'node.cilium.io/agent-not-ready', operator: 'Exists', effect: 'NoSchedule' },
  ];
}

function nodeAffinity(inputs: Inputs): JsonObject {
  if (!inputs.controller_nodes_enabled) return {};
  return {
    nodeAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        {
          weight: 100,
          preference: { matchExpressions: [{ key: 'panfactum.com/class', operator: 'In', values: ['controller'] }] },
        },
      ],
    },
  };
}

/** A node without a topologyKey's label is never excluded by that term (InterPodAffinity plugin, Kubernetes 1.34). */
function podAntiAffinity(inputs: Inputs, cluster: string, choosesInstanceTypes: boolean): JsonObject {
  const apart: { topologyKey: string; strength: Strength }[] = [
    { topologyKey: 'kubernetes.io/hostname', strength: inputs.host_anti_affinity },
    { topologyKey: 'node.kubernetes.io/instance-type', strength: instanceTypeStrength(inputs, choosesInstanceTypes) },
  ];
  const terms = (wanted: Strength) =>
    apart
      .filter(({ strength }) => strength === wanted)
      .map(({ topologyKey }) => ({ topologyKey, labelSelector: { matchLabels: selectorLabels(cluster) } }));
  const required = terms('required');
  const preferred = terms('preferred').map((podAffinityTerm) => ({ weight: 100, podAffinityTerm }));
  const rules = {
    ...(required.length > 0 ? { requiredDuringSchedulingIgnoredDuringExecution: required } : {}),
    ...(preferred.length > 0 ? { preferredDuringSchedulingIgnoredDuringExecution: preferred } : {}),
  };
  return Object.keys(rules).length > 0 ? { podAntiAffinity: rules } : {};
}

/**
 * From sla_target 2 on different instance types are required by default, as by the module, where an autoscaler can be
 * asked for a node of another type. Elsewhere, on nodes of one type, the pods would stay Pending for ever: there the
 * default is a preference, unless the target must not be adapted to.
 */
function instanceTypeStrength(inputs: Inputs, choosesInstanceTypes: boolean): Strength {
  const required = inputs.instance_type_anti_affinity_required;
  if (required !== null) return required ? 'required' : 'off';
  if (inputs.sla_target < 2) return 'off';
  return choosesInstanceTypes || !inputs.adapt ? 'required' : 'preferred';
}

/** Required, it excludes nodes that have no zone label, unlike anti-affinity. */
function zoneSpread(strength: Strength, cluster: string): JsonObject {
  if (strength === 'off') return {};
  return {
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: 'topology.kubernetes.io/zone',
        whenUnsatisfiable: strength === 'required' ? 'DoNotSchedule' : 'ScheduleAnyway',
        labelSelector: { matchLabels: selectorLabels(cluster) },
      },
    ],
  };
}
