import { describe, expect, test } from '@jest/globals';
import type { Json, JsonObject } from '../../../src/json.ts';
import { retryRefused, waitForCertificates } from '../../../src/reconcile/write/certificates.ts';
import { problemOf } from '../../fakes/problem.ts';
import { contextWith, LABELS } from '../context.ts';

type Condition = { type: string; status: string; reason?: string; message?: string; observedGeneration?: number };

const READY: Condition = { type: 'Ready', status: 'True', observedGeneration: 1 };
const REFUSED: Condition = {
  type: 'Issuing',
  status: 'False',
  reason: 'Failed',
  message: 'The certificate request has failed to complete:\nVault: role "x" unknown\n\n',
};

/** A run and the Certificates of its cluster with these conditions; null: no status yet. */
function contextOf(certificates: { [name: string]: Condition[] | null }, issuer: Condition[] = []) {
  const context = contextWith();
  const put = (kind: string, name: string, conditions: Json) =>
    context.kube.put({
      apiVersion: 'cert-manager.io/v1',
      kind,
      metadata: { name, namespace: 'demo', labels: LABELS },
      spec: {},
      ...(conditions === null ? {} : { status: { conditions } }),
    });
  for (const [name, conditions] of Object.entries(certificates)) put('Certificate', name, conditions);
  put('Issuer', 'nats-admin-nats-a', issuer);
  put('Certificate', 'unrelated', null);
  context.kube.put({
    ...context.kube.stored('Certificate', 'unrelated'),
    metadata: { name: 'unrelated', namespace: 'demo' },
  });
  return { ...context, put };
}

describe('waiting for certificates', () => {
  test('ends when all of this cluster are issued for their present spec', async () => {
    await expect(waitForCertificates(contextOf({ a: [READY], b: [READY] }))).resolves.toBeUndefined();
  });

  test.each<[string, Condition[] | null]>([
    ['without a status', null],
    ['without conditions', []],
    ['that is not Ready', [{ ...READY, status: 'False' }]],
    ['that was Ready for an earlier spec', [{ ...READY, observedGeneration: 0 }]],
  ])('goes on for one %s', async (_, conditions) => {
    const context = contextOf({ a: [READY], b: conditions }, [READY]);
    const { details } = await problemOf(waitForCertificates(context));
    expect(details).toMatchObject({ kind: 'timeout', reason: 'After 60 s: not issued yet: b.' });
    expect(details.next).toContain(
      'kubectl -n demo describe issuers,certificates -l app.kubernetes.io/name=nats,app.kubernetes.io/instance=nats-a',
    );
  });

  test('ends when Vault is sealed meanwhile', async () => {
    const context = contextOf({ a: [{ ...READY, status: 'False' }] });
    context.vault.sealed = true;
    const started = context.clock.now();
    const { details } = await problemOf(waitForCertificates(context));
    expect(details).toMatchObject({ kind: 'vault', reason: expect.stringContaining('sealed') });
    expect(context.clock.now() - started).toBe(10_000);
  });

  test.each<[Condition[], string]>([
    [[], 'not looked at by cert-manager yet'],
    [[{ type: 'Ready', status: 'False', message: 'Vault: permission denied' }], 'Vault: permission denied'],
  ])('tells what an Issuer complains about (%j)', async (conditions, words) => {
    const context = contextOf({ a: null }, conditions);
    await problemOf(waitForCertificates(context));
    expect(context.log.lines[0]).toBe(`info     0 s  not issued yet: a (Issuer nats-admin-nats-a: ${words})`);
  });

  test("ends at once with cert-manager's words when a request was refused", async () => {
    const context = contextOf({ a: [READY], b: [{ ...READY, status: 'False' }, REFUSED] });
    const { details } = await problemOf(waitForCertificates(context));
    expect(details).toMatchObject({
      kind: 'vault',
      tried: 'Issuing Certificate demo/b',
      reason: 'The certificate request has failed to complete: Vault: role "x" unknown.',
    });
    expect(context.clock.slept).toEqual([]);
  });

  test('ends in the same way when a renewal was refused, while the old certificate is still good', async () => {
    const { details } = await problemOf(waitForCertificates(contextOf({ a: [READY, REFUSED] })));
    expect(details).toMatchObject({ kind: 'vault', tried: 'Issuing Certificate demo/a' });
  });

  test('goes on for one that is just renewed', async () => {
    const issuing: Condition = { type: 'Issuing', status: 'True', reason: 'ManuallyTriggered' };
    const { details } = await problemOf(waitForCertificates(contextOf({ a: [READY, issuing] }, [READY])));
    expect(details).toMatchObject({ kind: 'timeout', reason: 'After 60 s: not issued yet: a.' });
  });
});

describe('a new try', () => {
  test('is asked for where the last request was refused, as cmctl renew does', async () => {
    const notReady = { ...READY, status: 'False' };
    const context = contextOf({ a: [READY], b: [notReady, REFUSED], c: [notReady], d: [READY, REFUSED] });
    await retryRefused(context);
    expect(context.kube.writes).toEqual(['patch Certificate demo/b', 'patch Certificate demo/d']);
    const status = context.kube.stored('Certificate', 'b').status as JsonObject;
    expect(status.conditions).toEqual([
      notReady,
      {
        type: 'Issuing',
        status: 'True',
        reason: 'ManuallyTriggered',
        message: 'The last request was refused; kube-nats-action asks again',
        lastTransitionTime: '2026-11-22T00:00:00Z',
        observedGeneration: 1,
      },
    ]);
    expect(context.log.lines).toEqual([
      'info Asked cert-manager to request Certificate b again',
      'info Asked cert-manager to request Certificate d again',
    ]);
  });
});
