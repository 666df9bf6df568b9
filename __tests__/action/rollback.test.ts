import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { resourceOf } from '../../simulator/kubernetes/resources.ts';
import { type Ending, type Step, startMain, type Values } from '../../simulator/runner.ts';
import { dig, type JsonObject } from '../../src/json.ts';
import { MANAGER } from '../../src/manager.ts';
import { during, startWorld, type World, writesTo } from './world.ts';

const NEWER = 'docker.io/library/nats:2.14.6-alpine';
const TYPO = { nats_image: 'registry.example/nats:typo' };
/** By a reload and by a restart. */
const CHANGE = { log_level: 'debug', fsync_interval_seconds: '30' };
const ROLLED_BACK =
  /\nRolled back: the cluster runs its last good state again, deployed by commit 4f2f1e7 \(\S+\/actions\/runs\/4711\)/;

let world: World;

beforeEach(async () => {
  world = await startWorld({ apiGroups: ['monitoring.coreos.com'] });
  world.behaviour.missingImages.add(TYPO.nats_image);
  world.behaviour.refusedSettings.add('max_payload: 3145728');
});

afterEach(() => world.close());

/** What a cluster is made of, without what the API server and controllers write. */
function objects(): JsonObject {
  const kinds = [
    'StatefulSet',
    'ConfigMap',
    'Certificate',
    'Issuer',
    'Service',
    'NetworkPolicy',
    'PodDisruptionBudget',
  ];
  const all = kinds.flatMap((kind) => world.cluster.store.list(resourceOf(kind), 'demo'));
  const told = all
    .filter(({ metadata }) => !metadata.name.endsWith('-inventory'))
    .map(({ kind, metadata: { name, labels, annotations }, spec, data, rules }) => [
      `${kind} ${name}`,
      { labels, annotations, spec, data, rules },
    ]);
  return Object.fromEntries(told);
}

/** Seconds that certificates of the admin live, as Vault has it. */
const lifetime = async () => dig(await world.vaultRequest('GET', 'pki/internal/roles/nats-admin-nats'), 'data', 'ttl');

/** What the servers run by, without the line that a rollback begins it with. */
const loaded = () => [0, 1, 2].map((ordinal) => world.nats.configOf(`nats-${ordinal}`));

async function applied(inputs: Values = {}): Promise<Ending> {
  const ending = await world.apply(inputs);
  expect(ending.errors).toEqual([]);
  return ending;
}

const CLAIMS = '/api/v1/namespaces/demo/persistentvolumeclaims';

/** As the CronJob does it: by an apply of the whole budget, as this action. */
async function openWindow(): Promise<void> {
  const path = '/apis/policy/v1/namespaces/demo/poddisruptionbudgets/nats';
  const budget = world.cluster.get({ resource: resourceOf('PodDisruptionBudget'), namespace: 'demo', name: 'nats' });
  const { name, labels, annotations } = budget.metadata;
  const start = { 'panfactum.com/voluntary-disruption-window-start': '1790726400' };
  const open = {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name, labels, annotations: { ...annotations, ...start } },
    spec: { ...(budget.spec as JsonObject), maxUnavailable: 1 },
  };
  await world.kube('PATCH', `${path}?fieldManager=${MANAGER}&force=true`, open, 'application/apply-patch+yaml');
}

/** A quota that refuses writes of that path: one, or all from the nth on. */
function refuse(part: string, { nth = 1, times = 1 } = {}): void {
  const message = 'exceeded quota: small';
  const body = { kind: 'Status', apiVersion: 'v1', status: 'Failure', message, reason: 'Forbidden', code: 403 };
  world.faults.add({ effect: 'answer', status: 403, body, matches: writesTo(part), nth, times });
}

const withoutLease = (writes: string[]): string[] => writes.filter((write) => !write.includes('/leases'));

const writesSince = (request: number, part: string): number =>
  world.requests.slice(request).filter(writesTo(part)).length;

/** A step that hangs at its nth write of that path. */
async function stoppedAt(part: string, nth: number, inputs: Values): Promise<Step> {
  world.faults.add({ effect: 'hang', matches: writesTo(part), nth });
  const before = world.requests.length;
  const step = startMain({ ...world.inputs, ...inputs });
  await during(step, `write ${nth} to ${part}`, () => writesSince(before, part) >= nth);
  return step;
}

async function killedAt(part: string, nth: number, inputs: Values): Promise<void> {
  const step = await stoppedAt(part, nth, inputs);
  step.process.kill('SIGKILL');
  await step.ended;
  world.faults.clear();
  // As if the minute of its lock were over.
  await world.kube('DELETE', '/apis/coordination.k8s.io/v1/namespaces/demo/leases/nats');
}

