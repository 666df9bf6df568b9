import type { Cluster } from '../kubernetes/cluster.ts';
import { RESOURCES } from '../kubernetes/resources.ts';

/** Deletes what is owned by objects that are gone. */
export function collectGarbage(cluster: Cluster): void {
  const everything = RESOURCES.flatMap((resource) =>
    cluster.store.list(resource).map((object) => ({ resource, object })),
  );
  const uids = new Set(everything.map(({ object }) => object.metadata.uid));
  for (const { resource, object } of everything) {
    const owners = object.metadata.ownerReferences ?? [];
    if (owners.length > 0 && owners.every((owner) => !uids.has(owner.uid))) {
      cluster.store.remove(resource, object.metadata.namespace ?? '', object.metadata.name);
    }
  }
}
