import { describe, expect, test } from '@jest/globals';
import { inventoryId, MEMBER_LABEL } from '../../../src/desired/apply-set.ts';
import type { DesiredState, Share } from '../../../src/desired/state.ts';
import type { KubeObject } from '../../../src/kube/object.ts';
import type { Adoption } from '../../../src/reconcile/adoption/adoption.ts';
import { renderInventory } from '../../../src/reconcile/inventory.ts';
import { isEmpty, makePlan } from '../../../src/reconcile/plan/plan.ts';
import { problemOf } from '../../fakes/problem.ts';
import { desiredVault } from '../../vault/desired.ts';
import { contextWith } from '../context.ts';

const DEPLOYMENT = { actionVersion: '1.0.0', repository: '', commit: '', runUrl: '' };

/** The label of the cluster's objects. */
const member = (cluster = 'nats-a') => ({ [MEMBER_LABEL]: inventoryId('demo', cluster) });

function configMap(name: string, data = { a: '1' }): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'demo', labels: { x: 'y', ...member() } },
    data,
  };
}

function service(name: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'demo', labels: member() },
    spec: { ports: [{ port: 1 }] },
  };
}

function desired(...objects: KubeObject[]): DesiredState {
  return { objects, shares: [], comingClaims: [], vault: desiredVault(), notices: [] };
}

/** Where it is in Vault. */
const VAULT = { pkiMounts: ['pki/internal'], authPaths: ['kubernetes'] };

/** A cluster as an earlier run left it, and the plan for what is wanted now. */
async function afterRun(...objects: KubeObject[]) {
  const context = contextWith();
  for (const object of objects) await context.kube.apply(object);
  const kinds = [...new Set(objects.map(({ kind }) => kind))].sort();
  const inventory = renderInventory(
    'demo',
    'nats-a',
    {},
    { groupKinds: kinds, namespaces: [], vault: VAULT },
    DEPLOYMENT,
  );
  const { policy, pkiRoles, authRole } = desiredVault();
  context.vault.store.set(`sys/policies/acl/${policy.name}`, { policy: policy.rules });
  for (const { path, parameters } of [...pkiRoles, authRole]) context.vault.store.set(path.join('/'), parameters);
  context.kube.writes.length = 0;
  const plan = (...wanted: KubeObject[]) =>
    makePlan({ ...context, namespaceExists: true, readOnly: false }, desired(...wanted), inventory);
  const planWith = (...shares: Share[]) =>
    makePlan({ ...context, namespaceExists: true, readOnly: false }, { ...desired(...objects), shares }, inventory);
  return { ...context, plan, planWith };
}

