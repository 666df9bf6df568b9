import type { Inputs } from '../inputs/table.ts';
import type { JsonObject } from '../json.ts';
import { type Labels, selectorLabels, ZONE_LABEL } from './labels.ts';
import type { TargetFacts } from './state.ts';

/** Of the Panfactum stack; higher than what the cluster gives by default. */
export const PRIORITY_CLASS = 'workload-important';

type Strength = Inputs['host_anti_affinity'];

/** Which nodes a pod may and should run on: affinity, spread over zones, tolerations. */
export function scheduling(inputs: Inputs, facts: TargetFacts): JsonObject {
  const affinity = { ...nodeAffinity(inputs, facts.hasKarpenter), ...podAntiAffinity(inputs, facts) };
  return {
    ...(Object.keys(affinity).length > 0 ? { affinity } : {}),
    ...zoneSpread(inputs, facts),
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

type NodeClass = 'burstable' | 'spot' | 'arm64' | 'controller';

/** Which classes of nodes the servers may run on. Controller nodes are arm64 and burstable; burstable and controller nodes may be spot nodes. */
export function nodeClasses(inputs: Inputs): { [Class in NodeClass]: boolean } {
  const controller = inputs.controller_nodes_enabled;
  const burstable = inputs.burstable_nodes_enabled || controller;
  return {
    burstable,
    spot: inputs.spot_nodes_enabled || burstable,
    arm64: inputs.arm_nodes_enabled || controller,
    controller,
  };
}

/**
 * Taints by which Panfactum, and clouds of their own accord, keep other pods away from nodes of a class:
 * https://learn.microsoft.com/azure/aks/spot-node-pool, https://cloud.google.com/kubernetes-engine/docs/how-to/prepare-arm-workloads-for-deployment
 */
const NODE_TAINTS: { nodeClass: NodeClass; key: string; value: string }[] = [
  { nodeClass: 'burstable', key: 'burstable', value: 'true' },
  { nodeClass: 'spot', key: 'spot', value: 'true' },
  { nodeClass: 'spot', key: 'kubernetes.azure.com/scalesetpriority', value: 'spot' },
  { nodeClass: 'arm64', key: 'arm64', value: 'true' },
  { nodeClass: 'arm64', key: 'kubernetes.io/arch', value: 'arm64' },
  { nodeClass: 'controller', key: 'controller', value: 'true' },
];

/** The taints that the pods may run in spite of: those of the node classes that the inputs allow. */
export function tolerations(inputs: Inputs): JsonObject[] {
  const classes = nodeClasses(inputs);
  const allowed = NODE_TAINTS.filter(({ nodeClass }) => classes[nodeClass]);
  return [
    ...allowed.map(({ key, value }) => ({ key, operator: 'Equal', value, effect: 'NoSchedule' })),
    { key: 'panfactum.com/linkerd-not-ready', operator: 'Exists', effect: 'NoSchedule' },
    { key: 'node.cilium.io/agent-not-ready', operator: 'Exists', effect: 'NoSchedule' },
  ];
}

/**
 * Labels that tell of a node that it is one of those, on clusters where no taint keeps pods away from them:
 * https://karpenter.sh/docs/concepts/scheduling/, https://docs.aws.amazon.com/eks/latest/userguide/managed-node-groups.html,
 * https://cloud.google.com/kubernetes-engine/docs/concepts/spot-vms, https://learn.microsoft.com/azure/aks/spot-node-pool
 */
const NODE_LABELS: { nodeClass: NodeClass; key: string; value: string; knownToKarpenter: boolean }[] = [
  { nodeClass: 'arm64', key: 'kubernetes.io/arch', value: 'arm64', knownToKarpenter: true },
  { nodeClass: 'spot', key: 'karpenter.sh/capacity-type', value: 'spot', knownToKarpenter: true },
  { nodeClass: 'spot', key: 'eks.amazonaws.com/capacityType', value: 'SPOT', knownToKarpenter: false },
  { nodeClass: 'spot', key: 'cloud.google.com/gke-spot', value: 'true', knownToKarpenter: false },
  { nodeClass: 'spot', key: 'cloud.google.com/gke-preemptible', value: 'true', knownToKarpenter: false },
  { nodeClass: 'spot', key: 'kubernetes.azure.com/scalesetpriority', value: 'spot', knownToKarpenter: false },
];

function nodeAffinity(inputs: Inputs, hasKarpenter: boolean): JsonObject {
  const rules = { ...excludedNodes(inputs, hasKarpenter), ...preferredNodes(inputs) };
  return Object.keys(rules).length > 0 ? { nodeAffinity: rules } : {};
}

/**
 * The classes that are not allowed. Karpenter is told only what it knows: a label of a cloud's own, such as EKS's on its
 * Auto Mode, makes it refuse to make any node, and its own label is on all that it makes.
 */
function excludedNodes(inputs: Inputs, hasKarpenter: boolean): JsonObject {
  const allowed = nodeClasses(inputs);
  const matchExpressions = NODE_LABELS.filter(({ nodeClass }) => !allowed[nodeClass])
    .filter(({ knownToKarpenter }) => knownToKarpenter || !hasKarpenter)
    .map(({ key, value }) => ({ key, operator: 'NotIn', values: [value] }));
  if (matchExpressions.length === 0) return {};
  return { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions }] } };
}

