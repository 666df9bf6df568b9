import { describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../../src/json.ts';
import type { KubeObject } from '../../../src/kube/object.ts';
import { watchForTroubles } from '../../../src/reconcile/diagnosis/trouble-watch.ts';
import { problemOf } from '../../fakes/problem.ts';
import { contextWith } from '../context.ts';

const STATEFUL_SET: KubeObject = {
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: { name: 'nats-a', namespace: 'demo', uid: 'uid-set' },
  spec: { replicas: 1 },
  status: { updateRevision: 'new' },
};

function pod(status: JsonObject, revision = 'new'): KubeObject {
  const labels = { 'controller-revision-hash': revision };
  const volumes = [{ name: 'data', persistentVolumeClaim: { claimName: 'data-nats-a-0' } }, { name: 'run' }];
  const metadata = { name: 'nats-a-0', namespace: 'demo', uid: 'uid-0', labels };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { volumes }, status };
}

const UNSCHEDULED = pod({
  conditions: [{ type: 'PodScheduled', status: 'False', message: '0/3 nodes are available.' }],
});

function outOfMemory(state: JsonObject): KubeObject {
  const lastState = { terminated: { reason: 'OOMKilled', exitCode: 137 } };
  return pod({ containerStatuses: [{ name: 'nats', ready: false, restartCount: 3, state, lastState }] });
}

/** A run whose cluster holds one node that is Ready, and the objects. */
function world(...objects: KubeObject[]) {
  const context = contextWith();
  const ready = { conditions: [{ type: 'Ready', status: 'True' }] };
  context.kube.put({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-a' }, status: ready });
  for (const object of objects) context.kube.put(object);
  return context;
}

function event(uid: string, type: string, reason: string, message: string, lastTimestamp = ''): KubeObject {
  const metadata = { name: `${uid}.${reason}.${lastTimestamp}`, namespace: 'demo' };
  return { apiVersion: 'v1', kind: 'Event', metadata, involvedObject: { uid }, type, reason, message, lastTimestamp };
}

/** Looks every five seconds, until it ends the wait or the minutes are over; tells after how many seconds. */
async function watch(context: ReturnType<typeof world>, pods: KubeObject[], minutes = 5) {
  const look = watchForTroubles(context);
  const started = context.clock.now();
  const looking = async () => {
    while (context.clock.now() - started < minutes * 60_000) {
      await look(STATEFUL_SET, pods);
      await context.clock.sleep(5_000);
    }
  };
  const problem = await looking().then(
    () => null,
    (error: Error) => problemOf(Promise.reject(error)),
  );
  return { problem, seconds: (context.clock.now() - started) / 1000 };
}

describe('a pod that no node takes', () => {
  test('is warned of after half a minute and given up after two', async () => {
    const context = world(event('uid-0', 'Warning', 'FailedScheduling', 'no room'));
    const { problem, seconds } = await watch(context, [UNSCHEDULED]);
    expect(seconds).toBe(120);
    expect(problem?.message).toMatch(
      /^Starting pod demo\/nats-a-0: not scheduled: 0\/3 nodes are available\. Add nodes/,
    );
    expect(context.log.lines).toEqual([
      expect.stringMatching(/^warning nats-a-0 cannot start yet: not scheduled: .* Add nodes that fit/),
      'info   event  FailedScheduling: no room',
    ]);
  });

  test.each<[string, KubeObject]>([
    [
      'is closed to new pods',
      { apiVersion: 'v1', kind: 'Node', metadata: { name: 'b' }, spec: { unschedulable: true } },
    ],
    [
      'does not answer',
      {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name: 'b' },
        status: { conditions: [{ type: 'Ready', status: 'Unknown' }] },
      },
    ],
    ['is being added by cluster-autoscaler', event('uid-0', 'Normal', 'TriggeredScaleUp', 'pod triggered scale-up')],
    ['is being added by Karpenter', event('uid-0', 'Normal', 'Nominated', 'Pod should schedule on: nodeclaim/a')],
  ])('is waited for as long as a node %s', async (_, object) => {
    expect((await watch(world(object), [UNSCHEDULED])).problem).toBeNull();
  });

  test('tells why its claim has no volume, by the latest event', async () => {
    const claim = {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data-nats-a-0', namespace: 'demo' },
    };
    const context = world({ ...claim, status: { phase: 'Pending' } });
    const uid = String(context.kube.stored('PersistentVolumeClaim', 'data-nats-a-0').metadata.uid);
    context.kube.put(event(uid, 'Warning', 'ProvisioningFailed', 'no room left.', '2026-11-22T00:00:02Z'));
    context.kube.put(event(uid, 'Warning', 'ProvisioningFailed', 'try again', '2026-11-22T00:00:01Z'));
    const { problem } = await watch(context, [UNSCHEDULED]);
    expect(problem?.details.reason).toBe('not scheduled: 0/3 nodes are available; claim data-nats-a-0: no room left.');
    expect(problem?.details.next).toMatch(/^See that the StorageClass exists/);
  });
});

describe('a pod that may not be made', () => {
  const QUOTA = 'create Pod nats-a-0 in StatefulSet nats-a failed error: exceeded quota: small';

  test('ends the wait after 20 s in the words of who refused it', async () => {
    const { problem, seconds } = await watch(world(event('uid-set', 'Warning', 'FailedCreate', QUOTA)), []);
    expect(seconds).toBe(20);
    expect(problem?.message).toMatch(
      /^Making the pods of StatefulSet demo\/nats-a: .*exceeded quota: small\. A rule of the cluster/,
    );
  });

  test('is none once it is there', async () => {
    const context = world(event('uid-set', 'Warning', 'FailedCreate', QUOTA));
    expect((await watch(context, [pod({})])).problem).toBeNull();
  });
});

describe('a server that is killed at its memory limit', () => {
  const down = outOfMemory({ waiting: { reason: 'CrashLoopBackOff' } });

  test('is told with the memory that its streams take', async () => {
    const context = world({ ...down, metadata: { ...down.metadata, labels: SELECTED } });
    context.kube.podAnswers.set('nats-a-0/jsz', { streams: 20 });
    context.inputs.nats_version = '2.14.6';
    const { problem, seconds } = await watch(context, [down]);
    expect(seconds).toBe(10);
    expect(problem?.details.reason).toBe('out of memory, 3 restarts.');
    expect(problem?.details.next).toMatch(
      /^Set the input minimum_memory_mb to 414 or more: it is 256, a server holds 20 streams,/,
    );
  });

  test('is told to get twice as much where no server tells of streams', async () => {
    const { problem } = await watch(world(), [down]);
    expect(problem?.details.next).toMatch(/^Set the input minimum_memory_mb to 256 or more: it is 50, no server tells/);
  });
});

const SELECTED = {
  'app.kubernetes.io/name': 'nats',
  'app.kubernetes.io/instance': 'nats-a',
  'controller-revision-hash': 'new',
};

test('a trouble of an older revision is none, as its pod is replaced', async () => {
  const older = pod({ containerStatuses: [{ name: 'nats', state: { waiting: { reason: 'ErrImagePull' } } }] }, 'old');
  expect((await watch(world(), [older])).problem).toBeNull();
});

test('a trouble that comes and goes is given its time anew', async () => {
  const context = world();
  const look = watchForTroubles(context);
  for (let turn = 0; turn < 10; turn++) {
    await look(STATEFUL_SET, [UNSCHEDULED]);
    await context.clock.sleep(100_000);
    await look(STATEFUL_SET, [pod({})]);
  }
  expect(context.log.lines).toEqual([]);
});
