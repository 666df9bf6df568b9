import { describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../../src/json.ts';
import type { KubeObject } from '../../../src/kube/object.ts';
import {
  configLoads,
  rolloutProgress,
  touchPods,
  waitForReload,
  waitForRollout,
} from '../../../src/reconcile/servers/rollout.ts';
import { problemOf } from '../../fakes/problem.ts';
import { contextWith, LABELS } from '../context.ts';

const WHOLE = {
  observedGeneration: 2,
  replicas: 3,
  readyReplicas: 3,
  availableReplicas: 3,
  updatedReplicas: 3,
  currentRevision: 'new',
  updateRevision: 'new',
};

function statefulSet(status: JsonObject | undefined): KubeObject {
  const metadata = { name: 'nats-a', namespace: 'demo', generation: 2 };
  return { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata, spec: { replicas: 3 }, ...(status && { status }) };
}

function pod(name: string, revision: string, status: JsonObject = {}): KubeObject {
  const labels = { ...LABELS, 'controller-revision-hash': revision };
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'demo', labels }, status };
}

function crashed(restartCount: number, state: JsonObject): JsonObject {
  const lastState = { terminated: { exitCode: 1 } };
  return { containerStatuses: [{ name: 'nats', ready: false, restartCount, state, lastState }] };
}

describe('a roll-out', () => {
  test.each<[string, JsonObject | undefined, string | null]>([
    ['is done', WHOLE, null],
    ['has not begun', undefined, 'the StatefulSet controller has not seen the change yet'],
    [
      'is of an earlier generation',
      { ...WHOLE, observedGeneration: 1 },
      'the StatefulSet controller has not seen the change yet',
    ],
    [
      'replaces pods',
      { ...WHOLE, currentRevision: 'old', updatedReplicas: 1, readyReplicas: 2 },
      '1 of 3 pods updated, 2 Ready',
    ],
    ['waits for pods', { ...WHOLE, readyReplicas: 1 }, '1 of 3 pods Ready'],
    ['counts none', { observedGeneration: 2, updateRevision: 'new', currentRevision: 'new' }, '0 of 3 pods Ready'],
    ['waits for availability', { ...WHOLE, availableReplicas: 2 }, '2 of 3 pods available'],
    [
      'is not closed',
      { ...WHOLE, currentRevision: 'old' },
      'the StatefulSet controller has not finished the update yet',
    ],
  ])('that %s', (_, status, missing) => {
    expect(rolloutProgress(statefulSet(status))).toEqual(missing === null ? { done: true } : { done: false, missing });
  });

  test('of nothing', () => {
    expect(rolloutProgress(null)).toEqual({ done: false, missing: 'the StatefulSet does not exist' });
  });
});

