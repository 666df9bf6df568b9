import type { Inputs } from '../inputs/table.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Images } from './images.ts';
import { metadata, selectorLabels } from './labels.ts';
import type { Names } from './names.ts';
import type { TargetFacts } from './state.ts';

/** On the budget while a window is open: when it opened, in seconds since the epoch. */
export const WINDOW_START = 'panfactum.com/voluntary-disruption-window-start';

/** What confines evictions: the budget, and what opens and closes its windows. */
export function disruptions(inputs: Inputs, names: Names, _facts: TargetFacts, _images: Images): KubeObject[] {
  return [disruptionBudget(inputs, names)];
}

/** Evictions of one server at a time, or of none; a server that is not healthy never blocks the drain of its node. */
function disruptionBudget(inputs: Inputs, names: Names): KubeObject {
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