describe.each(['Parallel', 'OrderedReady'])('with podManagementPolicy %s', (podManagementPolicy) => {
  beforeEach(async () => {
    await applied({ wait: 'false' });
    const target = { resource: resourceOf('StatefulSet'), namespace: 'demo', name: 'nats' };
    const made = world.cluster.get(target);
    world.cluster.store.put(target.resource, { ...made, spec: { ...(made.spec as JsonObject), podManagementPolicy } });
    await applied();
  });

  test('an image that does not exist is taken back, with all that came with it', async () => {
    const before = objects();
    const failed = await world.apply({ ...TYPO, monitoring_enabled: 'true', vault_credential_lifetime_hours: '4' });
    expect(failed.exitCode).toBe(1);
    expect(failed.errors).toHaveLength(1);
    expect(failed.errors[0]).toMatch(/^Starting pod demo\/nats-2, container nats: ImagePullBackOff/i);
    expect(failed.errors[0]).toMatch(ROLLED_BACK);
    expect(failed.outputs).toMatchObject({ changed: 'true', rolled_back: 'true' });
    expect(failed.summary).toContain('Rolled back: the cluster runs its last good state again');
    expect(objects()).toEqual(before);
    expect((await applied()).outputs).toMatchObject({ changed: 'false', rolled_back: 'false' });
  });

  test('a setting that the servers refuse is taken back, and they run by the former', async () => {
    const before = loaded();
    const failed = await world.apply({ max_payload_mb: '3' });
    expect(failed.errors[0]).toMatch(/refused: max_payload: 3145728/);
    expect(failed.errors[0]).toMatch(ROLLED_BACK);
    expect(loaded()).toEqual(before);
  });
});

describe('of an upgrade', () => {
  const image = () => {
    const { spec } = world.cluster.get({ resource: resourceOf('StatefulSet'), namespace: 'demo', name: 'nats' });
    return JSON.stringify(dig(spec, 'template')).match(/nats:2[.\d]+/)?.[0];
  };

  test('a release whose image cannot be pulled is taken back', async () => {
    await applied({ nats_version: '2.12.8' });
    world.behaviour.missingImages.add(NEWER);
    const failed = await world.apply({ nats_version: '2.14.6' });
    expect(failed.errors[0]).toMatch(/ImagePullBackOff/i);
    expect(failed.errors[0]).toMatch(ROLLED_BACK);
    expect(image()).toBe('nats:2.12.8');
  });

  test('a release by which no server comes up is taken back, though that one cannot be asked', async () => {
    await applied({ nats_version: '2.12.8' });
    const { refusedSettings } = world.behaviour;
    // Of servers that start by the newer release; those that run have loaded it.
    onWrite(1, () => refusedSettings.add('max_payload'));
    onWrite(2, () => refusedSettings.clear());
    const failed = await world.apply({ nats_version: '2.14.6' });
    expect(failed.errors[0]).toMatch(/^Starting pod demo\/nats-2, container nats: /);
    expect(failed.errors[0]).toMatch(ROLLED_BACK);
    expect(image()).toBe('nats:2.12.8');
  });

  test('a release stays where a stream uses by then what the former does not know, and that is told once', async () => {
    await applied({ nats_version: '2.12.8' });
    const { refusedSettings, natsStreams, natsApiLevels } = world.behaviour;
    const struck = () => {
      natsStreams.set('nats-2', ['EVENTS']);
      natsApiLevels.set('EVENTS', 4);
      refusedSettings.add('max_payload');
    };
    world.faults.add({ effect: 'none', matches: writesTo('/pods/nats-1'), struck });
    const failed = await world.apply({ nats_version: '2.14.6' });
    expect(failed.errors[0]).toMatch(
      /^Starting pod demo\/nats-1, .*\nNot rolled back: nats-server 2\.12\.8 cannot take over what is stored\.\n {2}- stream DEFAULT\/EVENTS uses features of 2\.14\.0\nChoose 2\.14\.0 or later .* The next run goes on from here\.$/s,
    );
    expect(failed.errors[0]).not.toMatch(/nothing was written/i);
    expect(failed.log).not.toMatch(/rolling back/i);
    expect(failed.outputs.rolled_back).toBe('false');
    expect(image()).toBe('nats:2.14.6');
    refusedSettings.clear();
    await applied({ nats_version: '2.14.6' });
  });

  /** Does it at the nth write of the StatefulSet. */
  function onWrite(nth: number, struck: () => void): void {
    world.faults.add({ effect: 'none', matches: writesTo('/statefulsets/nats'), nth, struck });
  }
});

