import { afterEach, expect, test } from '@jest/globals';
import { resourceOf } from '../../simulator/kubernetes/resources.ts';
import { startMain } from '../../simulator/runner.ts';
import type { SimulatorOptions } from '../../simulator/simulator.ts';
import { digText } from '../../src/json.ts';
import { during, startWorld, type World, writesTo } from './world.ts';

const TYPO = { nats_image: 'registry.example/nats:typo' };
const REMOVE = { failed_install: 'remove' };

let world: World;

async function start(options: SimulatorOptions = {}): Promise<void> {
  world = await startWorld(options);
  world.behaviour.missingImages.add(TYPO.nats_image);
}

afterEach(() => world.close());

/** What there is in the namespace of those kinds: "ConfigMap nats". */
function named(...kinds: string[]): string[] {
  return kinds.flatMap((kind) =>
    world.cluster.store.list(resourceOf(kind), 'demo').map(({ metadata }) => `${kind} ${metadata.name}`),
  );
}

const inVault = (): string[] => {
  const { policies, pki, auth } = world.vault.namespace();
  const roles = [...pki, ...auth].flatMap(([, { roles }]) => [...roles.keys()]);
  return [...roles, ...policies.keys()].filter((name) => name.includes('nats'));
};

/** A quota that refuses what follows from the data volumes, when all servers run. */
function refuseClaims(): void {
  const body = { kind: 'Status', apiVersion: 'v1', status: 'Failure', message: 'exceeded quota: small', code: 403 };
  const matches = writesTo('/persistentvolumeclaims/');
  world.faults.add({ effect: 'answer', status: 403, body, matches, times: Number.POSITIVE_INFINITY });
}

test('is left for a look, and the next run repairs it', async () => {
  await start();
  const failed = await world.apply(TYPO);
  expect(failed.errors).toHaveLength(1);
  expect(failed.errors[0]).toMatch(
    /^Starting pod demo\/nats-\d, .*\nThis first install is left for a look: kubectl -n demo describe pods -l \S+\. The next run/,
  );
  expect(failed.outputs).toMatchObject({ changed: 'true', rolled_back: 'false' });
  expect(named('StatefulSet')).toEqual(['StatefulSet nats']);
  expect((await world.apply()).errors).toEqual([]);
});

test('is removed with its namespace where the run made that, data volumes that no server ran on included', async () => {
  await start({ namespaces: [] });
  const failed = await world.apply({ ...TYPO, ...REMOVE, create_namespace: 'true' });
  expect(failed.errors).toHaveLength(1);
  expect(failed.errors[0]).toMatch(
    /^Starting pod demo\/nats-\d, .*\nWhat this first install had made is removed again, as failed_install is remove\.$/s,
  );
  expect(world.cluster.store.get(resourceOf('Namespace'), '', 'demo')).toBeUndefined();
  expect(named('StatefulSet', 'ConfigMap', 'PersistentVolumeClaim', 'Secret', 'Certificate')).toEqual([]);
  expect(inVault()).toEqual([]);
});

test('is removed from a namespace that was there, with all that others have in it', async () => {
  await start();
  await world.apply();
  await world.apply({ mode: 'destroy' });
  const kept = named('PersistentVolumeClaim');
  expect(kept).toHaveLength(3);
  const theirs = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'theirs' } };
  await world.kube('POST', '/api/v1/namespaces/demo/configmaps', theirs);
  const failed = await world.apply({ ...TYPO, ...REMOVE });
  expect(failed.errors[0]).toMatch(/is removed again/);
  expect(named('PersistentVolumeClaim')).toEqual(kept);
  expect(named('StatefulSet', 'ConfigMap', 'Secret', 'Certificate')).toEqual(['ConfigMap theirs']);
  expect(inVault()).toEqual([]);
});

