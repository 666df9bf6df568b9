import { describe, expect, test } from '@jest/globals';
import { verifyServed } from '../../../src/reconcile/verify/served.ts';
import type { Change } from '../../../src/report/run-report.ts';
import { createAuthority } from '../../fakes/certificates.ts';
import { problemOf } from '../../fakes/problem.ts';
import { contextWith, LABELS } from '../context.ts';

const root = createAuthority('Root');
const old = root.issue(['old'], { from: Date.UTC(2026, 9, 1), to: Date.UTC(2026, 11, 1) });
const renewed = root.issue(['new'], { from: Date.UTC(2026, 10, 21), to: Date.UTC(2026, 11, 21) });
const MINUTE = 60_000;

/** Three servers that serve what their Secrets hold, which were changed so many minutes ago. */
function contextOf({ minutesAgo = 60, replicas = 3 as 1 | 3 } = {}) {
  const context = contextWith({ replicas });
  context.deadline = context.clock.now() + 10 * MINUTE;
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  for (const purpose of replicas > 1 ? ['server', 'cluster'] : ['server']) {
    const time = new Date(context.clock.now() - minutesAgo * MINUTE).toISOString();
    const now = new Date(context.clock.now()).toISOString();
    const managedFields = [
      { manager: 'cert-manager', time, fieldsV1: { 'f:data': { 'f:tls.crt': {} } } },
      { manager: 'replicator', time: now, fieldsV1: { 'f:metadata': { 'f:annotations': {} } } },
    ];
    context.kube.put({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: `nats-a-${purpose}-certs`, namespace: 'demo', managedFields },
      data: { 'tls.crt': base64(renewed.certificate), 'tls.key': base64(renewed.key) },
    });
  }
  for (let ordinal = 0; ordinal < replicas; ordinal++) {
    const metadata = { name: `nats-a-${ordinal}`, namespace: 'demo', labels: LABELS };
    context.kube.put({ apiVersion: 'v1', kind: 'Pod', metadata });
  }
  return context;
}

/** Has the servers load what their Secrets hold after so many waits. */
function loadAfter({ clock, kube }: ReturnType<typeof contextOf>, waits: number): void {
  const { sleep } = clock;
  clock.sleep = async (milliseconds) => {
    await sleep(milliseconds);
    if (clock.slept.length === waits) kube.served.clear();
  };
}

const CHANGE: Change = { action: 'update', object: 'Certificate demo/nats-a-server-certs', fields: [] };