describe('waiting for the pods', () => {
  function contextOf(status: JsonObject, ...pods: KubeObject[]) {
    const context = contextWith();
    context.kube.put(statefulSet(status));
    for (const object of pods) context.kube.put(object);
    return context;
  }
  const STARTING = { ...WHOLE, readyReplicas: 2 };

  test('ends when they are Ready', async () => {
    await expect(waitForRollout(contextOf(WHOLE))).resolves.toBeUndefined();
  });

  test("restarts a server that JetStream's leader leaves out, which never becomes Ready", async () => {
    const context = contextOf(STARTING, pod('nats-a-0', 'new'), pod('nats-a-1', 'new'), pod('nats-a-2', 'new'));
    for (const name of ['nats-a-0', 'nats-a-1', 'nats-a-2']) {
      const replicas = [{ name: 'nats-a-2', current: true }];
      context.kube.podAnswers.set(`${name}/jsz`, { meta_cluster: { leader: 'nats-a-0', replicas } });
    }
    const started = context.clock.now();
    await problemOf(waitForRollout(context));
    expect(context.kube.all('Pod').map(({ metadata }) => metadata.name)).toEqual(['nats-a-0', 'nats-a-2']);
    expect(context.report.changes).toEqual([{ action: 'delete', object: 'Pod demo/nats-a-1', fields: [] }]);
    expect(context.clock.now() - started).toBe(60_000);
  });

  test('ends after 10 s with events and log when one of the present revision cannot come up', async () => {
    const context = contextOf(
      STARTING,
      pod('nats-a-0', 'new', crashed(3, { waiting: { reason: 'CrashLoopBackOff' } })),
    );
    context.kube.podLogs.set('nats-a-0/nats/previous', 'starting\nnats.conf:3: unknown field\n');
    context.kube.put({
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: 'e', namespace: 'demo' },
      involvedObject: {
        uid: context.kube.all('Pod').find(({ metadata }) => metadata.name === 'nats-a-0')?.metadata.uid,
      },
      type: 'Warning',
      reason: 'BackOff',
      message: 'restarting failed container',
    });
    const started = context.clock.now();
    const { details } = await problemOf(waitForRollout(context));
    expect(context.clock.now() - started).toBe(10_000);
    expect(details).toMatchObject({
      kind: 'unhealthy',
      tried: 'Starting pod demo/nats-a-0, container nats',
      reason: 'exited with code 1, 3 restarts.',
    });
    expect(context.log.lines).toEqual([
      'info     0 s  2 of 3 pods Ready; nats-a-0: exited with code 1, 3 restarts',
      'info   event  BackOff: restarting failed container',
      'info   nats  starting',
      'info   nats  nats.conf:3: unknown field',
    ]);
  });

  test.each([
    ['of an earlier revision, which is to be replaced', pod('nats-a-0', 'old', crashed(9, { waiting: {} }))],
    ['that runs, whatever happened to it in the past', pod('nats-a-0', 'new', crashed(9, { running: {} }))],
    ['that no node has room for yet', pod('nats-a-0', 'new', unscheduled('0/3 nodes are available.'))],
  ])('goes on for one %s', async (_, waiting) => {
    const { details } = await problemOf(waitForRollout(contextOf(STARTING, waiting)));
    expect(details.kind).toBe('timeout');
    expect(details.reason).not.toContain('..');
  });

  test('tells how to look at them where none tells a trouble', async () => {
    const { details } = await problemOf(waitForRollout(contextOf(STARTING)));
    expect(details.next).toContain(
      'kubectl -n demo describe pods -l app.kubernetes.io/name=nats,app.kubernetes.io/instance=nats-a',
    );
  });

  test('is patient with a trouble that passes', async () => {
    const context = contextOf(STARTING, pod('nats-a-0', 'new', { containerStatuses: [waitingFor('ErrImagePull')] }));
    const sleep = context.clock.sleep;
    context.clock.sleep = async (milliseconds) => {
      if (context.clock.slept.length === 12) context.kube.put(statefulSet(WHOLE));
      await sleep(milliseconds);
    };
    await expect(waitForRollout(context)).resolves.toBeUndefined();
  });
});

function unscheduled(message: string): JsonObject {
  return { conditions: [{ type: 'PodScheduled', status: 'False', message }] };
}

function waitingFor(reason: string): JsonObject {
  return { name: 'nats', ready: false, restartCount: 0, state: { waiting: { reason, message: 'm' } } };
}

