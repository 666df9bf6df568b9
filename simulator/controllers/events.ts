import { createHash } from 'node:crypto';
import type { Cluster } from '../kubernetes/cluster.ts';
import { type StoredObject, timestamp } from '../kubernetes/object-store.ts';
import { resourceOf } from '../kubernetes/resources.ts';

/** Records a Warning about an object, once for each reason and message. */
export function warn(cluster: Cluster, about: StoredObject, component: string, reason: string, message: string): void {
  const { name, uid, namespace = '' } = about.metadata;
  const hash = createHash('sha256').update(`${uid}/${reason}/${message}`).digest('hex').slice(0, 16);
  const target = { resource: resourceOf('Event'), namespace, name: `${name}.${hash}` };
  if (cluster.find(target) !== undefined) {
    return;
  }
  const now = timestamp();
  const { apiVersion, kind } = about;
  const event = {
    involvedObject: { apiVersion, kind, name, namespace, uid },
    metadata: { name: target.name, namespace },
    reason,
    message,
    type: 'Warning',
    count: 1,
    firstTimestamp: now,
    lastTimestamp: now,
    source: { component },
  };
  cluster.create(target, event, { fieldManager: component, dryRun: false });
}
