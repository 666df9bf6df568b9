import { describe, expect, it } from '@jest/globals';
import type { JsonObject } from '../../../src/json.ts';
import type { KubeObject } from '../../../src/kube/object.ts';
import { replaceStuckPods } from '../../../src/reconcile/servers/stuck-pods.ts';
import { contextWith, LABELS } from '../context.ts';

const RUNNING = { state: { running: { startedAt: '2026-11-22T10:00:00Z' } } };
const NO_IMAGE = { state: { waiting: { reason: 'ImagePullBackOff' } } };

const statefulSet = (generation: number): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: { name: 'nats-a', namespace: 'demo', generation },
  status: { observedGeneration: 2, updateRevision: 'nats-a-2' },
});

function pod(name: string, revision: string, server: JsonObject | null, metadata: JsonObject = {}): KubeObject {
  const statuses =
    server === null
      ? []
      : [
          { name: 'reloader', ...RUNNING },
          { name: 'nats', ...server },
        ];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'demo', labels: { ...LABELS, 'controller-revision-hash': revision }, ...metadata },
    status: { containerStatuses: statuses },
  };
}

async function deletedOf(pods: KubeObject[], generation = 2): Promise<{ deleted: string[]; told: string[] }> {
  const context = contextWith();
  const stored = pods.map((each) => context.kube.put(each));
  await replaceStuckPods(context, statefulSet(generation), stored);
  const left = context.kube.all('Pod').map(({ metadata }) => metadata.name);
  const deleted = pods.map(({ metadata }) => metadata.name).filter((name) => !left.includes(name));
  return { deleted, told: context.report.changes.map(({ action, object }) => `${action} ${object}`) };
}

describe('replaceStuckPods', () => {
  it('deletes pods of an older revision whose server does not run, and reports it', async () => {
    const pods = [pod('nats-a-0', 'nats-a-1', NO_IMAGE), pod('nats-a-1', 'nats-a-1', null)];
    expect(await deletedOf(pods)).toEqual({
      deleted: ['nats-a-0', 'nats-a-1'],
      told: ['delete Pod demo/nats-a-0', 'delete Pod demo/nats-a-1'],
    });
  });

  it.each([
    ['whose server runs', pod('nats-a-0', 'nats-a-1', RUNNING)],
    ['of the present revision', pod('nats-a-0', 'nats-a-2', NO_IMAGE)],
    ['that is being deleted', pod('nats-a-0', 'nats-a-1', null, { deletionTimestamp: '2026-11-22T10:00:00Z' })],
  ])('leaves a pod alone %s', async (_, left) => {
    expect(await deletedOf([left])).toEqual({ deleted: [], told: [] });
  });

  it('leaves all pods alone until the StatefulSet controller has told the present revision', async () => {
    const pods = [pod('nats-a-0', 'nats-a-3', null)];
    expect(await deletedOf(pods, 3)).toEqual({ deleted: [], told: [] });
  });
});
