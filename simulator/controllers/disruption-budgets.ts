import { digText } from '../../src/json.ts';
import { mapAt } from '../json-at.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import { resourceOf } from '../kubernetes/resources.ts';
import { isTrue } from './conditions.ts';

/** Counts the pods behind each PodDisruptionBudget; maxUnavailable is read as a number. */
export function countDisruptions(cluster: Cluster): void {
  const resource = resourceOf('PodDisruptionBudget');
  for (const budget of cluster.store.list(resource)) {
    const { name, namespace = '' } = budget.metadata;
    const wanted = Object.entries(mapAt(budget, 'spec', 'selector', 'matchLabels'));
    const pods = cluster.store
      .list(resourceOf('Pod'), namespace)
      .filter((pod) => wanted.every(([key, value]) => pod.metadata.labels?.[key] === value));
    const healthy = pods.filter((pod) => isTrue(pod, 'Ready')).length;
    const desired = Math.max(0, pods.length - Number(digText(budget, 'spec', 'maxUnavailable')));
    cluster.updateStatus({ resource, namespace, name }, 'kube-controller-manager', {
      observedGeneration: budget.metadata.generation,
      disruptionsAllowed: Math.max(0, healthy - desired),
      currentHealthy: healthy,
      desiredHealthy: desired,
      expectedPods: pods.length,
    });
  }
}
