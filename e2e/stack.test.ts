import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Ending, runMain, type Values } from '../simulator/runner.ts';
import { dig, digObjects, digText, isJsonObject } from '../src/json.ts';
import { auditWrites, hasAuditLog, kube } from './cluster.ts';
import { asRoot } from './deployer.ts';
import { imageCache, installImageCache, removeImageCache } from './image-cache.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';
import { podsOf, reportOf } from './observe.ts';
import { expectNoWrite, run } from './runs.ts';
import { installCrds, removeCrds } from './stack-crds.ts';
import { letVolumesGrow } from './storage-class.ts';

/**
 * Only what this action writes is shown here: the sandbox runs no VerticalPodAutoscaler, so that no pod is started with
 * other resources than its StatefulSet says, no autoresizer and no image cache.
 */
const namespace = 'e2e-stack';
const neighbour = 'e2e-stack-too';
const theirs = { k0000theirs: 'registry.example.com/theirs:1' };

/** What a cluster can have of the stack and this test gives it, in the words of the summary. */
const PARTS = [/VerticalPodAutoscaler/, /pvc-autoresizer grows/, /node image cache/];

let inputs: Values;
let storageClass: string;
let keepVolumes: () => Promise<void> = async () => {};

beforeAll(async () => {
  await uninstallStack();
  await emptyNamespace(namespace);
  await emptyNamespace(neighbour);
  inputs = { ...asRoot(), namespace, nats_version: '2.14.6' };
});

afterAll(async () => {
  await leaveNamespace(namespace);
  await leaveNamespace(neighbour);
  await uninstallStack();
  kube.close();
});

async function installStack(): Promise<void> {
  await installCrds('vpa');
  await installImageCache(theirs);
  keepVolumes = await letVolumesGrow(storageClass);
}

/** Leaves alone what this test has not made. */
async function uninstallStack(): Promise<void> {
  await keepVolumes();
  await removeCrds('vpa');
  await removeImageCache();
}

/** The summary's table of what the run did without. */
function adapted({ summary }: Ending): string {
  const [, table = ''] = /### Adapted to this cluster\n([\s\S]*?)(?:\n###|$)/.exec(summary) ?? [];
  return table;
}

/** The entries of a list of images that are not those of others. */
async function listed(name: 'pinned-images-amd64' | 'pinned-images-arm64'): Promise<string[]> {
  const { data } = await kube.get(`${imageCache}/configmaps/${name}`);
  const entries = isJsonObject(data) ? data : {};
  expect(entries).toMatchObject(theirs);
  return Object.entries(entries)
    .filter(([key]) => !(key in theirs))
    .map(([, image]) => String(image))
    .sort();
}

async function imagesOf(outputs: Values): Promise<string[]> {
  const [pod] = await podsOf(outputs);
  const { spec } = await kube.get(`/api/v1/namespaces/${outputs.namespace}/pods/${pod?.name}`);
  return digObjects(spec, 'containers')
    .map(({ image }) => String(image))
    .sort();
}

function statusOf(path: string): Promise<number> {
  return kube.send({ method: 'GET', path }).then(({ status }) => status);
}

describe('a cluster without any of the stack', () => {
  it('is an error with adapt: false, which names at once all that is missing', async () => {
    const since = new Date();
    const { exitCode, errors } = await runMain({ ...inputs, adapt: 'false' });
    expect({ exitCode, count: errors.length }).toEqual({ exitCode: 1, count: 1 });
    for (const part of [...PARTS, /Kyverno/, /Velero/]) expect(errors[0]).toMatch(part);
    if (hasAuditLog()) expect(await auditWrites(since, { userAgent: 'kube-nats-action/' })).toEqual([]);
  });

  it('gets servers by the defaults all the same, and the summary tells what they do without', async () => {
    const ending = await run(inputs);
    for (const part of [...PARTS, /Kyverno/, /Velero/]) expect(adapted(ending)).toMatch(part);
    expect((await podsOf(ending.outputs)).map(({ ready }) => ready)).toEqual([true, true, true]);
    const [claim] = await kube.list(`/api/v1/namespaces/${namespace}/persistentvolumeclaims`);
    storageClass = digText(claim?.spec, 'storageClassName');
  });

  it('has Go keep to the memory that a server really has', async () => {
    const { outputs } = await run(inputs);
    const [pod] = await podsOf(outputs);
    const { spec } = await kube.get(`/api/v1/namespaces/${namespace}/pods/${pod?.name}`);
    const server = digObjects(spec, 'containers').find(({ name }) => name === 'nats');
    expect(dig(server, 'resources', 'requests', 'memory')).toBe('256Mi');
    const { gomemlimit } = await reportOf(namespace, pod?.name ?? '', '/varz');
    expect(gomemlimit).toBe(256 * 1024 ** 2);
  });
});

