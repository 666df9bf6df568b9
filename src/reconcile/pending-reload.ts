import { digText, isJsonObject } from '../json.ts';
import { describe } from '../kube/client.ts';
import type { KubeObject } from '../kube/object.ts';
import { MANAGER } from '../manager.ts';
import { CONFIG_FILE } from '../nats/layout.ts';
import { configHash } from '../nats/restart.ts';
import { together } from '../together.ts';
import type { RunContext, WriteContext } from './context.ts';
import { podsOf } from './pods.ts';
import { type ConfigLoad, loadTimes, touchPods, waitForReload } from './rollout.ts';

/** On a pod: which configuration its server is to load, and where it stood before that was written. */
const PENDING_RELOAD = `${MANAGER}/pending-reload`;

/**
 * Notes on the pods, before the ConfigMap is written, that their servers are to load what comes: who takes over from a run that
 * ends between the two knows by that which servers have loaded it, and needs no clock for it.
 */
export async function notePendingReload(
  { kube, namespace, assertHeld }: WriteContext,
  loads: Map<string, ConfigLoad>,
  conf: string,
): Promise<void> {
  assertHeld();
  await together(
    [...loads].map(([pod, { time, refusal }]) => {
      const note = JSON.stringify({ config: configHash(conf), time, refusal });
      return kube.patch('Pod', namespace, pod, { metadata: { annotations: { [PENDING_RELOAD]: note } } });
    }),
  );
}

/**
 * Waits until every server has loaded the nats.conf that is there. Where a run that was ended too early has left some that
 * have not, hastens them. Rejects with a Problem when one refuses it.
 */
export async function verifyLoaded(context: RunContext): Promise<void> {
  const { kube, log, namespace, name } = context;
  const [config, pods] = await Promise.all([kube.get('ConfigMap', namespace, name), podsOf(context)]);
  const hash = configHash(digText(config?.data, CONFIG_FILE));
  const pending = new Map(
    pods.flatMap((pod): [string, ConfigLoad][] => {
      const note = pendingReload(pod);
      return note?.config === hash ? [[pod.metadata.name, note]] : [];
    }),
  );
  if (pending.size === 0) return;
  const times = await loadTimes(context);
  const late = new Map([...pending].filter(([pod, { time }]) => times.get(pod) === time));
  if (late.size === 0) return;
  const what = describe('ConfigMap', namespace, name);
  log.info(`An earlier run ended before the servers loaded ${what}: hastening ${[...late.keys()].join(', ')}`);
  await touchPods(context, [...late.keys()], hash);
  await waitForReload(context, late);
}

function pendingReload({ metadata }: KubeObject): (ConfigLoad & { config: string }) | null {
  try {
    const note = JSON.parse(metadata.annotations?.[PENDING_RELOAD] ?? '');
    if (!isJsonObject(note)) return null;
    return { config: digText(note, 'config'), time: digText(note, 'time'), refusal: digText(note, 'refusal') };
  } catch {
    return null;
  }
}
