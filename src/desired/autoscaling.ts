import type { Inputs } from '../inputs/table.ts';
import type { KubeObject } from '../kube/object.ts';
import type { MemorySizes } from '../nats/memory.ts';
import type { Names } from './names.ts';
import type { TargetFacts } from './state.ts';

/** The VerticalPodAutoscaler of the servers, where it is wanted and the target runs such. */
export function autoscaler(_inputs: Inputs, _names: Names, _facts: TargetFacts, _memory: MemorySizes): KubeObject[] {
  return [];
}