describe('a cluster with the whole stack', () => {
  let outputs: Values;
  const autoscalers = `/apis/autoscaling.k8s.io/v1/namespaces/${namespace}/verticalpodautoscalers`;

  beforeAll(installStack);

  it('is used without another input, and the summary tells of no lack', async () => {
    const since = new Date();
    const ending = await run(inputs);
    outputs = ending.outputs;
    for (const part of PARTS) expect(adapted(ending)).not.toMatch(part);
    expect(ending.summary).toContain(`VerticalPodAutoscaler ${namespace}/${outputs.name}`);
    if (hasAuditLog()) {
      const written = await auditWrites(since, { userAgent: 'kube-nats-action/' });
      const applied = written.filter(({ uri }) => /verticalpodautoscalers|node-image-cache/.test(uri));
      expect(applied).toHaveLength(3);
      for (const { uri } of applied) expect(uri).toContain('fieldValidation=Strict');
    }
    await expectNoWrite(inputs);
  });

  it('has its VerticalPodAutoscaler size the servers alone', async () => {
    const { spec } = await kube.get(`${autoscalers}/${outputs.name}`);
    expect(spec).toMatchObject({
      targetRef: { apiVersion: 'apps/v1', kind: 'StatefulSet', name: outputs.name },
      updatePolicy: { evictionRequirements: [{ changeRequirement: 'TargetHigherThanRequests' }] },
      resourcePolicy: {
        containerPolicies: [
          { containerName: 'nats', minAllowed: { memory: '256Mi' } },
          { containerName: 'reloader', mode: 'Off' },
          { containerName: 'exporter', mode: 'Off' },
        ],
      },
    });
  });

  it('lists the images of the pods, with those of others', async () => {
    const images = await imagesOf(outputs);
    expect(await listed('pinned-images-amd64')).toEqual(images);
    expect(await listed('pinned-images-arm64')).toEqual(images);
  });

  it('keeps an image listed until the last of its clusters takes it back', async () => {
    const images = await imagesOf(outputs);
    const other = { ...inputs, namespace: neighbour, replicas: '1', arm_nodes_enabled: 'false' };
    await run(other);
    expect(await listed('pinned-images-amd64')).toEqual(images);

    const off = { node_image_cached_enabled: 'false', vpa_enabled: 'false' };
    await run({ ...inputs, ...off });
    expect(await listed('pinned-images-amd64')).toEqual(images);
    expect(await listed('pinned-images-arm64')).toEqual([]);
    expect(await statusOf(`${autoscalers}/${outputs.name}`)).toBe(404);
    await expectNoWrite({ ...inputs, ...off });

    await run({ ...other, ...off });
    expect(await listed('pinned-images-amd64')).toEqual([]);
    await expectNoWrite({ ...other, ...off });
  });

  it('takes the images of arm64 nodes back when servers may not run there any more', async () => {
    await run(inputs);
    const images = await imagesOf(outputs);
    expect(await listed('pinned-images-arm64')).toEqual(images);
    await run({ ...inputs, arm_nodes_enabled: 'false' });
    expect(await listed('pinned-images-amd64')).toEqual(images);
    expect(await listed('pinned-images-arm64')).toEqual([]);
  });

  it('may lose it all again', async () => {
    await uninstallStack();
    const ending = await run({ ...inputs, arm_nodes_enabled: 'false' });
    for (const part of PARTS) expect(adapted(ending)).toMatch(part);
    await expectNoWrite({ ...inputs, arm_nodes_enabled: 'false' });
  });
});