function preferredNodes(inputs: Inputs): JsonObject {
  if (!inputs.controller_nodes_enabled) return {};
  return {
    preferredDuringSchedulingIgnoredDuringExecution: [
      {
        weight: 100,
        preference: { matchExpressions: [{ key: 'panfactum.com/class', operator: 'In', values: ['controller'] }] },
      },
    ],
  };
}

/** A node without a topologyKey's label is never excluded by that term (InterPodAffinity plugin, Kubernetes 1.34). */
function podAntiAffinity(inputs: Inputs, facts: TargetFacts): JsonObject {
  const apart: { topologyKey: string; strength: Strength }[] = [
    { topologyKey: 'kubernetes.io/hostname', strength: softened(inputs.host_anti_affinity, inputs, facts) },
    { topologyKey: 'node.kubernetes.io/instance-type', strength: instanceTypeStrength(inputs, facts) },
  ];
  const terms = (wanted: Strength) =>
    apart
      .filter(({ strength }) => strength === wanted)
      .map(({ topologyKey }) => ({ topologyKey, labelSelector: { matchLabels: selectorLabels(facts.name) } }));
  const required = terms('required');
  const preferred = terms('preferred').map((podAffinityTerm) => ({ weight: 100, podAffinityTerm }));
  const rules = {
    ...(required.length > 0 ? { requiredDuringSchedulingIgnoredDuringExecution: required } : {}),
    ...(preferred.length > 0 ? { preferredDuringSchedulingIgnoredDuringExecution: preferred } : {}),
  };
  return Object.keys(rules).length > 0 ? { podAntiAffinity: rules } : {};
}

/**
 * Nodes of which none is in a zone are those of kind and the like: hardly as many as servers, and nobody makes more of
 * them. What is required by default is a preference there, so that the pods fit on the nodes that there are.
 */
function softened(strength: Strength, { zone_spread }: Inputs, { hasZones }: TargetFacts): Strength {
  return strength === 'required' && zone_spread === 'required' && !hasZones ? 'preferred' : strength;
}

/**
 * From sla_target 2 on different instance types are required by default, as by the module, where an autoscaler can be
 * asked for a node of another type. Elsewhere, on nodes of one type, the pods would stay Pending for ever: there the
 * default is a preference, unless the target must not be adapted to.
 */
function instanceTypeStrength(inputs: Inputs, { hasKarpenter }: TargetFacts): Strength {
  const required = inputs.instance_type_anti_affinity_required;
  if (required !== null) return required ? 'required' : 'off';
  if (inputs.sla_target < 2) return 'off';
  return hasKarpenter || !inputs.adapt ? 'required' : 'preferred';
}

/** Required, it excludes nodes that have no zone label, unlike anti-affinity. */
function zoneSpread(inputs: Inputs, facts: TargetFacts): JsonObject {
  const strength = softened(inputs.zone_spread, inputs, facts);
  if (strength === 'off') return {};
  return {
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: ZONE_LABEL,
        whenUnsatisfiable: strength === 'required' ? 'DoNotSchedule' : 'ScheduleAnyway',
        labelSelector: { matchLabels: selectorLabels(facts.name) },
      },
    ],
  };
}
