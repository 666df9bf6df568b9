import { expect, test } from '@jest/globals';
import type { Access } from '../../../src/kube/client.ts';
import { checkPermissions } from '../../../src/reconcile/access/access-check.ts';
import { imageCacheAccess, neededAccess } from '../../../src/reconcile/access/permissions.ts';
import { fakeKube } from '../../fakes/kube.ts';
import { problemOf } from '../../fakes/problem.ts';
import { inputsWith } from '../../inputs/inputs-with.ts';

const INPUTS = inputsWith({ namespace: 'demo' });
const NEEDED = neededAccess(INPUTS, new Set(['batch/v1', 'autoscaling.k8s.io/v1']));
const PROXY = { verb: 'get', group: '', resource: 'services/proxy', namespace: 'vault', name: 'http:vault:8200' };

/** What comes of the check for an identity that lacks those. */
function lacking(denies: (access: Access) => boolean, identity: string | null = 'system:serviceaccount:ci:deployer') {
  const kube = fakeKube();
  kube.denies = denies;
  kube.identifies = identity;
  return problemOf(checkPermissions(kube, [...NEEDED, ...imageCacheAccess(INPUTS), PROXY]));
}

test('an identity that may do everything passes, and is not asked for its name', async () => {
  const kube = fakeKube();
  kube.identity = () => Promise.reject(new Error('asked'));
  await expect(checkPermissions(kube, NEEDED)).resolves.toBeUndefined();
});

test('all that is missing is told as rules, those of a Role together, and for whom', async () => {
  const problem = await lacking(
    ({ verb, resource }) =>
      (resource === 'statefulsets' && ['create', 'patch'].includes(verb)) ||
      ['pods/log', 'storageclasses', 'services/proxy'].includes(resource),
  );
  expect(problem.message).toBe(
    [
      'Checking what system:serviceaccount:ci:deployer may do: 5 permissions are missing; nothing was written.',
      '  - { apiGroups: ["apps"], resources: [statefulsets], verbs: [create, patch] } # Role in namespace demo',
      '  - { apiGroups: [""], resources: [pods/log], verbs: [get] } # Role in namespace demo',
      '  - { apiGroups: ["storage.k8s.io"], resources: [storageclasses], verbs: [list] } # ClusterRole',
      '  - { apiGroups: [""], resources: [services/proxy], resourceNames: ["http:vault:8200"], verbs: [get] } # Role in namespace vault',
      'Add each rule to the Role or ClusterRole that its comment tells, bound to system:serviceaccount:ci:deployer: see docs/permissions.md.',
    ].join('\n'),
  );
  expect(problem.details.kind).toBe('permission');
});

test('one rule is about all the names that are missing', async () => {
  const problem = await lacking(({ namespace }) => namespace === 'node-image-cache');
  expect(problem.details.findings).toEqual([
    '{ apiGroups: [""], resources: [configmaps], resourceNames: ["pinned-images-amd64", "pinned-images-arm64"], verbs: [get, patch] } # Role in namespace node-image-cache',
  ]);
});

test('what a feature alone needs can be spared', async () => {
  const problem = await lacking(({ resource }) => resource === 'verticalpodautoscalers');
  expect(problem.message).toMatch(/switching it off: vpa_enabled/);
  expect((await lacking(({ resource }) => resource === 'leases')).message).not.toContain('switching it off');
});

test('an API server that tells nobody who he is does without', async () => {
  const problem = await lacking(({ resource }) => resource === 'leases', null);
  expect(problem.message).toMatch(/^Checking what the identity of the kubeconfig may do: 3 permissions are missing/);
});
