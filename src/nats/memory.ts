import type { ServerAbilities } from './versions.ts';

const MEBIBYTE = 1024 * 1024;

/** The module's: a tenth above the request. */
const LIMIT_FACTOR = 1.1;

export interface MemorySizes {
  /** MiB that a pod is scheduled with. */
  request: number;
  /** MiB above which the kernel kills the server. */
  limit: number;
  /** Bytes for streams that are kept in memory. */
  memoryStore: number;
}

/** Divides the memory of a server; `request` in MiB. The limit is a tenth above the request. */
export function memorySizes(request: number): MemorySizes {
  return {
    request,
    limit: Math.floor(request * LIMIT_FACTOR),
    memoryStore: Math.floor(request / 4) * MEBIBYTE,
  };
}

/**
 * Bytes that JetStream may fill of a data volume of `volume` bytes. A full disk stops JetStream altogether, so that a
 * part stays free for its own files: https://github.com/nats-io/nats-server/issues/2221
 */
export function fileStoreBytes(volume: number): number {
  return Math.floor(volume * 0.85);
}

/** MiB that a replicated stream takes while it is written: measured with 2.14.6, its last block and that of its Raft log. */
export const STREAM_MEMORY = 20;

/** MiB below which a server that holds no stream yet was killed. */
const BARE_LIMIT = 55;

/** MiB that carry 8 MB messages and their consumers, in every release. */
const LARGE_MESSAGES = 256;

/** The request (MiB) whose limit carries so many streams that are all written at once. */
export function memoryFor(streams: number, { minimumMemory }: ServerAbilities): number {
  const limit = BARE_LIMIT + (minimumMemory >= LARGE_MESSAGES ? STREAM_MEMORY * streams : 0);
  return Math.max(LARGE_MESSAGES, Math.ceil(limit / LIMIT_FACTOR));
}
