const MEBIBYTE = 1024 * 1024;

export interface MemorySizes {
  /** MiB that a pod is scheduled with. */
  request: number;
  /** MiB above which the kernel kills the server. */
  limit: number;
  /** Bytes for streams that are kept in memory. */
  memoryStore: number;
}

/** Divides the memory of a server; `request` in MiB. The limit is the module's: a tenth above the request. */
export function memorySizes(request: number): MemorySizes {
  return {
    request,
    limit: Math.floor(request * 1.1),
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
