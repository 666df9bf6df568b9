import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { runMain, type Values } from '../simulator/runner.ts';
import { dig, digObjects, digText, isJsonObject, type JsonObject } from '../src/json.ts';
import { kube, waitFor } from './cluster.ts';
import { asRoot } from './deployer.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';
import { connectAs } from './nats.ts';
import { podsOf, reportOf } from './observe.ts';
import { startPublisher, storedIds } from './publisher.ts';
import { expectNoWrite, run } from './runs.ts';
import { letVolumesGrow } from './storage-class.ts';

const GIB = 1024 ** 3;

afterAll(() => kube.close());

/** The claims of the cluster's data volumes, in the order of their servers. */
async function claimsOf({ namespace, match_labels }: Values): Promise<JsonObject[]> {
  const labels: Values = JSON.parse(match_labels ?? '{}');
  const selector = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  const query = new URLSearchParams({ labelSelector: selector.join(',') });
  const claims = await kube.list(`/api/v1/namespaces/${namespace}/persistentvolumeclaims?${query}`);
  return claims.sort((one, other) => nameOf(one).localeCompare(nameOf(other)));
}

const nameOf = ({ metadata }: JsonObject): string => digText(metadata, 'name');
const uidOf = ({ metadata }: JsonObject): string => digText(metadata, 'uid');
const labelsOf = ({ metadata }: JsonObject) => dig(metadata, 'labels');
const annotationsOf = ({ metadata }: JsonObject) => dig(metadata, 'annotations');
const claimPath = (claim: JsonObject): string =>
  `/api/v1/namespaces/${digText(claim.metadata, 'namespace')}/persistentvolumeclaims/${nameOf(claim)}`;

async function storageClassOf(outputs: Values): Promise<string> {
  const [claim] = await claimsOf(outputs);
  return digText(claim?.spec, 'storageClassName');
}

