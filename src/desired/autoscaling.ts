import type { Inputs } from '../inputs/table.ts';
import type { KubeObject } from '../kube/object.ts';
import { SERVER_CONTAINER } from '../nats/layout.ts';
import type { MemorySizes } from '../nats/memory.ts';
import { metadata } from './labels.ts';
import type { Names } from './names.ts';
import { quantity } from './quantity.ts';
import type { TargetFacts } from './state.ts';

/** What runs beside the server needs little and always the same. */
const SIDECARS = ['reloader', 'exporter'];

/**
 * The VerticalPodAutoscaler of the servers, where it is wanted and the target runs such. It moves a server only to give
 * it more, by an eviction, which the disruption budget has a say in (the update mode Auto is Recreate by its older name):
 * https://github.com/kubernetes/autoscaler/blob/vertical-pod-autoscaler/v1.7.1/vertical-pod-autoscaler/docs/quickstart.md
 */
export function autoscaler(inputs: Inputs, names: Names, facts: TargetFacts, memory: MemorySizes): KubeObject[] {
  if (!inputs.vpa_enabled || !facts.verticalPodAutoscaler) return [];
  return [
    {
      apiVersion: 'autoscaling.k8s.io/v1',
      kind: 'VerticalPodAutoscaler',
      metadata: metadata(inputs, names, names.cluster),
      spec: {
        targetRef: { apiVersion: 'apps/v1', kind: 'StatefulSet', name: names.cluster },
        updatePolicy: {
          updateMode: 'Recreate',
          evictionRequirements: [{ resources: ['cpu', 'memory'], changeRequirement: 'TargetHigherThanRequests' }],
        },
        resourcePolicy: {
          containerPolicies: [
            { containerName: SERVER_CONTAINER, minAllowed: { memory: quantity(memory.request) } },
            ...SIDECARS.map((containerName) => ({ containerName, mode: 'Off' })),
          ],
        },
      },
    },
  ];
}
