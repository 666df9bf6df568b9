import { describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../../src/json.ts';
import type { KubeObject } from '../../../src/kube/object.ts';
import { heldBack, restartOneByOne, withoutPartition } from '../../../src/reconcile/servers/rolling-restart.ts';
import { problemOf } from '../../fakes/problem.ts';
import { contextWith, LABELS } from '../context.ts';

const NAMES = ['nats-a-0', 'nats-a-1', 'nats-a-2'];
const READY = { conditions: [{ type: 'Ready', status: 'True' }] };
const STARTING = { conditions: [{ type: 'Ready', status: 'False' }] };
const RUNNING = { name: 'nats', state: { running: {} } };
const CRASHED = { name: 'nats', state: { waiting: { reason: 'CrashLoopBackOff' } }, restartCount: 1 };
const CATCHING_UP = { status: 'unavailable', error: "JetStream stream 'DEFAULT > EVENTS' is not current" };

function statefulSet(): KubeObject {
  const metadata = { name: 'nats-a', namespace: 'demo', generation: 2 };
  const status = { observedGeneration: 2, currentRevision: 'old', updateRevision: 'new' };
  return { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata, spec: { replicas: 3 }, status };
}

function pod(name: string, revision: string, { server = RUNNING, ...status }: JsonObject = READY): KubeObject {
  const labels = { ...LABELS, 'controller-revision-hash': revision };
  const containerStatuses = [server];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'demo', labels },
    status: { ...status, containerStatuses },
  };
}

/** A cluster whose StatefulSet is held back with these pods: the controller makes a missing one anew at the next look. */
function clusterOf(...pods: KubeObject[]) {
  const context = contextWith();
  const { kube, clock } = context;
  kube.put(statefulSet());
  for (const each of pods) kube.put(each);
  for (const server of NAMES) {
    const peers = NAMES.filter((name) => name !== server);
    const replicas = peers.map((name) => ({ name, current: true }));
    kube.podAnswers.set(`${server}/jsz`, {
      config: {},
      meta_cluster: { leader: 'nats-a-1', replicas, cluster_size: 3 },
    });
    kube.podAnswers.set(`${server}/routez`, { routes: peers.map((remote_name) => ({ remote_name })) });
    kube.podAnswers.set(`${server}/healthz`, { status: 'ok' });
  }
  /** What the deleted come back as. */
  const world = { ...context, comesBack: (name: string): void => void kube.put(pod(name, 'new')) };
  const { sleep } = clock;
  clock.sleep = async (milliseconds) => {
    await sleep(milliseconds);
    const left = kube.all('Pod').map(({ metadata }) => metadata.name);
    for (const name of NAMES.filter((each) => !left.includes(each))) world.comesBack(name);
  };
  return world;
}

