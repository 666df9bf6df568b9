import type { FaultEffect } from '../../simulator/faults.ts';
import type { RecordedRequest } from '../../simulator/requests.ts';

/** What happens to one request, on which the server acts where it is the process that dies or is told to end. */
type Effect = FaultEffect | { effect: 'kill' } | { effect: 'cancel' };

/** By name, what a request meets, where that depends on the server as it would word it. */
export const FAULTS: { [name: string]: (request: RecordedRequest) => Effect } = {
  '429 with Retry-After': answer(429, 'TooManyRequests', { 'retry-after': '1' }),
  '500': answer(500, 'InternalError'),
  '503': answer(503, 'ServiceUnavailable'),
  '409': answer(409, 'Conflict'),
  'reset before the server acted': () => ({ effect: 'reset-before' }),
  'reset after the server acted': () => ({ effect: 'reset-after' }),
  'no answer': () => ({ effect: 'hang' }),
  'kill -9 of the process': () => ({ effect: 'kill' }),
  'cancellation of the process': () => ({ effect: 'cancel' }),
};

function answer(status: number, reason: string, headers = {}) {
  return (request: RecordedRequest): Effect => {
    const message = `simulated ${reason}`;
    const body = isToVault(request)
      ? { errors: [message] }
      : { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code: status };
    return { effect: 'answer', status, body, headers };
  };
}

function isToVault({ path }: RecordedRequest): boolean {
  return path.includes('/proxy/v1/');
}

/** Milliseconds that this action waits for an answer to the request: as long as it takes to see that none comes. */
export function patienceWith(request: RecordedRequest): number {
  if (request.path.includes('/portforward')) return 5_000;
  return isToVault(request) ? 10_000 : 12_000;
}