describe('what the servers serve', () => {
  test.each([1, 3] as const)('is good when it is what their Secrets hold (%i)', async (replicas) => {
    const context = contextOf({ replicas });
    await expect(verifyServed(context)).resolves.toBeUndefined();
    expect([context.clock.slept, context.log.lines, context.kube.writes]).toEqual([[], [], []]);
  });

  test('is told by a run that changed nothing when a Secret is new, and neither waited for nor hastened', async () => {
    const context = contextOf({ minutesAgo: 1 });
    context.kube.served.set('nats-a-1:6222', old);
    await expect(verifyServed(context)).resolves.toBeUndefined();
    expect(context.log.lines).toEqual([
      'info nats-a-1 has not loaded the new certificate of Secret nats-a-cluster-certs yet; its kubelet brings it within two minutes',
    ]);
    expect([context.clock.slept, context.kube.writes]).toEqual([[], []]);
  });

  test('is hastened once and waited for by a run that changed something', async () => {
    const context = contextOf({ minutesAgo: 0 });
    context.report.changes.push(CHANGE);
    context.kube.served.set('nats-a-0:4222', old).set('nats-a-0:6222', old).set('nats-a-2:4222', old);
    loadAfter(context, 3);
    await expect(verifyServed(context)).resolves.toBeUndefined();
    expect(context.kube.writes).toEqual(['patch Pod demo/nats-a-0', 'patch Pod demo/nats-a-2']);
    expect(context.log.lines).toEqual([
      'info     0 s  nats-a-0 has not loaded the new certificate of Secret nats-a-server-certs yet; nats-a-0 has not loaded ' +
        'the new certificate of Secret nats-a-cluster-certs yet; nats-a-2 has not loaded the new certificate of Secret nats-a-server-certs yet',
    ]);
  });

  test('is waited for no longer than a kubelet needs', async () => {
    const context = contextOf({ minutesAgo: 0, replicas: 1 });
    context.report.changes.push(CHANGE);
    context.kube.served.set('nats-a-0:4222', old);
    const started = context.clock.now();
    expect((await problemOf(verifyServed(context))).details.kind).toBe('unhealthy');
    expect(context.clock.now() - started).toBe(2 * MINUTE + 2_000);
  });

  test('is an error when it is old though there was time, with both certificates and the last words on reloading', async () => {
    const context = contextOf({ minutesAgo: 14 });
    context.kube.served.set('nats-a-1:4222', old);
    context.kube.podLogs.set(
      'nats-a-1/nats',
      '[INF] ready\n[ERR] Failed to reload server configuration: no\n[INF] x\n',
    );
    const { details } = await problemOf(verifyServed(context));
    expect(details).toMatchObject({
      kind: 'unhealthy',
      reason: 'They have had the time to load them, and serve older ones, as they would until those expire.',
    });
    expect(details.findings).toEqual([
      'nats-a-1 serves certificate 01, valid from 2026-10-01T00:00:00Z to 2026-12-01T00:00:00Z on port 4222; Secret ' +
        'nats-a-server-certs has had certificate 01, valid from 2026-11-21T00:00:00Z to 2026-12-21T00:00:00Z for 14 min',
    ]);
    expect(details.next).toContain('The lines above are what the servers logged last about reloading');
    expect(context.log.lines).toEqual(['info   nats-a-1  [ERR] Failed to reload server configuration: no']);
    expect(context.kube.writes).toEqual([]);
  });

  test('is an error that points to the reloader where the servers have logged nothing', async () => {
    const context = contextOf({ minutesAgo: 14 });
    context.kube.served.set('nats-a-1:4222', old);
    const { details } = await problemOf(verifyServed(context));
    expect(details.next).toContain('kubectl -n demo logs nats-a-1 -c reloader');
  });

  test('is no error when the clock of this machine is a minute ahead', async () => {
    const context = contextOf({ minutesAgo: 2.9 });
    context.kube.served.set('nats-a-1:4222', old);
    await expect(verifyServed(context)).resolves.toBeUndefined();
  });

  test('is hastened first by a run that changed something, however old it is', async () => {
    const context = contextOf({ minutesAgo: 14 });
    context.report.changes.push(CHANGE);
    context.kube.served.set('nats-a-0:4222', old);
    loadAfter(context, 3);
    await expect(verifyServed(context)).resolves.toBeUndefined();
    expect(context.kube.writes).toEqual(['patch Pod demo/nats-a-0']);
  });

  test('is asked for again where a server shows nothing, by any run', async () => {
    const context = contextOf();
    context.kube.served.set('nats-a-2:4222', null);
    loadAfter(context, 2);
    await expect(verifyServed(context)).resolves.toBeUndefined();
    expect(context.log.lines).toEqual(['info     0 s  nats-a-2 shows no certificate on port 4222']);
    expect(context.kube.writes).toEqual([]);
  });

  test('is warned of where a server shows nothing for long, which keeps no other from being hastened', async () => {
    const context = contextOf({ minutesAgo: 0 });
    context.report.changes.push(CHANGE);
    context.kube.served.set('nats-a-2:4222', null).set('nats-a-0:4222', old);
    const { sleep } = context.clock;
    context.clock.sleep = async (milliseconds) => {
      await sleep(milliseconds);
      context.kube.served.delete('nats-a-0:4222');
    };
    await expect(verifyServed(context)).resolves.toBeUndefined();
    expect(context.kube.writes).toEqual(['patch Pod demo/nats-a-0']);
    expect(context.log.lines.at(-1)).toBe(
      'warning nats-a-2 shows no certificate on port 4222: a server at max_connections shows none',
    );
  });

  test('cannot be told of a Secret that somebody deleted meanwhile', async () => {
    const context = contextOf();
    context.kube.take('Secret', 'nats-a-server-certs');
    const { details } = await problemOf(verifyServed(context));
    expect(details.tried).toBe('Reading the certificate of Secret demo/nats-a-server-certs');
  });
});
