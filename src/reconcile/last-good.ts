import { isDeepStrictEqual } from 'node:util';
import { gunzipSync, gzipSync } from 'node:zlib';
import { inventoryName } from '../desired/apply-set.ts';
import { inWindow } from '../desired/disruption.ts';
import type { DesiredState } from '../desired/state.ts';
import type { Inputs } from '../inputs/table.ts';
import { digText } from '../json.ts';
import type { KubeObject } from '../kube/object.ts';
import { isKind } from '../kube/resources.ts';
import { MANAGER } from '../manager.ts';
import type { WriteContext } from './context.ts';
import type { Deployment } from './inventory.ts';

/** The last state of a cluster that a run waited for and found whole: what a failed run goes back to. */
export interface LastGood extends Pick<DesiredState, 'objects' | 'shares' | 'vault'> {
  /** What waiting, verifying and going back go by; the others of that run are in the objects. */
  inputs: Pick<Inputs, 'replicas' | 'labels' | 'helm_version' | 'nats_version'>;
  /** Of the run that reached this state first. */
  deployment: Deployment;
}

/**
 * It is in the inventory, in fields of another manager, so that who writes the inventory leaves it alone; compressed, as it
 * holds every object. There is no secret in them: credentials are in the Secrets that cert-manager fills.
 */
const KEY = 'last-good.json.gz';
const LAST_GOOD_MANAGER = `${MANAGER}/last-good`;

/** What the inventory remembers; null where that is nothing, or what this release cannot read. */
export function lastGoodOf(inventory: KubeObject | null): LastGood | null {
  const stored = digText(inventory?.binaryData, KEY);
  if (stored === '') return null;
  try {
    const state: Partial<LastGood> = JSON.parse(gunzipSync(Buffer.from(stored, 'base64')).toString('utf8'));
    return isReadable(state) ? state : null;
  } catch {
    return null;
  }
}

/** Remembers a state that was waited for and found whole; writes nothing where it is remembered already. */
export async function remember(
  context: WriteContext,
  desired: DesiredState,
  inventory: KubeObject | null,
  deployment: Deployment,
): Promise<void> {
  if (isRemembered(context.inputs, desired, inventory)) return;
  const { kube, namespace, name, log } = context;
  const text = JSON.stringify({ ...lasting(context.inputs, desired), deployment });
  const compressed = gzipSync(text, { level: 9 });
  context.assertHeld();
  await kube.apply(
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: inventoryName(name), namespace },
      binaryData: { [KEY]: compressed.toString('base64') },
    },
    { manager: LAST_GOOD_MANAGER },
  );
  log.info(`Remembered as the last good state (${compressed.length} bytes).`);
}

/** Whether it is the state that the inventory remembers. */
export function isRemembered(inputs: Inputs, desired: DesiredState, inventory: KubeObject | null): boolean {
  const lastGood = lastGoodOf(inventory);
  if (lastGood === null) return false;
  const { deployment: _deployment, ...state } = lastGood;
  // As it is read back: fields that are undefined are not there.
  return isDeepStrictEqual(state, JSON.parse(JSON.stringify(lasting(inputs, desired))));
}

/** What of a state lasts: the budget is that outside of a window, which come and go by themselves. */
function lasting(inputs: Inputs, { objects, shares, vault }: DesiredState): Omit<LastGood, 'deployment'> {
  const { replicas, labels, helm_version, nats_version } = inputs;
  return {
    inputs: { replicas, labels, helm_version, nats_version },
    objects: objects.map((object) => inWindow(object, null)),
    shares,
    vault,
  };
}

/** Another release may have other parts, and kinds that this one does not know. */
function isReadable(state: Partial<LastGood>): state is LastGood {
  const { objects, shares, inputs, vault, deployment } = state;
  return (
    [inputs, vault, deployment].every((part) => typeof part === 'object') &&
    Array.isArray(shares) &&
    Array.isArray(objects) &&
    objects.every(({ kind }) => isKind(kind))
  );
}
