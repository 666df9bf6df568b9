import { inventoryName } from '../../desired/apply-set.ts';
import { dig } from '../../json.ts';
import { describe, type KubeReader } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { Problem } from '../../problem.ts';
import { KEEPING_NAMESPACE } from '../access/permissions.ts';
import type { RunContext } from '../context.ts';
import { record } from '../record.ts';
import { until, type WaitOptions } from '../until.ts';
import { listOf, type RemovalContext } from './removal.ts';

/** A ConfigMap that Kubernetes puts into every namespace. */
const ROOT_CA = 'kube-root-ca.crt';

/**
 * Deletes the namespace and waits until it is gone, unless something stays in it that is not this cluster's.
 *
 * @returns what stays, and with it the namespace
 */
export async function removeNamespace(context: RemovalContext): Promise<KubeObject[]> {
  const { kube, namespace } = context;
  let kept: KubeObject[] = [];
  let asked = '';
  await until(waitOptions(context, 'Removing'), async () => {
    const live = await kube.get('Namespace', undefined, namespace);
    // Somebody may have made another one of the name meanwhile.
    if (live === null || (asked !== '' && asked !== live.metadata.uid)) return { done: true };
    if (isTerminating(live)) return { done: false, missing: `Namespace ${namespace} is being deleted` };
    const others = await othersIn(context);
    kept = others.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    if (kept.length > 0) return { done: true };
    if (others.length > 0) return { done: false, missing: `Still there: ${listOf(others)}` };
    context.assertHeld();
    if ((await kube.removeUnchanged(live)) !== 'changed') {
      asked = String(live.metadata.uid);
      record(context, { action: 'delete', object: describe('Namespace', undefined, namespace), fields: [] });
    }
    return { done: false, missing: `Namespace ${namespace} is being deleted` };
  });
  return kept;
}

/** What is in the namespace beside the cluster's inventory and lock, and what Kubernetes puts into every namespace. */
export async function othersIn({ kube, namespace, name }: RunContext): Promise<KubeObject[]> {
  const found = await Promise.all(KEEPING_NAMESPACE.map((kind) => kube.listMetadata(kind, namespace)));
  return found.flat().filter(({ kind, metadata }) => {
    if (kind === 'ConfigMap') return ![ROOT_CA, inventoryName(name)].includes(metadata.name);
    if (kind === 'Lease') return metadata.name !== name;
    return kind !== 'Secret' || metadata.annotations?.['kubernetes.io/service-account.name'] === undefined;
  });
}

/** Waits until a namespace that is being deleted is gone. Throws where there is another one of its name by now. */
export async function waitForNamespace(context: RunContext): Promise<void> {
  const { kube, namespace } = context;
  await until(waitOptions(context, 'Waiting for the end of'), async () => {
    const live = await kube.get('Namespace', undefined, namespace);
    if (live === null) return { done: true };
    if (!isTerminating(live)) throw madeAnew(context);
    return { done: false, missing: `Namespace ${namespace} is being deleted` };
  });
}

function madeAnew({ namespace, name }: RunContext): Problem {
  return new Problem({
    kind: 'conflict',
    tried: `Removing what NATS cluster ${name} has outside of namespace ${namespace}, which was gone`,
    reason: 'The namespace was made anew meanwhile: another run may be bringing the cluster up in it.',
    next: 'Nothing more was removed. Look at the other run; where the cluster is to go all the same, run again: then that is done under its lock.',
  });
}

/** Whether it is gone, or being deleted. */
export async function isGoing(kube: KubeReader, namespace: string): Promise<boolean> {
  const live = await kube.get('Namespace', undefined, namespace);
  return live === null || isTerminating(live);
}

export function isTerminating(namespace: KubeObject): boolean {
  return namespace.metadata.deletionTimestamp !== undefined || dig(namespace, 'status', 'phase') === 'Terminating';
}

function waitOptions({ clock, log, deadline, namespace }: RunContext, doing: string): WaitOptions {
  return {
    clock,
    log,
    deadline,
    tried: `${doing} namespace ${namespace}`,
    next: `Look at what holds it (kubectl get namespace ${namespace} -o yaml tells), then run again: it goes on from here.`,
  };
}
