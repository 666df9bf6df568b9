import { describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../../src/json.ts';
import { verifyServers } from '../../../src/reconcile/verify/verify.ts';
import { problemOf } from '../../fakes/problem.ts';
import { contextWith, LABELS } from '../context.ts';

describe('the servers', () => {
  function contextOf(replicas: 1 | 3) {
    const context = contextWith({ replicas });
    const names = Array.from({ length: replicas }, (_, ordinal) => `nats-a-${ordinal}`);
    for (const name of names) {
      context.kube.put({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'demo', labels: LABELS } });
      const peers = names.filter((other) => other !== name);
      context.kube.podAnswers.set(`${name}/routez`, { routes: peers.map((peer) => ({ remote_id: peer })) });
      const meta_cluster: JsonObject = {
        leader: 'nats-a-1',
        replicas: peers.map((peer) => ({ name: peer, current: true })),
      };
      context.kube.podAnswers.set(`${name}/jsz`, { config: {}, ...(replicas > 1 && { meta_cluster }) });
    }
    return context;
  }

  test('that are whole tell their meta leader', async () => {
    await expect(verifyServers(contextOf(3))).resolves.toBe('nats-a-1');
    await expect(verifyServers(contextOf(1))).resolves.toBe('');
  });

  test('that are gone and still counted are told, as they cost the others their majority', async () => {
    const context = contextOf(3);
    const replicas = ['nats-a-0', 'nats-a-2', 'nats-a-4', 'nats-a-3'].map((name) => ({ name, current: true }));
    context.kube.podAnswers.set('nats-a-1/jsz', { config: {}, meta_cluster: { leader: 'nats-a-1', replicas } });
    await verifyServers(context);
    expect(context.log.lines.at(-1)).toMatch(/^warning JetStream still counts nats-a-3, nats-a-4 for its majority/);
  });

  test('are waited for, and named when they do not answer in time', async () => {
    const context = contextOf(3);
    context.kube.podAnswers.delete('nats-a-2/jsz');
    const { details } = await problemOf(verifyServers(context));
    expect(details).toMatchObject({ kind: 'timeout', reason: 'After 60 s: no answer from nats-a-2.' });
    // The pods of disruption windows are of the same instance, and have no container nats.
    expect(details.next).toContain(
      'kubectl -n demo logs -l app.kubernetes.io/name=nats,app.kubernetes.io/instance=nats-a -c nats',
    );
  });
});
