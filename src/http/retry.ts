import type { Clock } from '../clock.ts';
import { Problem } from '../problem.ts';
import { PATIENCE, type ServerPatience } from './patience.ts';
import type { HttpRequest, HttpResponse, Transport } from './transport.ts';

/** Milliseconds. */
const FIRST_DELAY = 200;
const LONGEST_DELAY = 5_000;

/**
 * Sends again what is safe to send again, with growing, jittered delays, as long as `patience` lasts: after 429 always (the
 * server refused before it acted), after a broken connection or another 5xx than 501 only what is idempotent.
 */
export function withRetry(
  transport: Transport,
  clock: Clock,
  patience: ServerPatience = PATIENCE.kubernetes,
): Transport {
  return {
    async send(request) {
      const idempotent = request.idempotent ?? request.method === 'GET';
      const deadline = clock.now() + patience.retries;
      for (let attempt = 1; ; attempt++) {
        const outcome = await attemptOnce(transport, { timeout: patience.request, ...request });
        const delay = delayBefore(attempt, outcome);
        if (!worthRepeating(outcome, idempotent) || clock.now() + delay > deadline) {
          if (outcome instanceof Error) throw outcome;
          return outcome;
        }
        await clock.sleep(delay);
      }
    },
  };
}

async function attemptOnce(transport: Transport, request: HttpRequest): Promise<HttpResponse | Error> {
  try {
    return await transport.send(request);
  } catch (error) {
    if (error instanceof Error && !(error instanceof Problem)) return error;
    throw error;
  }
}

function worthRepeating(outcome: HttpResponse | Error, idempotent: boolean): boolean {
  if (outcome instanceof Error) return idempotent && isTransient(outcome);
  if (outcome.status === 429) return true;
  return idempotent && outcome.status >= 500 && outcome.status !== 501;
}

/** Whether a connection may work the next time: a name that does not resolve and a refused certificate will not. */
export function isTransient(error: Error): boolean {
  const code = 'code' in error ? String(error.code) : '';
  return !/^(ENOTFOUND|EPROTO|ERR_|CERT_|DEPTH_|SELF_|UNABLE_|HOSTNAME_)/.test(code);
}

/** The server's Retry-After (seconds) where it asks for more than the own delay. */
function delayBefore(attempt: number, outcome: HttpResponse | Error): number {
  const own = Math.min(FIRST_DELAY * 2 ** (attempt - 1) * (0.5 + Math.random()), LONGEST_DELAY);
  const asked = outcome instanceof Error ? 0 : Number(outcome.headers['retry-after'] ?? 0) * 1000;
  return Number.isNaN(asked) ? own : Math.max(asked, own);
}