test('a quota that refuses the StatefulSet has what was written before taken back, and the servers reload it', async () => {
  await applied();
  const before = loaded();
  refuse('/statefulsets/nats');
  const failed = await world.apply(CHANGE);
  expect(failed.errors[0]).toMatch(/^Applying StatefulSet demo\/nats: .*exceeded quota/);
  expect(failed.errors[0]).toMatch(ROLLED_BACK);
  expect(loaded()).toEqual(before);
});

test('a StatefulSet that somebody made anew meanwhile keeps what it does not allow to change', async () => {
  await applied();
  const target = { resource: resourceOf('StatefulSet'), namespace: 'demo', name: 'nats' };
  const made = world.cluster.get(target);
  const spec = { ...(made.spec as JsonObject), podManagementPolicy: 'OrderedReady' };
  world.cluster.store.put(target.resource, { ...made, spec });
  refuse('/statefulsets/nats');
  expect((await world.apply({ log_level: 'debug' })).errors[0]).toMatch(ROLLED_BACK);
  expect(dig(world.cluster.get(target).spec, 'podManagementPolicy')).toBe('OrderedReady');
});

test('without wait a refused write is taken back as well, and nobody waits for that', async () => {
  await applied();
  const before = objects();
  world.behaviour.unschedulable = true;
  refuse('/statefulsets/nats');
  const failed = await world.apply({ wait: 'false', ...TYPO, voluntary_disruptions_enabled: 'false' });
  expect(failed.errors[0]).toMatch(/Rolled back: .*is written again\. As wait is false, nobody waited for it\./);
  expect(objects()).toEqual(before);
});

test('what is shared with others is taken back, and a disruption window that opened meanwhile stays open', async () => {
  await world.close();
  world = await startWorld({ namespaces: ['demo', 'node-image-cache'] });
  const cache = '/api/v1/namespaces/node-image-cache/configmaps';
  await world.kube('POST', cache, {
    metadata: { name: 'pinned-images-amd64' },
    data: { theirs: 'docker.io/acme/app:1' },
  });
  const windows = { voluntary_disruption_window_enabled: 'true' };
  await applied(windows);
  await openWindow();
  const shared = async () =>
    [await world.kube('GET', `${cache}/pinned-images-amd64`), await world.kube('GET', `${CLAIMS}/data-nats-0`)].map(
      (object) => [dig(object, 'metadata', 'labels'), dig(object, 'metadata', 'annotations'), dig(object, 'data')],
    );
  const before = [objects(), await shared()];
  refuse('/statefulsets/nats');
  const failed = await world.apply({
    ...windows,
    ...CHANGE,
    labels: 'team: messaging',
    kubectl_image: 'kubectl:other',
  });
  expect(failed.errors[0]).toMatch(ROLLED_BACK);
  expect([objects(), await shared()]).toEqual(before);
});

test('a refused certificate has the roles in Vault taken back, and is asked for again', async () => {
  await applied();
  const before = objects();
  world.behaviour.refusedCertificates.set('nats-admin-creds', 'role does not allow this name');
  const step = startMain({ ...world.inputs, vault_credential_lifetime_hours: '4' });
  await world.printed('Rolling back', step);
  world.behaviour.refusedCertificates.clear();
  const failed = await step.ended;
  expect(failed.errors[0]).toMatch(/^Issuing Certificate demo\/nats-admin-creds: .*role does not allow this name/);
  expect(failed.errors[0]).toMatch(ROLLED_BACK);
  expect(objects()).toEqual(before);
  expect(await lifetime()).toBe(16 * 3600);
  expect((await applied()).outputs.changed).toBe('false');
});

describe('a rollback that is killed', () => {
  test('is repaired by a run with the former inputs', async () => {
    await applied();
    const before = loaded();
    refuse('/statefulsets/nats');
    await killedAt('/configmaps/nats?', 2, CHANGE);
    await applied();
    expect(loaded()).toEqual(before);
  });

  test('is made up for by a run with the same inputs, which has nothing to write and fails again', async () => {
    await applied();
    const before = objects();
    await killedAt('/statefulsets/nats', 2, TYPO);
    const failed = await world.apply(TYPO);
    expect(failed.errors[0]).toMatch(/^Starting pod demo\/nats-2/);
    expect(failed.errors[0]).toMatch(ROLLED_BACK);
    expect(objects()).toEqual(before);
    expect((await applied()).outputs.changed).toBe('false');
  });
});

