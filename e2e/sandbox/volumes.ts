import type { JsonObject } from '../../src/json.ts';
import type { Node } from './topology.ts';

/** How many volumes each node offers, by storage class: enough for several clusters, as retained ones are not used again. */
const volumesPerNode = { 'ebs-standard-retained': 8, standard: 4 };

interface Volume {
  name: string;
  storageClass: string;
  /** As the node sees it. */
  path: string;
}

/** A node's local volumes. */
export function volumesOf(node: Node): Volume[] {
  return Object.entries(volumesPerNode).flatMap(([storageClass, count]) =>
    Array.from({ length: count }, (_, index) => {
      const name = `${storageClass}-${node.name}-${index}`;
      return { name, storageClass, path: `/var/lib/volumes/${name}` };
    }),
  );
}

/** The PersistentVolumes of a node's local volumes, 1 GiB each by name (nothing enforces it). */
export function persistentVolumesOf(node: Node): JsonObject[] {
  const onNode = { key: 'kubernetes.io/hostname', operator: 'In', values: [node.name] };
  return volumesOf(node).map(({ name, storageClass, path }) => ({
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      persistentVolumeReclaimPolicy: 'Retain',
      storageClassName: storageClass,
      local: { path },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [onNode] }] } },
    },
  }));
}