describe('the claims of the data volumes', () => {
  const namespace = 'e2e-claims';
  let inputs: Values;
  let outputs: Values;
  let takeBack: () => Promise<void> = async () => {};

  beforeAll(async () => {
    await emptyNamespace(namespace);
    inputs = { ...asRoot(), namespace, nats_version: '2.14.6', labels: 'team: payments' };
    outputs = (await run(inputs)).outputs;
    takeBack = await letVolumesGrow(await storageClassOf(outputs));
  });

  afterAll(async () => {
    await takeBack();
    await leaveNamespace(namespace);
  });

  /** The labels that the claims should have: those of the pods as they are to be, and the group of the volumes. */
  async function expectedLabels(): Promise<JsonObject> {
    const { spec } = await kube.get(`/apis/apps/v1/namespaces/${namespace}/statefulsets/${outputs.name}`);
    const labels = dig(spec, 'template', 'metadata', 'labels');
    return { ...(isJsonObject(labels) ? labels : {}), 'panfactum.com/pvc-group': `${namespace}.${outputs.name}` };
  }

  it('carry the metadata of the inputs after the first run, and a second one writes nothing', async () => {
    const claims = await claimsOf(outputs);
    const labels = await expectedLabels();
    expect(labels).toMatchObject({ team: 'payments', 'panfactum.com/workload': outputs.name });
    expect(claims.map(nameOf)).toEqual([0, 1, 2].map((ordinal) => `data-${outputs.name}-${ordinal}`));
    for (const claim of claims) {
      expect(annotationsOf(claim)).toMatchObject({
        'resize.topolvm.io/storage_limit': '10Gi',
        'resize.topolvm.io/increase': '1Gi',
        'resize.topolvm.io/threshold': '20%',
        'velero.io/exclude-from-backups': 'false',
      });
      // No label of an inventory, by which kubectl apply --prune would delete it, and none that keeps it out of backups.
      expect(labelsOf(claim)).toEqual(labels);
    }
    await expectNoWrite(inputs);
  });

  it('follow changed inputs, and keep what others gave them', async () => {
    for (const claim of await claimsOf(outputs)) {
      const others = { labels: { 'acme.example/tier': 'gold' }, annotations: { 'acme.example/owner': 'ops' } };
      await kube.patch(claimPath(claim), { metadata: others });
    }
    inputs = {
      ...inputs,
      labels: 'cost-center: "42"',
      persistence_storage_limit_gb: '20',
      persistence_storage_increase_gb: '2',
      persistence_storage_increase_threshold_percent: '30',
      persistence_backups_enabled: 'false',
    };
    const { summary } = await run(inputs);
    expect(summary).toContain(`PersistentVolumeClaim ${namespace}/data-${outputs.name}-0`);
    const labels = {
      ...(await expectedLabels()),
      'velero.io/exclude-from-backup': 'true',
      'acme.example/tier': 'gold',
    };
    expect(labels).toMatchObject({ 'cost-center': '42' });
    for (const claim of await claimsOf(outputs)) {
      expect(annotationsOf(claim)).toMatchObject({
        'resize.topolvm.io/storage_limit': '20Gi',
        'resize.topolvm.io/increase': '2Gi',
        'resize.topolvm.io/threshold': '30%',
        'velero.io/exclude-from-backups': 'true',
        'acme.example/owner': 'ops',
      });
      expect(labelsOf(claim)).toEqual(labels);
    }
    await expectNoWrite(inputs);
  });

  it('are in backups again as soon as the input says so', async () => {
    inputs = { ...inputs, persistence_backups_enabled: 'true' };
    await run(inputs);
    for (const claim of await claimsOf(outputs)) {
      expect(annotationsOf(claim)).toMatchObject({ 'velero.io/exclude-from-backups': 'false' });
      expect(labelsOf(claim)).not.toHaveProperty(['velero.io/exclude-from-backup']);
    }
  });

  it('has, made anew, the metadata of its template at once and the rest after the next run', async () => {
    const [other, , lost] = await claimsOf(outputs);
    if (other === undefined || lost === undefined) throw new Error('there are not three claims');
    await kube.delete(claimPath(lost));
    await kube.delete(`/api/v1/namespaces/${namespace}/pods/${outputs.name}-2`);
    const successor = async (): Promise<JsonObject | undefined> =>
      (await claimsOf(outputs)).find((claim) => nameOf(claim) === nameOf(lost) && uidOf(claim) !== uidOf(lost));
    await waitFor(async () => (await successor()) !== undefined, `${nameOf(lost)} is made anew`, 90_000);

    // The template is as the first run made it: Kubernetes lets nobody change it.
    const fresh = await successor();
    expect(dig(fresh?.metadata, 'annotations')).toMatchObject({
      'resize.topolvm.io/initial-resize-group-by': 'panfactum.com/pvc-group',
      'resize.topolvm.io/storage_limit': '10Gi',
      'resize.topolvm.io/increase': '1Gi',
      'resize.topolvm.io/threshold': '20%',
      'velero.io/exclude-from-backups': 'false',
    });
    expect(dig(fresh?.metadata, 'labels')).toEqual({
      'app.kubernetes.io/name': 'nats',
      'app.kubernetes.io/instance': outputs.name,
      'panfactum.com/pvc-group': `${namespace}.${outputs.name}`,
    });

    await run(inputs);
    const complete = await successor();
    const { 'acme.example/tier': _tier, ...labels } = Object(labelsOf(other));
    expect(dig(complete?.metadata, 'labels')).toEqual(labels);
    expect(dig(complete?.metadata, 'annotations')).toMatchObject({
      'resize.topolvm.io/storage_limit': '20Gi',
      'resize.topolvm.io/increase': '2Gi',
      'resize.topolvm.io/threshold': '30%',
    });
    await expectNoWrite(inputs);
  });

  it('keep their size whatever the input says later, which is told, and their class, which no run changes', async () => {
    const before = await claimsOf(outputs);
    const { persistence_storage_limit_gb: _limit, ...unlimited } = inputs;
    const refused = await runMain({ ...inputs, persistence_storage_class_name: 'fast' });
    expect(refused.errors).toEqual([
      expect.stringMatching(
        /persistence_storage_class_name is fast, and the volumes were made with .*docs\/storage\.md/s,
      ),
    ]);
    const late = { ...unlimited, persistence_initial_storage_gb: '2' };
    const ending = await run(late);
    expect(ending.log).toContain('Ignored: the volumes were made with 1Gi, not 2Gi');
    const after = await claimsOf(outputs);
    expect(after.map(({ spec }) => spec)).toEqual(before.map(({ spec }) => spec));
    // Ten times what the volumes were made with, not what the input says.
    const limits = after.map((claim) => dig(annotationsOf(claim), 'resize.topolvm.io/storage_limit'));
    expect(limits).toEqual(['10Gi', '10Gi', '10Gi']);
    await expectNoWrite(late);
  });
});

/** Plays the part of a CSI driver's resizer, which the sandbox lacks, for the claim and its volume. */
async function resize(claim: JsonObject, storage: string): Promise<void> {
  await kube.patch(claimPath(claim), { spec: { resources: { requests: { storage } } } });
  await setCapacity(digText(claim.spec, 'volumeName'), storage);
  await kube.patch(`${claimPath(claim)}/status`, { status: { capacity: { storage } } });
}

function setCapacity(volume: string, storage: string): Promise<JsonObject> {
  return kube.patch(`/api/v1/persistentvolumes/${volume}`, { spec: { capacity: { storage } } });
}

/** What a server takes as the size of its file storage. */
async function fileStoreOf(namespace: string, pod: string): Promise<number> {
  return Number(dig(await reportOf(namespace, pod, '/jsz'), 'config', 'max_storage'));
}