describe('a plan', () => {
  test('for what is already as it should be is empty, and took no write', async () => {
    const { plan, kube } = await afterRun(configMap('a'), service('b'));
    const made = await plan(configMap('a'), service('b'));
    expect(isEmpty(made)).toBe(true);
    expect(kube.writes).toEqual([]);
  });

  test('for a namespace that does not exist creates everything without asking it', async () => {
    const { kube, vault } = contextWith();
    kube.take('Namespace', 'demo');
    const sources = { kube, vault, namespace: 'demo', name: 'nats-a', namespaceExists: false, readOnly: false };
    const made = await makePlan(sources, desired(configMap('a')), null);
    expect(made.objects).toMatchObject([{ action: 'create', object: { metadata: { name: 'a' } }, fields: [] }]);
    expect(made.vault.map(({ action }) => action)).toEqual(['create', 'create', 'create', 'create']);
    const scope = { groupKinds: ['ConfigMap'], namespaces: [], vault: VAULT };
    expect(made.inventory).toEqual({ current: false, during: scope, after: scope });
  });

  test('binds a Role that is not there without asking: the API server would refuse to tell', async () => {
    const rbac = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      metadata: { name: 'a', namespace: 'demo', labels: member() },
    };
    const role = { ...rbac, kind: 'Role', rules: [] };
    const binding = { ...rbac, kind: 'RoleBinding', roleRef: { kind: 'Role', name: 'a' } };
    const first = await afterRun(configMap('b'));
    const apply = first.kube.apply;
    first.kube.apply = (object, options) =>
      object.kind === 'RoleBinding' ? Promise.reject(new Error('not found')) : apply(object, options);
    const made = await first.plan(configMap('b'), role, binding);
    expect(made.objects.map(({ action, object }) => `${action} ${object.kind}`)).toEqual([
      'create Role',
      'create RoleBinding',
    ]);

    const later = await afterRun(role, binding);
    expect((await later.plan(role, binding)).objects).toEqual([]);
    later.kube.take('Role', 'a');
    const again = await later.plan(role, binding);
    expect(again.objects.map(({ action, object }) => `${action} ${object.kind}`)).toEqual(['create Role']);
  });

  test('names what changes, comes and goes', async () => {
    const { plan } = await afterRun(configMap('a'), service('old'));
    const changed = { ...configMap('a'), data: { a: '2', b: '3' } };
    const made = await plan(changed, configMap('new'));
    expect(made.objects.map(({ action, object, fields }) => [action, object.metadata.name, fields])).toEqual([
      [
        'update',
        'a',
        [
          { path: 'data.a', from: '1', to: '2' },
          { path: 'data.b', from: undefined, to: '3' },
        ],
      ],
      ['create', 'new', []],
    ]);
    expect(made.prune.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual(['Service old']);
    expect(made.inventory).toEqual({
      current: false,
      during: { groupKinds: ['ConfigMap', 'Service'], namespaces: [], vault: VAULT },
      after: { groupKinds: ['ConfigMap'], namespaces: [], vault: VAULT },
    });
  });

  test('sees a field that is wanted no more', async () => {
    const { plan } = await afterRun(configMap('a', { a: '1', b: '2' } as never));
    expect((await plan(configMap('a'))).objects[0]?.fields).toEqual([{ path: 'data.b', from: '2', to: undefined }]);
  });

  test('sees what somebody else changed, but not what controllers report or count', async () => {
    const { plan, kube } = await afterRun(service('a'), service('b'));
    kube.put({ ...kube.stored('Service', 'a'), spec: { ports: [{ port: 2 }] } });
    kube.put({ ...kube.stored('Service', 'b'), status: { loadBalancer: {} } });
    expect((await plan(service('a'), service('b'))).objects.map(({ object }) => object.metadata.name)).toEqual(['a']);
  });

  test('takes over a member of the right values that nobody applied, as after a restore', async () => {
    const { plan, kube } = await afterRun(service('a'));
    kube.put(configMap('b'));
    const made = await plan(service('a'), configMap('b'));
    expect(made.objects).toMatchObject([{ action: 'update', fields: [{ path: 'metadata.managedFields' }] }]);
  });

  test('never prunes a volume claim, even where the inventory names its kind and the claim its label', async () => {
    const claim: KubeObject = {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data-nats-a-0', namespace: 'demo', labels: member() },
    };
    const { plan } = await afterRun(configMap('a'), claim);
    expect((await plan(configMap('a'))).prune).toEqual([]);
  });

  test("leaves another cluster's objects alone", async () => {
    const { plan, kube } = await afterRun(configMap('a'));
    const theirs = configMap('b');
    kube.put({ ...theirs, metadata: { ...theirs.metadata, labels: member('nats-b') } });
    expect(isEmpty(await plan(configMap('a')))).toBe(true);
  });
});

describe('objects of the right names', () => {
  const unlabelled = (object: KubeObject): KubeObject => {
    const { labels: _, ...metadata } = object.metadata;
    return { ...object, metadata };
  };

  test.each([
    ["another cluster's", { [MEMBER_LABEL]: inventoryId('demo', 'nats-b') }, "is another cluster's"],
    ['of nobody in particular', {}, 'was not made by this action'],
  ])('that are %s are left alone: nothing is written', async (_, labels, words) => {
    const { plan, kube } = await afterRun(configMap('a'));
    kube.put({ ...service('b'), metadata: { name: 'b', namespace: 'demo', labels } });
    const { details } = await problemOf(plan(configMap('a'), service('b')));
    expect(details).toMatchObject({ kind: 'conflict', findings: [`Service demo/b ${words}`] });
    expect(kube.writes).toEqual([]);
  });

  test('are its own still when somebody took the label away', async () => {
    const { plan, kube } = await afterRun(configMap('a'));
    kube.put(unlabelled(kube.stored('ConfigMap', 'a')));
    expect((await plan(configMap('a'))).objects).toMatchObject([{ action: 'update' }]);
  });

  test("are not, when they are another cluster's inventory", async () => {
    const { plan, kube } = await afterRun(configMap('a'));
    await kube.apply(
      renderInventory('demo', 'nats-b', {}, { groupKinds: [], namespaces: [], vault: VAULT }, DEPLOYMENT),
    );
    await expect(plan(configMap('a'), configMap('nats-b-inventory'))).rejects.toThrow('was not made by this action');
  });
});

