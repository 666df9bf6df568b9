import { inventoryId, MEMBER_LABEL } from '../../desired/apply-set.ts';
import { describe } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { kindOf } from '../../kube/resources.ts';
import { Problem } from '../../problem.ts';
import { together } from '../../together.ts';
import { isModuleObject } from '../adoption/adoption.ts';
import type { WriteContext } from '../context.ts';
import { record } from '../record.ts';

/** How often an object is read again that changes while it is to go. */
const MOST_TRIES = 5;

/** Deletes members of the inventory that are not wanted any more, and what is left of the Terraform module. */
export async function prune(context: WriteContext, objects: KubeObject[]): Promise<void> {
  await together(objects.map((object) => pruneOne(context, object)));
}

/** What has changed since it was read is read again, and deleted if it still is what it was. */
async function pruneOne(context: WriteContext, object: KubeObject): Promise<void> {
  const { namespace, name } = object.metadata;
  const what = describe(object.kind, namespace, name);
  let current = object;
  for (let tries = 1; tries <= MOST_TRIES; tries++) {
    context.assertHeld();
    if ((await context.kube.removeUnchanged(current)) !== 'changed') {
      record(context, { action: 'delete', object: what, fields: [] });
      return;
    }
    const live = await context.kube.getMetadata(kindOf(object), namespace, name);
    if (live === null || live.metadata.deletionTimestamp !== undefined) return;
    if (!isStill(context, object, live)) {
      context.log.info(`${what} is kept: somebody has taken it over meanwhile.`);
      return;
    }
    current = live;
  }
  throw new Problem({
    kind: 'conflict',
    tried: `Deleting ${what}`,
    reason: `It was changed ${MOST_TRIES} times meanwhile.`,
    next: 'Stop what changes it again and again (its managedFields tell who), and run again: it is not wanted any more.',
  });
}

/** Whether it is as before a member of the cluster's inventory, or the module's. */
function isStill({ namespace, name }: WriteContext, before: KubeObject, live: KubeObject): boolean {
  return isModuleObject(before, namespace, name)
    ? isModuleObject(live, namespace, name)
    : live.metadata.labels?.[MEMBER_LABEL] === inventoryId(namespace, name);
}