const OLD = NAMES.map((name) => pod(name, 'old'));
const deletions = ({ kube }: ReturnType<typeof clusterOf>) => kube.writes.map((write) => write.replace(/.*\//, ''));

describe('servers', () => {
  test('restart one after another, the meta leader last', async () => {
    const cluster = clusterOf(...OLD);
    await restartOneByOne(cluster, 3);
    expect(deletions(cluster)).toEqual(['nats-a-2', 'nats-a-0', 'nats-a-1']);
  });

  test('wait for one that is Ready and not current yet', async () => {
    const cluster = clusterOf(...OLD);
    const { kube, clock, log } = cluster;
    cluster.comesBack = (name) => {
      kube.put(pod(name, 'new'));
      if (name === 'nats-a-2') kube.podAnswers.set('nats-a-2/healthz', CATCHING_UP);
    };
    const { sleep } = clock;
    clock.sleep = async (milliseconds) => {
      if (clock.slept.length === 20) {
        expect(deletions(cluster)).toEqual(['nats-a-2']);
        kube.podAnswers.set('nats-a-2/healthz', { status: 'ok' });
      }
      await sleep(milliseconds);
    };
    await restartOneByOne(cluster, 3);
    expect(deletions(cluster)).toHaveLength(3);
    expect(log.lines.join('\n')).toContain(
      "nats-a-0 is not restarted yet: nats-a-2 is not current: JetStream stream 'DEFAULT > EVENTS' is not current",
    );
  });

  test('stay where another stays not current: the error tells which, why, and that nothing more was restarted', async () => {
    const cluster = clusterOf(...OLD);
    cluster.kube.podAnswers.set('nats-a-0/healthz', CATCHING_UP);
    const { details } = await problemOf(restartOneByOne(cluster, 3));
    expect(deletions(cluster)).toEqual([]);
    expect(details).toMatchObject({
      kind: 'timeout',
      tried: 'Restarting the servers of nats-a one at a time',
      reason:
        "After 60 s: nats-a-2 is not restarted yet: nats-a-0 is not current: JetStream stream 'DEFAULT > EVENTS' is not current.",
      next: expect.stringMatching(/^Nothing more was restarted: .* kubectl -n demo delete pod nats-a-2$/),
    });
  });

  test.each<[string, (cluster: ReturnType<typeof clusterOf>) => void]>([
    ['does not answer', ({ kube }) => kube.podAnswers.clear()],
    [
      'is shutting down',
      ({ kube }) => {
        const stored = kube.stored('Pod', 'nats-a-0');
        kube.put({ ...stored, metadata: { ...stored.metadata, deletionTimestamp: '2026-11-22T00:00:00Z' } });
      },
    ],
    ['is not Ready', ({ kube }) => void kube.put(pod('nats-a-0', 'new', STARTING))],
  ])('stay where another %s', async (_, disturb) => {
    const cluster = clusterOf(...OLD);
    disturb(cluster);
    await problemOf(restartOneByOne(cluster, 3));
    expect(deletions(cluster)).toEqual([]);
  });

  test('restart first where one is not Ready and all others are current', async () => {
    const cluster = clusterOf(pod('nats-a-0', 'old'), pod('nats-a-1', 'old', STARTING), pod('nats-a-2', 'old'));
    await restartOneByOne(cluster, 3);
    expect(deletions(cluster)[0]).toBe('nats-a-1');
  });

  test('that do not run are replaced at once, as a cluster without a majority would wait for itself', async () => {
    const crashed = { ...STARTING, server: CRASHED };
    const cluster = clusterOf(...NAMES.map((name) => pod(name, 'old', crashed)));
    for (const name of NAMES) cluster.kube.podAnswers.delete(`${name}/healthz`);
    cluster.comesBack = (name) => {
      cluster.kube.put(pod(name, 'new'));
      cluster.kube.podAnswers.set(`${name}/healthz`, { status: 'ok' });
    };
    await restartOneByOne(cluster, 3);
    expect(deletions(cluster).sort()).toEqual(NAMES);
  });

  test('that restarted in an earlier run stay', async () => {
    const cluster = clusterOf(pod('nats-a-0', 'old'), pod('nats-a-1', 'new'), pod('nats-a-2', 'new'));
    await restartOneByOne(cluster, 3);
    expect(deletions(cluster)).toEqual(['nats-a-0']);
  });

  test('stay where another run has taken the lock', async () => {
    const cluster = clusterOf(...OLD);
    const taken = new Error('taken');
    await expect(
      restartOneByOne(
        {
          ...cluster,
          assertHeld: () => {
            throw taken;
          },
        },
        3,
      ),
    ).rejects.toBe(taken);
    expect(deletions(cluster)).toEqual([]);
  });

  test('are all current at the end', async () => {
    const cluster = clusterOf(pod('nats-a-0', 'new'), pod('nats-a-1', 'new'), pod('nats-a-2', 'new'));
    cluster.kube.podAnswers.set('nats-a-2/healthz', CATCHING_UP);
    expect((await problemOf(restartOneByOne(cluster, 3))).details.reason).toMatch('nats-a-2 is not current');
  });
});

describe('a single server that is to be the first of several', () => {
  /** Without the others it has no meta leader, so that it is neither Ready nor well. */
  function alone(jsz: JsonObject) {
    const context = contextWith();
    context.kube.put({ ...statefulSet(), spec: { replicas: 1 } });
    context.kube.put(pod('nats-a-0', 'new', STARTING));
    context.kube.podAnswers.set('nats-a-0/jsz', { config: {}, meta_cluster: { cluster_size: 3 }, ...jsz });
    context.kube.podAnswers.set('nats-a-0/routez', {});
    context.kube.podAnswers.set('nats-a-0/healthz', {
      error: 'JetStream has not established contact with a meta leader',
    });
    context.kube.podLogs.set('nats-a-0/nats', 'Starting nats-server\nServer is ready\n');
    return context;
  }
  const STREAM = { account_details: [{ name: 'DEFAULT', stream_detail: [{ name: 'EVENTS' }] }] };

  test('waits for no others, as they come next', async () => {
    await expect(restartOneByOne(alone({}), 3)).resolves.toBeUndefined();
  });

  test('restarts as such before', async () => {
    const context = alone({});
    context.kube.put(pod('nats-a-0', 'old'));
    const { sleep } = context.clock;
    context.clock.sleep = async (milliseconds) => {
      await sleep(milliseconds);
      context.kube.put(pod('nats-a-0', 'new', STARTING));
    };
    await restartOneByOne(context, 3);
    expect(context.kube.writes).toEqual(['delete Pod demo/nats-a-0']);
  });

  test('is looked at once it has recovered what it stores', async () => {
    const context = alone({});
    context.kube.podLogs.set('nats-a-0/nats', 'Starting nats-server\n');
    expect((await problemOf(restartOneByOne(context, 3))).details.reason).toMatch('nats-a-0 has not started yet');
    context.kube.podLogs.set('nats-a-0/nats', 'Server is ready\n');
    context.kube.podAnswers.set('nats-a-0/jsz', {});
    expect((await problemOf(restartOneByOne(context, 3))).details.reason).toMatch('nats-a-0 has not started yet');
  });

  test('gets no others where a stream was made on it meanwhile, as they would have it removed', async () => {
    const { details } = await problemOf(restartOneByOne(alone(STREAM), 3));
    expect(details).toMatchObject({
      kind: 'target',
      reason: 'Streams were made on it meanwhile, which would be removed: DEFAULT/EVENTS.',
      next: expect.stringContaining('Run again with the input replicas 1'),
    });
  });

  test('and stays alone is waited for as any other', async () => {
    const { details } = await problemOf(restartOneByOne(alone({}), 1));
    expect(details.reason).toMatch('JetStream has not established contact with a meta leader');
  });
});

test('a StatefulSet is held back with as many servers as there are', () => {
  const desired = {
    ...statefulSet(),
    spec: { replicas: 5, updateStrategy: { type: 'RollingUpdate' }, serviceName: 's' },
  };
  expect(heldBack(desired, statefulSet(), 3).spec).toEqual({
    replicas: 3,
    updateStrategy: { type: 'OnDelete' },
    serviceName: 's',
  });
});

test('settings of a rolling update, which do not go with that, are taken away first', async () => {
  const context = contextWith();
  const written = async (updateStrategy: JsonObject) => {
    await withoutPartition(context, context.kube.put({ ...statefulSet(), spec: { updateStrategy } }));
    return context.kube.writes.splice(0);
  };
  expect(await written({ type: 'RollingUpdate' })).toEqual([]);
  expect(await written({ type: 'RollingUpdate', rollingUpdate: { partition: 0 } })).toEqual([
    'patch StatefulSet demo/nats-a',
  ]);
});
