import { expect, test } from '@jest/globals';
import type { Access } from '../../src/kube/client.ts';
import { checkPermissions, neededAccess } from '../../src/reconcile/permissions.ts';
import { fakeKube } from '../fakes/kube.ts';
import { problemOf } from '../fakes/problem.ts';

const text = ({ verb, group, resource, namespace, name }: Access) =>
  [verb, resource + (group && `.${group}`), namespace, name].filter((part) => part !== undefined).join(' ');

const PLAIN = { namespace: 'demo', create_namespace: false, certificate_issuer: null };

test('what a run does is what it asks for', () => {
  const all = neededAccess(PLAIN).map(text);
  expect(all).toEqual(
    expect.arrayContaining([
      'patch statefulsets.apps demo',
      'delete certificates.cert-manager.io demo',
      'patch certificates/status.cert-manager.io demo',
      'update leases.coordination.k8s.io demo',
      'get secrets demo',
      'get pods/proxy demo',
      'get namespaces',
      'list storageclasses.storage.k8s.io',
    ]),
  );
  expect(all.filter((access) => /secrets|persistentvolumeclaims/.test(access))).toEqual([
    'get secrets demo',
    'list persistentvolumeclaims demo',
  ]);
  expect(all).toContain('create serviceaccounts/token demo');
  expect(all).not.toContain('create namespaces');
  expect(all).not.toContain('get clusterissuers.cert-manager.io');
  expect(neededAccess({ ...PLAIN, certificate_issuer: 'a' }).map(text)).toContain('get clusterissuers.cert-manager.io');
  expect(neededAccess({ ...PLAIN, create_namespace: true }).map(text)).toContain('create namespaces');
  expect(new Set(all).size).toBe(all.length);
});

test('an identity that may do everything passes', async () => {
  await expect(checkPermissions(fakeKube(), neededAccess(PLAIN))).resolves.toBeUndefined();
});

test('all that is missing is told as rules, one a resource', async () => {
  const kube = fakeKube();
  kube.denies = ({ verb, resource }) =>
    (resource === 'statefulsets' && ['create', 'patch'].includes(verb)) ||
    ['pods/proxy', 'storageclasses', 'services/proxy'].includes(resource);
  const proxy = { verb: 'get', group: '', resource: 'services/proxy', namespace: 'vault', name: 'http:vault:8200' };
  const problem = await problemOf(checkPermissions(kube, [...neededAccess(PLAIN), proxy]));
  expect(problem.message).toBe(
    [
      "Checking the kubeconfig identity's permissions: 5 are missing; nothing was written.",
      '  - apiGroups: ["apps"], resources: [statefulsets] (namespace demo), verbs: [create, patch]',
      '  - apiGroups: [""], resources: [pods/proxy] (namespace demo), verbs: [get]',
      '  - apiGroups: ["storage.k8s.io"], resources: [storageclasses], verbs: [list]',
      '  - apiGroups: [""], resources: [services/proxy] (namespace vault), verbs: [get]',
      'Add each rule to a Role in the namespace it names (to a ClusterRole where it names none), bound to that identity.',
    ].join('\n'),
  );
  expect(problem.details.kind).toBe('permission');
});
