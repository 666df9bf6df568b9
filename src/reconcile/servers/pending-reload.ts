import { dig, digText, isJsonObject } from '../../json.ts';
import { describe } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { MANAGER } from '../../manager.ts';
import { CONFIG_FILE } from '../../nats/layout.ts';
import { configHash } from '../../nats/restart.ts';
import { together } from '../../together.ts';
import type { RunContext, WriteContext } from '../context.ts';
import { asHolder } from '../lock/holder.ts';
import { appliedBy } from '../ownership.ts';
import { podsOf } from './pods.ts';
import { type ConfigLoad, configLoads, loadTimes, touchPods, waitForReload } from './rollout.ts';

/** On a pod: which configuration its server is to load, and where it stood before that was written. */
const PENDING_RELOAD = `${MANAGER}/pending-reload`;

/** Where a server stands with its configuration before that is changed. */
export interface Standing extends ConfigLoad {
  /** The hash of the configuration that it runs by; '' where that cannot be told. */
  runs: string;
}

/** By pod, where each server stands before its configuration is changed. */
export async function standings(context: RunContext): Promise<Map<string, Standing>> {
  const { kube, namespace, name } = context;
  const [loads, pods, config] = await Promise.all([
    configLoads(context),
    podsOf(context),
    kube.get('ConfigMap', namespace, name),
  ]);
  const live = configHash(digText(config?.data, CONFIG_FILE));
  const isEdited = config !== null && dig(appliedBy(config, MANAGER), 'f:data', `f:${CONFIG_FILE}`) === undefined;
  const notes = new Map(pods.map((pod) => [pod.metadata.name, pendingReload(pod)]));
  return new Map(
    [...loads].map(([pod, load]) => [pod, { ...load, runs: whatRuns(load, notes.get(pod) ?? null, live), isEdited }]),
  );
}

/** A pod without a note has started since nats.conf was written last; one that others have written is noted nowhere. */
function whatRuns({ time }: ConfigLoad, note: Note | null, live: string): string {
  if (time === '') return '';
  if (note === null) return live;
  if (note.config !== live) return '';
  return note.time === time ? note.runs : note.config;
}

/**
 * Those that a configuration has to come to yet. One that runs by it does not load it again, as where a change is called off
 * before it has come to the servers: nothing changes for them then.
 */
export function lateFor(standings: Map<string, Standing>, conf: string): Map<string, Standing> {
  return new Map([...standings].filter(([, { runs }]) => runs !== configHash(conf)));
}

/**
 * Notes on the pods, before the ConfigMap is written, that their servers are to load what comes: who takes over from a run that
 * ends between the two knows by that which servers have loaded it, and needs no clock for it. Where there may be nothing to
 * load there is no time in the note, and nobody waits for it later.
 */
export async function notePendingReload(
  { kube, namespace, assertHeld }: WriteContext,
  standings: Map<string, Standing>,
  conf: string,
): Promise<void> {
  assertHeld();
  await together(
    [...standings].map(([pod, standing]) => {
      const { time, refusal, runs, isEdited } = standing;
      const note = JSON.stringify({
        config: configHash(conf),
        time: isEdited ? '' : time,
        refusal,
        runs,
      } satisfies Note);
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
    pods.flatMap((pod): [string, Standing][] => {
      const note = pendingReload(pod);
      return note?.config === hash && note.runs !== hash ? [[pod.metadata.name, note]] : [];
    }),
  );
  if (pending.size === 0) return;
  const times = await loadTimes(context);
  const late = new Map([...pending].filter(([pod, { time }]) => times.get(pod) === time));
  if (late.size === 0) return;
  const what = describe('ConfigMap', namespace, name);
  const servers = [...late.keys()].join(', ');
  const holder = asHolder(context, `hasten ${servers}`);
  log.info(`An earlier run ended before the servers loaded ${what}: hastening ${servers}`);
  await touchPods(holder, [...late.keys()], hash);
  await waitForReload(context, late);
}

/** What is to be loaded, and where the server stood before. */
interface Note extends Standing {
  config: string;
}

function pendingReload({ metadata }: KubeObject): Note | null {
  try {
    const note = JSON.parse(metadata.annotations?.[PENDING_RELOAD] ?? '');
    if (!isJsonObject(note)) return null;
    const text = (key: keyof Note) => digText(note, key);
    return { config: text('config'), time: text('time'), refusal: text('refusal'), runs: text('runs') };
  } catch {
    return null;
  }
}
