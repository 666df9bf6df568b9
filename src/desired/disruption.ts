import type { Inputs } from '../inputs/table.ts';
import type { KubeObject } from '../kube/object.ts';
import { metadata, selectorLabels } from './labels.ts';
import type { Names } from './names.ts';

/** Evictions of one server at a time, or of none; a server that is not healthy never blocks the drain of its node. */
export function disruptionBudget(inputs: Inputs, names: Names): KubeObject {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: metadata(inputs, names, names.cluster),
    spec: {
      maxUnavailable: inputs.voluntary_disruptions_enabled ? 1 : 0,
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
      selector: { matchLabels: selectorLabels(names.cluster) },
    },
  };
}
