import { createHash } from 'node:crypto';
import { type ConfBlock, type ConfValue, isBlock } from './conf-text.ts';
import type { ServerAbilities } from './versions.ts';

/** Settings that no server takes over while it runs: it refuses the whole reload when one of them changed. */
const RESTART_ONLY = [
  'server_name',
  'port',
  'http_port',
  'lame_duck_grace_period',
  'lame_duck_duration',
  'system_account',
  'jetstream.store_dir',
  'jetstream.max_outstanding_catchup',
  'jetstream.sync_interval',
  'cluster.port',
];

/** Settings that some releases raise by a reload; none lowers them. */
const STORAGE_LIMITS = ['jetstream.max_memory_store', 'jetstream.max_file_store'];

/**
 * A short hash of the settings that need a restart: as an annotation of the pods it rolls them when one changes, and
 * only then. Everything else reaches the running servers through the reloader.
 */
export function restartHash(conf: ConfBlock, abilities: ServerAbilities): string {
  const paths = abilities.storageLimitsReload ? RESTART_ONLY : [...RESTART_ONLY, ...STORAGE_LIMITS];
  return shortHash(JSON.stringify(paths.map((path) => [path, settingAt(conf, path) ?? null])));
}

/** Bytes that JetStream may keep on each server. */
export interface StorageLimits {
  memoryStoreBytes: number;
  fileStoreBytes: number;
}

/** The limits that a nats.conf of this action sets. */
export function storageLimits(conf: string): StorageLimits {
  const bytes = (setting: string) => Number(new RegExp(`^ *${setting}: (\\d+)$`, 'm').exec(conf)?.[1] ?? 0);
  return { memoryStoreBytes: bytes('max_memory_store'), fileStoreBytes: bytes('max_file_store') };
}

/** The servers of a live StatefulSet, as far as restarting them is concerned: their largest limits, 0 when none answers. */
export interface RunningServers extends StorageLimits {
  /** What restartMark gave last, as the pod template has it. Only servers that were started by it count. */
  mark: string;
}

/**
 * The annotation of the pods that rolls them when it changes: the restart hash, followed by a mark of its own when
 * servers must be restarted though no setting says so. No release lowers JetStream's limits by a reload, and it refuses
 * the rest of the configuration with them. A limit sinks with a volume that was made anew smaller than it was, and with
 * memory that servers heard of by a reload before their restart for it was called off.
 */
export function restartMark(hash: string, running: RunningServers | null, limits: StorageLimits): string {
  if (running === null || !running.mark.startsWith(hash)) return hash;
  const { memoryStoreBytes, fileStoreBytes } = limits;
  if (running.fileStoreBytes <= fileStoreBytes && running.memoryStoreBytes <= memoryStoreBytes) return running.mark;
  return `${hash}-${shortHash(`${running.mark} ${fileStoreBytes} ${memoryStoreBytes}`)}`;
}

/** A short hash of a whole nats.conf: written on the pods, it makes the kubelet bring them the new file at once. */
export function configHash(conf: string): string {
  return shortHash(conf);
}

function settingAt(conf: ConfBlock, path: string): ConfValue | undefined {
  const [key = '', ...rest] = path.split('.');
  const value = conf[key];
  if (rest.length === 0 || value === undefined) return value;
  return isBlock(value) ? settingAt(value, rest.join('.')) : undefined;
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
