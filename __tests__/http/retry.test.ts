import { describe, expect, test } from '@jest/globals';
import { withRetry } from '../../src/http/retry.ts';
import type { HttpRequest, HttpResponse } from '../../src/http/transport.ts';
import { Problem } from '../../src/problem.ts';
import { fakeClock } from '../fakes/clock.ts';

const READ: HttpRequest = { method: 'GET', path: '/' };
const WRITE: HttpRequest = { method: 'POST', path: '/', body: {} };

function status(code: number, headers: { [name: string]: string } = {}): HttpResponse {
  return { status: code, headers, body: '' };
}

function broken(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** A transport that gives these outcomes one after the other, the last for ever. */
function withOutcomes(...outcomes: (HttpResponse | Error)[]) {
  const clock = fakeClock();
  let sent = 0;
  const transport = withRetry(
    {
      async send() {
        const outcome = outcomes[Math.min(sent++, outcomes.length - 1)];
        if (outcome === undefined || outcome instanceof Error) throw outcome;
        return outcome;
      },
    },
    clock,
  );
  return { transport, clock, sent: () => sent };
}

describe('what is sent again', () => {
  test.each([
    ['500 to a read', READ, status(500)],
    ['503 to a read', READ, status(503)],
    ['503 to a write that may be repeated', { ...WRITE, idempotent: true }, status(503)],
    ['429 to any write', WRITE, status(429)],
    ['a reset connection of a read', READ, broken('ECONNRESET')],
    ['a refused connection of a read', READ, broken('ECONNREFUSED')],
    ['a name server that does not answer', READ, broken('EAI_AGAIN')],
  ])('%s', async (_, request, outcome) => {
    const { transport, sent } = withOutcomes(outcome, status(200));
    await expect(transport.send(request)).resolves.toMatchObject({ status: 200 });
    expect(sent()).toBe(2);
  });

  test.each([
    ['503 to a write', WRITE, status(503)],
    ['503 to a read that must not be repeated', { ...READ, idempotent: false }, status(503)],
    ['501, which stays so', READ, status(501)],
    ['404', READ, status(404)],
    ['409', { ...WRITE, idempotent: true }, status(409)],
  ])('is not %s', async (_, request, outcome) => {
    const { transport, sent } = withOutcomes(outcome);
    await expect(transport.send(request)).resolves.toBe(outcome);
    expect(sent()).toBe(1);
  });

  test.each([
    ['a reset connection of a write', WRITE, broken('ECONNRESET')],
    ['a name that does not exist', READ, broken('ENOTFOUND')],
    ['a certificate that is not trusted', READ, broken('DEPTH_ZERO_SELF_SIGNED_CERT')],
    ['a TLS alert', READ, broken('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED')],
    ['a Problem', READ, new Problem({ kind: 'connection', tried: 'a', reason: 'b.', next: 'c.' })],
  ])('is not %s, which is thrown on', async (_, request, error) => {
    const { transport, sent } = withOutcomes(error);
    await expect(transport.send(request)).rejects.toBe(error);
    expect(sent()).toBe(1);
  });
});

describe('the delays', () => {
  test('grow, within a budget of 15 s after which the last outcome counts', async () => {
    const { transport, clock } = withOutcomes(status(503));
    const started = clock.now();
    await expect(transport.send(READ)).resolves.toMatchObject({ status: 503 });
    expect(clock.now() - started).toBeLessThanOrEqual(15_000);
    expect(clock.slept.length).toBeGreaterThanOrEqual(5);
    clock.slept.forEach((delay, index) => {
      expect(delay).toBeGreaterThanOrEqual(Math.min(100 * 2 ** index, 5_000));
      expect(delay).toBeLessThanOrEqual(Math.min(300 * 2 ** index, 5_000));
    });
  });

  test('end with the error when no answer ever came', async () => {
    const { transport } = withOutcomes(broken('ECONNREFUSED'));
    await expect(transport.send(READ)).rejects.toThrow('ECONNREFUSED');
  });

  test('are as long as the server asks for', async () => {
    const { transport, clock } = withOutcomes(status(429, { 'retry-after': '7' }), status(200));
    await transport.send(WRITE);
    expect(clock.slept).toEqual([7_000]);
  });

  test('are not waited for when the server asks for more than the budget', async () => {
    const { transport, clock } = withOutcomes(status(429, { 'retry-after': '60' }));
    await expect(transport.send(READ)).resolves.toMatchObject({ status: 429 });
    expect(clock.slept).toEqual([]);
  });

  test.each(['0', '', '-3', 'Sun, 22 Nov 2026 00:00:10 GMT'])(
    'are never zero, whatever stands in Retry-After (%j)',
    async (value) => {
      const { transport, clock } = withOutcomes(status(429, { 'retry-after': value }), status(200));
      await transport.send(READ);
      expect(clock.slept).toHaveLength(1);
      expect(clock.slept[0]).toBeGreaterThanOrEqual(100);
    },
  );

  test('end at once when the run is cancelled', async () => {
    const cancelled = new Error('cancelled');
    const clock = fakeClock();
    const transport = withRetry(
      { send: async () => status(503) },
      { ...clock, sleep: () => Promise.reject(cancelled) },
    );
    await expect(transport.send(READ)).rejects.toBe(cancelled);
  });
});