describe('a Secret of the name that a Certificate fills', () => {
  const CERTIFICATE: KubeObject = {
    apiVersion: 'cert-manager.io/v1',
    kind: 'Certificate',
    metadata: { name: 'nats-a-admin-creds', namespace: 'demo', labels: member() },
    spec: { secretName: 'nats-a-admin-creds' },
  };
  const secret = (annotations: { [key: string]: string }): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'nats-a-admin-creds', namespace: 'demo', annotations },
    data: { password: 'aHVudGVyMg==' },
  });

  test.each([
    ['nobody made for a Certificate', {}],
    ['cert-manager made for another Certificate', { 'cert-manager.io/certificate-name': 'website' }],
  ])('that %s is left alone: nothing is written', async (_, annotations) => {
    const { plan, kube } = await afterRun(configMap('a'));
    kube.put(secret(annotations));
    const { message, details } = await problemOf(plan(configMap('a'), CERTIFICATE));
    expect(details).toMatchObject({
      kind: 'conflict',
      findings: ['Secret demo/nats-a-admin-creds was not made by this action'],
    });
    expect(message).not.toContain('aHVudGVyMg==');
    expect(kube.writes).toEqual([]);
  });

  test('that an earlier cluster of this name left is used again', async () => {
    const { plan, kube } = await afterRun(configMap('a'));
    kube.put(secret({ 'cert-manager.io/certificate-name': 'nats-a-admin-creds' }));
    const { objects } = await plan(configMap('a'), CERTIFICATE);
    expect(objects).toMatchObject([{ action: 'create', object: { kind: 'Certificate' } }]);
  });

  test("is the Certificate's own once that exists: it is not read again", async () => {
    const { plan, kube } = await afterRun(configMap('a'), CERTIFICATE);
    kube.put(secret({}));
    kube.getMetadata = () => Promise.reject(new Error('out of order'));
    const renewed = { ...CERTIFICATE, spec: { secretName: 'nats-a-admin-creds', duration: '4h0m0s' } };
    const { objects } = await plan(configMap('a'), renewed);
    expect(objects).toMatchObject([{ action: 'update', object: { kind: 'Certificate' } }]);
  });
});

