import type { Transport } from './transport.ts';
import type { WebSockets } from './web-socket.ts';

/** Milliseconds that a request in flight has to be answered once the run is cancelled: a write is better known than cut. */
const GRACE = 2_000;

/**
 * What sends nothing more once the run is cancelled, and ends what is in flight a moment later. Both reject with the
 * signal's reason.
 */
export function cancellable<T extends Transport & WebSockets>(
  server: T,
  cancelled: AbortSignal,
): Transport & WebSockets {
  const graceOver = new AbortController();
  const ended = new Promise<never>((_, reject) =>
    graceOver.signal.addEventListener('abort', () => reject(cancelled.reason)),
  );
  ended.catch(() => {});
  cancelled.addEventListener('abort', () => setTimeout(() => graceOver.abort(), GRACE).unref(), { once: true });
  return {
    async send(request) {
      cancelled.throwIfAborted();
      return Promise.race([server.send({ ...request, signal: graceOver.signal }), ended]);
    },
    async open(path, protocol, timeout) {
      cancelled.throwIfAborted();
      return Promise.race([server.open(path, protocol, timeout), ended]);
    },
  };
}
