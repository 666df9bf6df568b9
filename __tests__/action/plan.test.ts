import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { rolesFor, vaultRulesFor } from '../../e2e/permissions-page.ts';
import type { RecordedRequest } from '../../simulator/requests.ts';
import type { Ending, Values } from '../../simulator/runner.ts';
import { digObjects, digText, type Json, type JsonObject } from '../../src/json.ts';
import { permissionsOf, textOf, usedBy, usedInVault } from './permissions-used.ts';
import { startWorld, type World } from './world.ts';

const EVERYTHING = { monitoring_enabled: 'true', voluntary_disruption_window_enabled: 'true' };
const STATEFUL_SET = '/apis/apps/v1/namespaces/demo/statefulsets/nats';
const CONFIG = '/api/v1/namespaces/demo/configmaps/nats';
const STATEMENT = 'application/apply-patch+yaml';
const MERGE = 'application/merge-patch+json';

function planJson({ outputs }: Ending): JsonObject {
  const plan: Json = JSON.parse(outputs.plan_json ?? '');
  return Object(plan);
}

/** The objects of a plan: "StatefulSet demo/nats". */
function planned(ending: Ending): string[] {
  const changes = digObjects(planJson(ending), 'changes');
  return changes
    .map(({ kind, namespace, name }) => `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`)
    .sort();
}

/** The objects that a run wrote, as its log tells. */
function written({ log }: Ending): string[] {
  const lines = [...log.matchAll(/^(?:Created|Updated|Deleted) (\S+ [^\s:]+)/gm)].map(([, object = '']) => object);
  return [...new Set(lines)].filter((object) => !object.startsWith('Pod ')).sort();
}

/** Requests that a run with read permission alone could not send. */
function writesIn(requests: RecordedRequest[]): string[] {
  const free = /\/selfsubject(access)?reviews$|\/v1\/(auth\/.*\/login|sys\/capabilities-self)$/;
  return requests
    .filter(({ method, path }) => method !== 'GET' && !free.test(path))
    .map(({ method, path }) => `${method} ${path}`);
}

let world: World;

/** Every request of every plan. */
const sent: RecordedRequest[] = [];

beforeAll(async () => {
  world = await startWorld({
    apiGroups: ['autoscaling.k8s.io', 'monitoring.coreos.com'],
    namespaces: ['node-image-cache'],
    nodes: 5,
    speed: 4,
  });
  const cache = { metadata: { name: 'pinned-images-amd64' } };
  await world.kube('POST', '/api/v1/namespaces/node-image-cache/configmaps', cache);
});

afterAll(() => world.close());

async function plan(inputs: Values): Promise<Ending> {
  const before = world.requests.length;
  const ending = await world.apply({ ...inputs, mode: 'plan' });
  sent.push(...world.requests.slice(before).filter(({ userAgent }) => userAgent.startsWith('kube-nats-action/')));
  return ending;
}

/** Plans, applies, and plans again: the apply writes the objects of the plan, and nothing is left to do. */
async function expectExact(inputs: Values): Promise<Ending> {
  const before = await plan(inputs);
  expect(before).toMatchObject({ errors: [], outputs: { drift: 'true', changed: 'false' } });
  const applied = await world.apply(inputs);
  expect(applied.errors).toEqual([]);
  expect(written(applied)).toEqual(planned(before));
  const after = await plan({ ...inputs, fail_on_drift: 'true' });
  expect(after).toMatchObject({ errors: [], outputs: { drift: 'false', plan: 'Plan: nothing to change.' } });
  return before;
}

describe('the objects of a plan are those that the next apply writes:', () => {
  test('all of a first install, its Namespace and the claims of the volumes with it', async () => {
    const ending = await expectExact({ ...EVERYTHING, create_namespace: 'true' });
    expect(planned(ending)).toEqual(
      expect.arrayContaining([
        'Namespace demo',
        'StatefulSet demo/nats',
        'PersistentVolumeClaim demo/data-nats-2',
        'ConfigMap node-image-cache/pinned-images-amd64',
        'Vault pki/internal/roles/nats-admin-nats',
      ]),
    );
    expect(ending.outputs.plan).toContain('create StatefulSet demo/nats\n+apiVersion: apps/v1\n+kind: StatefulSet\n');
  });

  test.each([
    ['a restart', { log_level: 'debug', fsync_interval_seconds: '30', nats_image: 'registry.example/nats:2.10.26' }],
    ['more servers, with labels', { labels: 'team: a', replicas: '5' }],
    [
      'features that go',
      { replicas: '5', monitoring_enabled: 'false', vpa_enabled: 'false', node_image_cached_enabled: 'false' },
    ],
    ['other certificates', { replicas: '5', vault_credential_lifetime_hours: '24', certificate_issuer: 'internal' }],
  ])('%s', async (_, inputs) => {
    await expectExact({ ...EVERYTHING, ...inputs });
  });
});

/** Inputs of a cluster that exists. */
const EXISTING = { ...EVERYTHING, create_namespace: 'true', replicas: '5' };

