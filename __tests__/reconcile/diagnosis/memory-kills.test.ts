import { expect, test } from '@jest/globals';
import { warnOfMemoryKills } from '../../../src/reconcile/diagnosis/memory-kills.ts';
import { contextWith, LABELS } from '../context.ts';

function contextOf(reason: string) {
  const context = contextWith();
  const lastState = { terminated: { reason, exitCode: 137, finishedAt: '2026-11-22T01:02:03Z' } };
  const containers = [
    { name: 'reloader', ready: true, restartCount: 0, state: { running: {} }, lastState: {} },
    { name: 'nats', ready: true, restartCount: 1, state: { running: {} }, lastState },
  ];
  const metadata = { name: 'nats-a-1', namespace: 'demo', labels: LABELS };
  context.kube.put({ apiVersion: 'v1', kind: 'Pod', metadata, status: { containerStatuses: containers } });
  return context;
}

test('a server that runs again after it was killed for its memory is warned of', async () => {
  const context = contextOf('OOMKilled');
  await warnOfMemoryKills(context);
  expect(context.log.lines).toEqual([
    expect.stringMatching(
      /^warning Killed at the memory limit: nats-a-1 at 2026-11-22T01:02:03Z\. Set the input minimum_memory_mb to 256/,
    ),
  ]);
});

test('one that ended otherwise is not', async () => {
  const context = contextOf('Completed');
  await warnOfMemoryKills(context);
  expect(context.log.lines).toEqual([]);
});
