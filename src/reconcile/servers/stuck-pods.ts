import { dig, digObjects, digText } from '../../json.ts';
import { describe } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { SERVER_CONTAINER } from '../../nats/layout.ts';
import { together } from '../../together.ts';
import type { RunContext } from '../context.ts';
import { asHolder } from '../lock/holder.ts';
import { record } from '../record.ts';

/** A server that does not run has no client to let down gently, and before it runs its reloader heeds no signal to end. */
const GRACE = { gracePeriodSeconds: 1 };

/**
 * Deletes the pods of an older revision whose server does not run, such as those that an earlier run left with an image
 * or a node selection that does not exist. The StatefulSet controller replaces its pods one after another and waits for
 * each, but the first one never becomes Ready while a majority of the others cannot run:
 * https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
 */
export async function replaceStuckPods(
  context: RunContext,
  statefulSet: KubeObject,
  pods: KubeObject[],
): Promise<void> {
  if (!isObserved(statefulSet)) return;
  const revision = digText(statefulSet.status, 'updateRevision');
  const stuck = pods.filter((pod) => revisionOf(pod) !== revision && isStuck(pod));
  if (stuck.length === 0) return;
  const holder = asHolder(context, `replace ${stuck.map(({ metadata }) => metadata.name).join(', ')}`);
  await together(
    stuck.map(async (pod) => {
      if (!(await holder.kube.remove(pod, GRACE))) return;
      const object = describe('Pod', pod.metadata.namespace, pod.metadata.name);
      record(
        holder,
        { action: 'delete', object, fields: [] },
        'it is of an older revision, and its server does not run',
      );
    }),
  );
}

/** Whether the controller has seen the present spec: until then the status names the revision before it. */
export function isObserved({ metadata, status }: KubeObject): boolean {
  return Number(dig(status, 'observedGeneration') ?? 0) >= Number(metadata.generation);
}

/** The revision of the StatefulSet that a pod was made from. */
export function revisionOf({ metadata }: KubeObject): string {
  return metadata.labels?.['controller-revision-hash'] ?? '';
}

function isStuck({ metadata, status }: KubeObject): boolean {
  const server = digObjects(status, 'containerStatuses').find(({ name }) => name === SERVER_CONTAINER);
  return metadata.deletionTimestamp === undefined && dig(server, 'state', 'running') === undefined;
}