describe('a plan', () => {
  beforeAll(async () => {
    expect((await world.apply(EXISTING)).errors).toEqual([]);
  }, 120_000);

  test('shows what changes as a diff, in the log, the summary and an output', async () => {
    const { outputs, log, summary } = await plan({ ...EXISTING, reader_access: 'consuming' });
    const line = '+        max_payload: 8388608';
    for (const text of [outputs.plan, log, summary]) {
      expect(text).toContain('update ConfigMap demo/nats\n');
      expect(text).toMatch(/^@@ -\d+,\d+ \+\d+,\d+ @@$/m);
      expect(text).toMatch(/^\+ .*CONSUMER\.CREATE/m);
      expect(text).not.toContain(line);
    }
    expect(summary).toContain('<details><summary>');
    expect(log).toMatch(/^Plan: .*\d to update.* Nothing was written\.$/m);
  });

  test('tells whether the servers restart', async () => {
    const reload = await plan({ ...EXISTING, log_level: 'debug' });
    expect(reload.log).toMatch(/^Plan: [^;]*\. Nothing was written\.$/m);
    const restart = await plan({ ...EXISTING, fsync_interval_seconds: '30' });
    expect(restart.log).toMatch(
      /^Plan: .* to update; the servers would restart, one at a time\. Nothing was written\.$/m,
    );
  });

  test('fails with fail_on_drift when anything differs, and tells what', async () => {
    const inputs = { ...EXISTING, vault_credential_lifetime_hours: '48', fail_on_drift: 'true' };
    const { errors, outputs, exitCode } = await plan(inputs);
    expect(exitCode).toBe(1);
    expect(errors).toEqual([expect.stringContaining('update Certificate demo/nats-admin-creds: spec.duration')]);
    expect(outputs.drift).toBe('true');
  });

  test('refuses a StorageClass that the volumes do not have, as an apply does, before anything is written', async () => {
    const inputs = { ...EXISTING, persistence_storage_class_name: 'standard' };
    for (const mode of ['plan', 'apply']) {
      const requests = world.requests.length;
      const { errors } = await world.apply({ ...inputs, mode });
      expect(errors).toEqual([
        expect.stringMatching(/the volumes were made with ebs-standard-retained(.|\n)*nats stream/),
      ]);
      expect(writesIn(world.requests.slice(requests))).toEqual([]);
    }
  });

  test('refuses to leave one of several servers, as an apply does', async () => {
    for (const mode of ['plan', 'apply']) {
      const { errors } = await world.apply({ ...EXISTING, replicas: '1', mode });
      expect(errors).toEqual([expect.stringContaining('A server that is left alone does not offer the streams')]);
    }
  });
});

