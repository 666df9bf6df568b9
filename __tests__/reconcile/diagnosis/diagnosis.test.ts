import { describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../../src/json.ts';
import type { KubeObject } from '../../../src/kube/object.ts';
import { explain, troublesOf } from '../../../src/reconcile/diagnosis/diagnosis.ts';
import { contextWith } from '../context.ts';

function pod(status: JsonObject | undefined, name = 'a-0'): KubeObject {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name }, ...(status && { status }) };
}

function container(status: JsonObject): KubeObject {
  return pod({ containerStatuses: [{ name: 'nats', ready: false, restartCount: 0, ...status }] });
}

const waiting = (reason: string) => container({ state: { waiting: { reason, message: 'words' } } });
const down = { waiting: { reason: 'CrashLoopBackOff' } };

describe('trouble', () => {
  test.each<[string, KubeObject, string, number, string]>([
    ['an image', waiting('ErrImagePull'), 'ErrImagePull: words', 10_000, 'nats_image'],
    ['an image for long', waiting('ImagePullBackOff'), 'ImagePullBackOff: words', 10_000, 'registry'],
    ["an image's name", waiting('InvalidImageName'), 'InvalidImageName: words', 10_000, 'image input'],
    ['a Secret', waiting('CreateContainerConfigError'), 'CreateContainerConfigError: words', 10_000, 'does not exist'],
    ['the runtime', waiting('CreateContainerError'), 'CreateContainerError: words', 10_000, 'runtime refused'],
    [
      'a crash',
      container({ restartCount: 1, state: { terminated: { exitCode: 2 } } }),
      'exited with code 2, 1 restart',
      Number.POSITIVE_INFINITY,
      'log lines',
    ],
    [
      'crashes',
      container({ restartCount: 3, state: down, lastState: { terminated: { exitCode: 1 } } }),
      'exited with code 1, 3 restarts',
      10_000,
      'log lines',
    ],
    [
      'memory',
      container({ restartCount: 4, state: down, lastState: { terminated: { reason: 'OOMKilled', exitCode: 137 } } }),
      'out of memory, 4 restarts',
      10_000,
      'minimum_memory_mb',
    ],
    [
      'no node',
      pod({ conditions: [{ type: 'PodScheduled', status: 'False', message: '0/3 nodes are available.' }] }),
      'not scheduled: 0/3 nodes are available.',
      120_000,
      'host_anti_affinity',
    ],
  ])('with %s', (_, object, reason, patience, next) => {
    expect(troublesOf([object])).toMatchObject([
      { kind: 'Pod', name: 'a-0', reason, patience, next: expect.stringContaining(next) },
    ]);
  });

  test.each<[string, KubeObject]>([
    ['a pod without a status', pod(undefined)],
    ['a pod that was just scheduled', pod({ conditions: [{ type: 'PodScheduled', status: 'True' }] })],
    ['a container that is being created', waiting('ContainerCreating')],
    ['a container that starts', container({ state: { running: {} } })],
    ['a container that recovered', container({ ready: true, restartCount: 7, state: { running: {} } })],
  ])('is none of %s', (_, object) => {
    expect(troublesOf([object])).toEqual([]);
  });

  test('that is hopeless comes first', () => {
    const unscheduled = pod({ conditions: [{ type: 'PodScheduled', status: 'False', message: 'm' }] }, 'a-1');
    expect(troublesOf([unscheduled, waiting('ErrImagePull')]).map((trouble) => trouble.name)).toEqual(['a-0', 'a-1']);
  });
});

describe('an explanation', () => {
  const trouble = {
    kind: 'Pod' as const,
    name: 'a-0',
    uid: 'uid-1',
    container: '',
    reason: 'not scheduled: no room.',
    next: 'Add nodes.',
    patience: 10_000,
  };

  test('of a pod without a container shows its events alone, and ends its sentence once', async () => {
    const context = contextWith();
    const problem = await explain(context, trouble);
    expect(problem.message).toBe('Starting pod demo/a-0: not scheduled: no room. Add nodes.');
    expect(context.log.lines).toEqual([]);
  });

  test('shows the present log where there was no earlier container', async () => {
    const context = contextWith();
    context.kube.podLogs.set('a-0/nats', 'one\n\ntwo\n');
    await explain(context, { ...trouble, container: 'nats' });
    expect(context.log.lines).toEqual(['info   nats  one', 'info   nats  two']);
  });
});