describe('fields in objects of others', () => {
  test('that somebody else holds are told with how to give them up, which is not to delete the object', async () => {
    const { planWith, kube } = await afterRun(configMap('a'));
    const claim = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'data', namespace: 'demo' } };
    kube.put(claim);
    kube.conflicts.set('PersistentVolumeClaim demo/data', [{ manager: 'resizer', field: '.metadata.annotations.x' }]);
    const { details } = await problemOf(planWith({ object: claim, manager: 'kube-nats-action', takesFrom: [] }));
    expect(details.next).toContain('by its inputs');
    expect(details.next).not.toContain('delete');
  });

  const images = (data: { [key: string]: string }): Share => ({
    object: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'pinned', namespace: 'images' }, data },
    manager: 'kube-nats-action/demo/nats-a',
    takesFrom: [],
  });

  test('are applied by a manager of their own, and keep what the others have', async () => {
    const { planWith, kube } = await afterRun(configMap('a'));
    kube.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'images' } });
    kube.put({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'pinned', namespace: 'images' },
      data: { x: 'y' },
    });
    const share = images({ a: 'nats:1' });
    const made = await planWith(share);
    expect(made.objects).toEqual([
      {
        action: 'update',
        object: share.object,
        fields: [{ path: 'data.a', from: undefined, to: 'nats:1' }],
        options: { manager: share.manager, takesFrom: [] },
        live: kube.stored('ConfigMap', 'pinned', 'images'),
        conflicts: [],
      },
    ]);
    expect(made.inventory.after).toEqual({ groupKinds: ['ConfigMap'], namespaces: ['images'], vault: VAULT });
    expect(kube.writes).toEqual([]);
  });

  test('are taken back by a share without any, and the inventory forgets their namespace last', async () => {
    const { kube, ...context } = await afterRun(configMap('a'));
    kube.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'images' } });
    const share = images({ a: 'nats:1' });
    await kube.apply(share.object, { manager: share.manager });
    const inventory = renderInventory(
      'demo',
      'nats-a',
      {},
      { groupKinds: ['ConfigMap'], namespaces: ['images'], vault: VAULT },
      DEPLOYMENT,
    );
    const wanted = { ...desired(configMap('a')), shares: [images({})] };
    const made = await makePlan({ ...context, kube, namespaceExists: true, readOnly: false }, wanted, inventory);
    expect(made.objects).toMatchObject([{ action: 'update', fields: [{ path: 'data.a', to: undefined }] }]);
    expect(made.inventory).toMatchObject({ during: { namespaces: ['images'] }, after: { namespaces: [] } });
  });
});

describe('what is left of the Terraform module', () => {
  const LEFT = ['Policy/nats-a-fixup', 'Secret/nats-a'];

  async function planWith(adoption?: Partial<Adoption>) {
    const context = await afterRun(configMap('a'));
    const scope = { groupKinds: ['ConfigMap'], namespaces: [], vault: VAULT, leftovers: LEFT };
    const inventory = renderInventory('demo', 'nats-a', {}, scope, DEPLOYMENT);
    const policy = {
      apiVersion: 'kyverno.io/v1',
      kind: 'Policy',
      metadata: { name: 'nats-a-fixup', namespace: 'demo' },
    };
    const known = { begins: false, recorded: LEFT, leftovers: [policy], removes: false, ...adoption };
    const sources = {
      ...context,
      namespaceExists: true,
      readOnly: false,
      ...(adoption === undefined ? {} : { adoption: known }),
    };
    return { policy, ...(await makePlan(sources, desired(configMap('a')), inventory)) };
  }

  test('stays recorded where it stays, also by who does not look at it', async () => {
    for (const adoption of [{}, undefined]) {
      const { inventory, prune } = await planWith(adoption);
      expect(prune).toEqual([]);
      expect(inventory).toMatchObject({ current: true, during: { leftovers: LEFT }, after: { leftovers: LEFT } });
    }
  });

  test('goes with consent, and is forgotten last', async () => {
    const { policy, inventory, prune } = await planWith({ removes: true });
    expect(prune).toEqual([policy]);
    expect(inventory).toMatchObject({ current: false, during: { leftovers: LEFT }, after: { leftovers: [] } });
  });
});

describe('fields that others hold', () => {
  test('are told all at once: manager, object and field', async () => {
    const { plan, kube } = await afterRun(configMap('a'), service('b'), service('c'));
    kube.conflicts.set('ConfigMap demo/a', [{ manager: 'helm', field: '.data.a' }]);
    kube.conflicts.set('Service demo/b', [
      { manager: 'kubectl-edit', field: '.spec.ports' },
      { manager: 'helm', field: '.metadata.labels.x' },
    ]);
    const problem = await problemOf(plan(configMap('a'), service('b'), service('c')));
    expect(problem.details.kind).toBe('conflict');
    expect(problem.details.findings).toEqual([
      '"helm" holds .data.a of ConfigMap demo/a',
      '"kubectl-edit" holds .spec.ports of Service demo/b',
      '"helm" holds .metadata.labels.x of Service demo/b',
    ]);
    expect(problem.message).toContain('nothing was written');
  });

  test('do not hide another failure', async () => {
    const { plan, kube } = await afterRun(configMap('a'));
    kube.apply = () => Promise.reject(new Error('out of order'));
    await expect(plan(configMap('a'))).rejects.toThrow('out of order');
  });
});