describe('what somebody changed', () => {
  const inputs = EXISTING;

  beforeAll(async () => {
    expect((await world.apply(inputs)).errors).toEqual([]);
  }, 120_000);

  const BY_HAND: [string, () => Promise<unknown>, string][] = [
    [
      'a field by kubectl edit',
      () => world.kube('PATCH', `${CONFIG}?fieldManager=kubectl-edit`, { data: { 'nats.conf': 'port: 1' } }, MERGE),
      'ConfigMap demo/nats',
    ],
    [
      'a label by kubectl label',
      () =>
        world.kube(
          'PATCH',
          `${STATEFUL_SET}?fieldManager=kubectl-label`,
          { metadata: { labels: { 'app.kubernetes.io/managed-by': 'me' } } },
          MERGE,
        ),
      'StatefulSet demo/nats',
    ],
    [
      'a field taken away by kubectl edit',
      () => world.kube('PATCH', `${CONFIG}?fieldManager=kubectl-edit`, { data: null }, MERGE),
      'ConfigMap demo/nats',
    ],
    [
      'an annotation of a claim by kubectl annotate',
      () =>
        world.kube(
          'PATCH',
          '/api/v1/namespaces/demo/persistentvolumeclaims/data-nats-0?fieldManager=kubectl-annotate',
          { metadata: { annotations: { 'resize.topolvm.io/storage_limit': '1Ti' } } },
          MERGE,
        ),
      'PersistentVolumeClaim demo/data-nats-0',
    ],
    ['an object that was deleted', () => world.kube('DELETE', CONFIG), 'ConfigMap demo/nats'],
  ];

  test.each(BY_HAND)('is told and taken back: %s', async (_, edit, object) => {
    await edit();
    expect(planned(await expectExact(inputs))).toEqual([object]);
  });

  const applied = (fields: JsonObject) =>
    world.kube(
      'PATCH',
      `${CONFIG}?fieldManager=somebody&force=true`,
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'nats' }, ...fields },
      STATEMENT,
    );

  test('and applied by another manager is told with both values, and refused until that gives it up', async () => {
    const wanted = digText(await world.kube('GET', CONFIG), 'data', 'nats.conf');
    await applied({ data: { 'nats.conf': 'port: 1' } });
    const ending = await plan(inputs);
    expect(ending).toMatchObject({ errors: [], outputs: { drift: 'true' } });
    const object = { kind: 'ConfigMap', namespace: 'demo', name: 'nats' };
    expect(planJson(ending)).toMatchObject({
      changes: [{ ...object, action: 'update' }],
      conflicts: [{ ...object, path: 'data.nats.conf', manager: 'somebody', from: 'port: 1', to: wanted }],
      refusals: [expect.stringContaining('Other field managers')],
    });
    expect(ending.summary).toContain('somebody');
    const { errors } = await plan({ ...inputs, fail_on_drift: 'true' });
    expect(errors).toEqual([expect.stringMatching(/An apply would be refused as things are(.|\n)*mode: apply/)]);
    expect((await world.apply(inputs)).errors).toEqual([expect.stringContaining('"somebody" holds .data.nats.conf')]);
    await applied({});
    expect(planned(await expectExact(inputs))).toEqual(['ConfigMap demo/nats']);
  });

  test('is told without the secrets of the inputs', async () => {
    const edit = { data: { 'nats.conf': `token: ${world.inputs.vault_token}` } };
    await world.kube('PATCH', `${CONFIG}?fieldManager=kubectl-edit`, edit, MERGE);
    const { outputs, summary, printed } = await plan(inputs);
    for (const text of [outputs.plan, outputs.plan_json, summary]) {
      expect(text).toContain('token: ***');
      expect(text).not.toContain(world.inputs.vault_token);
    }
    // But for the command by which the runner is told to mask it.
    const lines = printed.split('\n').filter((line) => line.includes(String(world.inputs.vault_token)));
    expect(lines.filter((line) => !line.startsWith('::add-mask::'))).toEqual([]);
    expect((await world.apply(inputs)).errors).toEqual([]);
  });

  test('is told without a part of a secret, where a long line or value is cut or quoted', async () => {
    const secret = 'undisclosed"'.repeat(5);
    const lines = [`${'a'.repeat(280)}${secret}`, `${'a'.repeat(19_640)}${secret}`];
    await applied({ data: { 'nats.conf': lines.join('\n') } });
    const { outputs, summary, log } = await plan({ ...inputs, vault_secret_id: secret });
    for (const text of [outputs.plan, outputs.plan_json, summary, log]) {
      expect(text).toContain('aaa***');
      expect(text).not.toContain(secret.slice(0, 4));
    }
    await applied({});
    expect((await world.apply(inputs)).errors).toEqual([]);
  });

  test('and co-owned with the same value is no drift', async () => {
    await applied({ data: { 'nats.conf': digText(await world.kube('GET', CONFIG), 'data', 'nats.conf') } });
    expect((await plan({ ...inputs, fail_on_drift: 'true' })).errors).toEqual([]);
  });
});

describe('all those plans', () => {
  test('wrote nothing, and tried to write nothing', () => {
    expect(sent.length).toBeGreaterThan(500);
    expect(writesIn(sent)).toEqual([]);
  });

  test('did what the Roles of docs/permissions.md grant for mode plan, and nothing more', () => {
    const roles = rolesFor('demo', 'plan');
    const texts = roles.flatMap((role) =>
      role.rules.flatMap((rule) => permissionsOf(rule, role.namespace ?? undefined).map(textOf)),
    );
    const held = sent.flatMap(usedBy).map((permission) => {
      const anyName = textOf({ ...permission, name: undefined });
      return texts.includes(anyName) ? anyName : textOf(permission);
    });
    expect([...new Set(held)].sort()).toEqual([...new Set(texts)].sort());
    const writing = texts.filter((text) => !/^(get|list) /.test(text) && !text.includes('services/proxy'));
    expect(writing).toEqual([]);
  });

  test('read in Vault what its policy for mode plan allows, and nothing more', () => {
    const rules = vaultRulesFor('demo', 'nats', 'plan').filter(({ optional }) => !optional);
    const allowed = rules.flatMap(({ path, capabilities }) =>
      capabilities.map((capability) => `${capability} ${path}`),
    );
    const used = [...new Set(usedInVault(sent))].filter(
      (use) => !/^(read|list) pki\/internal\/roles(\/internal)?$/.test(use),
    );
    expect(used.sort()).toEqual(allowed.sort());
  });
});

describe('before there is anything', () => {
  test('a plan shows everything without cert-manager, and that an apply would be refused', async () => {
    const bare = await startWorld({ certManager: false });
    const inputs = { create_namespace: 'true', mode: 'plan' };
    const ending = await bare.apply({ ...inputs, namespace: 'fresh' });
    expect(ending).toMatchObject({ errors: [], outputs: { drift: 'true' } });
    const kinds = new Set(digObjects(planJson(ending), 'changes').map(({ kind }) => kind));
    for (const kind of ['Namespace', 'Issuer', 'Certificate', 'StatefulSet', 'PersistentVolumeClaim', 'Vault'])
      expect(kinds).toContain(kind);
    expect(planJson(ending).refusals).toEqual([expect.stringContaining('cert-manager is not installed')]);
    expect(ending.summary).toContain('cert-manager is not installed');
    expect((await bare.apply({ ...inputs, mode: 'apply', namespace: 'fresh' })).errors).toEqual([
      expect.stringContaining('cert-manager is not installed'),
    ]);
    await bare.close();
  });
});