describe.each([
  { version: '2.14.6', namespace: 'e2e-resize', how: 'by a reload, without a restart', restarts: 0 },
  { version: '2.10.23', namespace: 'e2e-resize-old', how: 'by restarting one server after another', restarts: 3 },
])('volumes that have grown, with NATS $version', ({ version, namespace, how, restarts }) => {
  let inputs: Values;
  let outputs: Values;
  let admin: NatsConnection | undefined;
  let volumes: string[] = [];
  let takeBack: () => Promise<void> = async () => {};

  beforeAll(async () => {
    await emptyNamespace(namespace);
    inputs = { ...asRoot(), namespace, nats_version: version };
    outputs = (await run(inputs)).outputs;
    takeBack = await letVolumesGrow(await storageClassOf(outputs));
    admin = await connectAs('admin', outputs);
    const manager = await jetstreamManager(admin);
    await manager.streams.add({ name: 'EVENTS', subjects: ['events'], num_replicas: 3 });
  });

  afterAll(async () => {
    await admin?.close();
    await takeBack();
    await leaveNamespace(namespace);
    for (const volume of volumes) await setCapacity(volume, '1Gi');
  });

  it(`are filled further after the next run, ${how}, and no message is lost`, async () => {
    if (admin === undefined) throw new Error('there is no connection');
    const before = await podsOf(outputs);
    const limits = await Promise.all(before.map(({ name }) => fileStoreOf(namespace, name)));
    expect(limits).toEqual(before.map(() => Math.floor(0.85 * GIB)));
    const claims = await claimsOf(outputs);
    volumes = claims.map(({ spec }) => digText(spec, 'volumeName'));
    for (const claim of claims) await resize(claim, '4Gi');

    const publisher = startPublisher(admin);
    const ending = await runMain(inputs);
    const acknowledged = await publisher.stop();

    expect(ending).toMatchObject({ exitCode: 0, errors: [], outputs: { changed: 'true' } });
    const after = await podsOf(outputs);
    const grown = await Promise.all(after.map(({ name }) => fileStoreOf(namespace, name)));
    expect(grown).toEqual(after.map(() => Math.floor(0.85 * 4 * GIB)));
    const uids = new Set(before.map(({ uid }) => uid));
    expect(after.filter(({ uid }) => !uids.has(uid))).toHaveLength(restarts);
    const restarted = await Promise.all(after.map(({ name }) => restartsOf(namespace, name)));
    expect(restarted).toEqual(after.map(() => 0));

    const stored = await storedIds(admin, 'EVENTS');
    const lost = [...acknowledged].filter((id) => !stored.has(id));
    console.log(
      `${version}: volumes of 1Gi to 4Gi in ${ending.seconds.toFixed(1)} s, ` +
        `${acknowledged.size} messages acknowledged meanwhile, ${lost.length} lost`,
    );
    expect(acknowledged.size).toBeGreaterThan(100);
    expect(lost).toEqual([]);
    await expectNoWrite(inputs);
  });

  it('outlive the StatefulSet: the next run takes them up again, with every message', async () => {
    if (admin === undefined) throw new Error('there is no connection');
    const claims = await claimsOf(outputs);
    const stored = await storedIds(admin, 'EVENTS');
    await admin.close();
    const path = `/apis/apps/v1/namespaces/${namespace}/statefulsets/${outputs.name}`;
    await kube.delete(path);
    await waitFor(async () => (await podsOf(outputs)).length === 0, 'the pods are gone', 90_000);
    const { log } = await run(inputs);
    expect(log).toContain(`Created StatefulSet ${namespace}/${outputs.name}`);
    expect((await claimsOf(outputs)).map(uidOf)).toEqual(claims.map(uidOf));
    admin = await connectAs('admin', outputs);
    const found = await storedIds(admin, 'EVENTS');
    expect(found.size).toBeGreaterThan(100);
    expect(found).toEqual(stored);
    const [server] = await podsOf(outputs);
    expect(await fileStoreOf(namespace, server?.name ?? '')).toBe(Math.floor(0.85 * 4 * GIB));
  });

  it('are filled less once one of them is smaller, as after it was made anew: the servers restart', async () => {
    const before = await podsOf(outputs);
    const [claim] = await claimsOf(outputs);
    if (claim === undefined) throw new Error('there is no claim');
    await setCapacity(digText(claim.spec, 'volumeName'), '2Gi');
    await kube.patch(`${claimPath(claim)}/status`, { status: { capacity: { storage: '2Gi' } } });
    await run(inputs);
    const after = await podsOf(outputs);
    const limits = await Promise.all(after.map(({ name }) => fileStoreOf(namespace, name)));
    expect(limits).toEqual(after.map(() => Math.floor(0.85 * 2 * GIB)));
    const uids = new Set(before.map(({ uid }) => uid));
    expect(after.filter(({ uid }) => uids.has(uid))).toEqual([]);
    await expectNoWrite(inputs);
  });
});

async function restartsOf(namespace: string, pod: string): Promise<number> {
  const { status } = await kube.get(`/api/v1/namespaces/${namespace}/pods/${pod}`);
  return digObjects(status, 'containerStatuses').reduce((sum, { restartCount }) => sum + Number(restartCount), 0);
}