describe('a reload', () => {
  /** Servers that loaded their configuration at these times. */
  function contextOf(times: { [pod: string]: string }) {
    const context = contextWith();
    for (const [name, time] of Object.entries(times)) {
      context.kube.put(pod(name, 'new'));
      context.kube.podAnswers.set(`${name}/varz`, { config_load_time: time });
    }
    return context;
  }

  test('has come when every server tells a new time', async () => {
    const context = contextOf({ a: '1', b: '1' });
    const before = await configLoads(context);
    const sleep = context.clock.sleep;
    context.clock.sleep = async (milliseconds) => {
      context.kube.podAnswers.set(context.clock.slept.length < 3 ? 'a/varz' : 'b/varz', { config_load_time: '2' });
      await sleep(milliseconds);
    };
    await waitForReload(context, before);
    expect(context.log.lines.map((line) => line.slice(12).trim())).toEqual([
      'not reloaded yet: a, b',
      'not reloaded yet: b',
    ]);
  });

  test('is waited for while a server does not answer', async () => {
    const context = contextOf({ a: '1' });
    const before = await configLoads(context);
    context.kube.podAnswers.clear();
    const { details } = await problemOf(waitForReload(context, before));
    expect(details.reason).toBe('After 60 s: not reloaded yet: a.');
    // The pods of disruption windows are of the same instance, and have no container nats.
    expect(details.next).toContain(
      'kubectl -n demo logs -l app.kubernetes.io/name=nats,app.kubernetes.io/instance=nats-a -c nats',
    );
  });

  test('is not taken for one where a server just missed to answer before', async () => {
    const context = contextOf({ a: '1' });
    context.kube.podAnswers.clear();
    const { sleep } = context.clock;
    context.clock.sleep = async (milliseconds) => {
      context.kube.podAnswers.set('a/varz', { config_load_time: '1' });
      await sleep(milliseconds);
    };
    const before = await configLoads(context);
    expect((await problemOf(waitForReload(context, before))).details.kind).toBe('timeout');
  });

  const REFUSED = '[ERR] Failed to reload server configuration: tls: private key does not match public key';

  test('that a server refuses ends the wait after 10 s with its words', async () => {
    const context = contextOf({ a: '1', b: '1' });
    context.kube.podLogs.set('b/nats', `[1] 10:00:00 ${REFUSED}\n[1] 10:00:01 [INF] something else\n`);
    const before = await configLoads(context);
    context.kube.podAnswers.set('a/varz', { config_load_time: '2' });
    context.kube.podLogs.set('b/nats', `[1] 10:00:00 ${REFUSED}\n[1] 10:01:00 ${REFUSED}\n`);
    const started = context.clock.now();
    const { details } = await problemOf(waitForReload(context, before));
    expect(context.clock.now() - started).toBe(10_000);
    expect(details).toMatchObject({
      kind: 'unhealthy',
      reason: 'demo/b refused it and keeps the old one: tls: private key does not match public key.',
    });
  });

  test('goes on where a server refused an earlier one, or takes the next', async () => {
    const context = contextOf({ a: '1', b: '1' });
    context.kube.podLogs.set('a/nats', `[1] 10:00:00 ${REFUSED}\n`);
    const before = await configLoads(context);
    context.kube.podLogs.set('b/nats', `[1] 10:01:00 ${REFUSED}\n`);
    const sleep = context.clock.sleep;
    context.clock.sleep = async (milliseconds) => {
      if (context.clock.slept.length === 16) context.kube.podAnswers.set('b/varz', { config_load_time: '2' });
      if (context.clock.slept.length === 32) context.kube.podAnswers.set('a/varz', { config_load_time: '2' });
      await sleep(milliseconds);
    };
    await expect(waitForReload(context, before)).resolves.toBeUndefined();
  });

  test('is not waited for on a pod that was scaled away', async () => {
    const context = contextOf({ a: '1', b: '1' });
    const before = await configLoads(context);
    context.kube.take('Pod', 'b');
    context.kube.podAnswers.set('a/varz', { config_load_time: '2' });
    await expect(waitForReload(context, before)).resolves.toBeUndefined();
  });

  test('is hastened by an annotation on each pod that is still there', async () => {
    const context = contextOf({ a: '1' });
    await touchPods(context, ['a', 'gone'], 'hash');
    expect(context.kube.writes).toEqual(['patch Pod demo/a']);
    expect(context.kube.stored('Pod', 'a').metadata.annotations).toEqual({ 'kube-nats-action/files-hash': 'hash' });
  });
});
