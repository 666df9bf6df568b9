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