test('a rollback that fails as well tells both, and the next run repairs it', async () => {
  await applied();
  const before = loaded();
  refuse('/statefulsets/nats');
  refuse('/configmaps/nats?', { nth: 2, times: Number.POSITIVE_INFINITY });
  const failed = await world.apply(CHANGE);
  expect(failed.errors).toHaveLength(1);
  expect(failed.errors[0]).toMatch(
    /^Applying StatefulSet .*quota.*\nRolling back to the last good state, deployed by commit 4f2f1e7 .*, failed as well\. Applying ConfigMap demo\/nats: .*quota.*the next run takes it from there/s,
  );
  expect(failed.outputs.rolled_back).toBe('false');
  world.faults.clear();
  await applied();
  expect(loaded()).toEqual(before);
});

test('a cancelled rollback ends at once and tells what failed first', async () => {
  await applied();
  refuse('/statefulsets/nats');
  refuse('/configmaps/nats?', { nth: 2, times: Number.POSITIVE_INFINITY });
  const step = startMain({ ...world.inputs, ...CHANGE });
  await world.printed('trying again', step);
  const cancelled = performance.now();
  step.process.kill('SIGINT');
  const { errors } = await step.ended;
  expect(performance.now() - cancelled).toBeLessThan(5_000);
  expect(errors[0]).toMatch(/^Applying StatefulSet .*\nRolling back .*failed as well\. .*cancelled \(SIGINT\)/s);
});

test('a run that is cancelled before it fails takes nothing back', async () => {
  await applied();
  world.behaviour.unschedulable = true;
  const step = startMain({ ...world.inputs, fsync_interval_seconds: '30' });
  await world.printed('Updated StatefulSet', step);
  step.process.kill('SIGINT');
  const { errors, log } = await step.ended;
  expect(errors[0]).toMatch(/cancelled \(SIGINT\)/);
  expect(log).not.toMatch(/roll(ed|ing) back/i);
});

test('an API server that is gone is not asked for a rollback', async () => {
  await applied();
  world.faults.add({
    effect: 'reset-before',
    matches: writesTo('/statefulsets/nats'),
    times: Number.POSITIVE_INFINITY,
  });
  const { errors, log } = await world.apply({ fsync_interval_seconds: '30' });
  expect(errors[0]).toMatch(/running again is safe/);
  expect(log).not.toMatch(/roll(ed|ing) back/i);
});

test('a run that could write nothing takes nothing back', async () => {
  await applied();
  refuse('/configmaps/nats-inventory', { times: Number.POSITIVE_INFINITY });
  const writes = await world.writesDuring(async () => {
    const failed = await world.apply({ log_level: 'debug' });
    expect(failed.errors[0]).toMatch(
      /exceeded quota.*\nNothing was rolled back: nothing differs from the last good state\.$/s,
    );
    expect(failed.outputs.rolled_back).toBe('false');
  });
  expect(withoutLease(writes)).toEqual(['PATCH /api/v1/namespaces/demo/configmaps/nats-inventory']);
});

test('servers that were added stay: nothing is rolled back', async () => {
  await world.close();
  world = await startWorld({ nodes: 5 });
  await applied();
  refuse('/persistentvolumeclaims/data-nats-4', { times: Number.POSITIVE_INFINITY });
  const failed = await world.apply({ replicas: '5' });
  expect(failed.errors[0]).toMatch(/exceeded quota.*\nNot rolled back: 2 servers were added/s);
  expect(failed.outputs.rolled_back).toBe('false');
  expect(dig(await world.kube('GET', '/apis/apps/v1/namespaces/demo/statefulsets/nats'), 'spec', 'replicas')).toBe(5);
});

test('a state that nobody waited for is none to go back to, until a run finds it whole', async () => {
  await applied({ wait: 'false' });
  refuse('/statefulsets/nats', { times: 2 });
  const failed = await world.apply(CHANGE);
  expect(failed.errors[0]).toMatch(
    /\nNothing was rolled back: no run has waited for this cluster and found it whole yet\./,
  );
  world.faults.clear();
  await applied();
  refuse('/statefulsets/nats');
  expect((await world.apply(CHANGE)).errors[0]).toMatch(ROLLED_BACK);
});

test('what a run without changes finds whole is remembered once', async () => {
  await applied({ wait: 'false' });
  await applied({ wait: 'false' });
  const writes = await world.writesDuring(async () => expect((await applied()).outputs.changed).toBe('false'));
  expect(withoutLease(writes)).toEqual(['PATCH /api/v1/namespaces/demo/configmaps/nats-inventory']);
  expect(await world.writesDuring(() => applied())).toEqual([]);
  await world.kube('DELETE', '/apis/networking.k8s.io/v1/namespaces/demo/networkpolicies/nats');
  const repaired = await applied();
  expect(repaired.log).toContain('Created NetworkPolicy demo/nats');
  expect(repaired.log).not.toContain('Remembered');
});