test('leaves data volumes that a server has run on', async () => {
  await start();
  refuseClaims();
  const failed = await world.apply(REMOVE);
  expect(failed.errors[0]).toMatch(/exceeded quota.*\nWhat this first install had made is removed again/s);
  expect(named('StatefulSet', 'ConfigMap')).toEqual([]);
  expect(named('PersistentVolumeClaim')).toHaveLength(3);
});

test.each([
  ['of another workflow run', { GITHUB_RUN_ID: '4712' }],
  ['of the same workflow run', {}],
])(
  'is left alone, with its data, where a job %s has taken it on before it could be removed',
  async (_, environment) => {
    await start();
    let isStopped = false;
    world.faults.add({
      effect: 'none',
      // It gives its lock back.
      matches: ({ method, path, body }) =>
        method === 'PUT' && path.includes('/leases/nats') && digText(body, 'spec', 'holderIdentity') === '',
      struck: () => {
        isStopped = failing.process.kill('SIGSTOP');
      },
    });
    const failing = startMain({ ...world.inputs, ...TYPO, ...REMOVE });
    await during(failing, 'giving its lock back', () => isStopped);
    expect((await world.apply({ wait: 'false' }, environment)).errors).toEqual([]);
    const left = named('StatefulSet', 'ConfigMap', 'PersistentVolumeClaim', 'Secret', 'Certificate', 'Issuer');
    const leftInVault = inVault();
    failing.process.kill('SIGCONT');
    const failed = await failing.ended;
    expect(named('StatefulSet', 'ConfigMap', 'PersistentVolumeClaim', 'Secret', 'Certificate', 'Issuer')).toEqual(left);
    expect(inVault()).toEqual(leftInVault);
    expect(left).toContain('StatefulSet nats');
    expect(failed.errors).toHaveLength(1);
    expect(failed.errors[0]).toMatch(
      /^Starting pod .*\nThis first install is left, though failed_install is remove\..*Another run has worked on the cluster since it failed\. Nothing was removed/s,
    );
    expect((await world.apply()).errors).toEqual([]);
  },
);

test('is none where anything of the cluster was there before: nothing is removed', async () => {
  await start();
  await world.apply({ wait: 'false' });
  await world.kube('DELETE', '/api/v1/namespaces/demo/configmaps/nats-inventory');
  const failed = await world.apply({ ...TYPO, ...REMOVE });
  expect(failed.errors[0]).toMatch(/\nNothing was rolled back: no run has waited for this cluster/);
  expect(named('StatefulSet')).toEqual(['StatefulSet nats']);
});

test.each([
  ['statefulsets', 'statefulsets], verbs: [delete]', {}],
  ['services', 'services/proxy], resourceNames: ["http:vault-active:8200"], verbs: [delete]', {}],
  ['namespaces', 'namespaces], verbs: [delete]', { namespace: 'new', create_namespace: 'true' }],
])('that could not be removed, for want of %s, is not begun: what lacks is told', async (denied, rule, inputs) => {
  await start();
  world.behaviour.denied = ({ verb, resource, subresource }) =>
    verb === 'delete' && resource === denied && (subresource === 'proxy') === (denied === 'services');
  const writes = await world.writesDuring(async () => {
    const { errors } = await world.apply({ ...REMOVE, ...inputs });
    expect(errors[0]).toContain('to remove a first install that fails');
    expect(errors[0]).toContain(rule);
  });
  expect(writes).toEqual([]);
});

test('that cannot be removed tells both', async () => {
  await start();
  const body = { kind: 'Status', apiVersion: 'v1', status: 'Failure', message: 'denied the request: no', code: 403 };
  const matches = ({ method, path }: { method: string; path: string }) =>
    method === 'DELETE' && path.includes('/statefulsets/');
  world.faults.add({ effect: 'answer', status: 403, body, matches, times: Number.POSITIVE_INFINITY });
  const { errors } = await world.apply({ ...TYPO, ...REMOVE });
  expect(errors[0]).toMatch(
    /^Starting pod .*\nRemoving what this first install had made failed as well\. Deleting StatefulSet demo\/nats: .*denied the request/s,
  );
});
