import { expect, test } from '@jest/globals';
import type { Inputs } from '../../../src/inputs/table.ts';
import type { Access } from '../../../src/kube/client.ts';
import { neededAccess, removalAccess, removalOf } from '../../../src/reconcile/access/permissions.ts';
import { inputsWith } from '../../inputs/inputs-with.ts';

const text = ({ verb, group, resource, namespace, name }: Access) =>
  [verb, resource + (group && `.${group}`), namespace, name].filter((part) => part !== undefined).join(' ');

const PLAIN = inputsWith({ namespace: 'demo', create_namespace: false, certificate_issuer: null });
const APIS = new Set(['batch/v1']);

test('what a run does is what it asks for', () => {
  const all = neededAccess(PLAIN, APIS).map(text);
  expect(all).toEqual(
    expect.arrayContaining([
      'patch statefulsets.apps demo',
      'delete certificates.cert-manager.io demo',
      'patch certificates/status.cert-manager.io demo',
      'update leases.coordination.k8s.io demo',
      'get secrets demo',
      'get pods/portforward demo',
      'create pods/portforward demo',
      'get namespaces',
      'list storageclasses.storage.k8s.io',
    ]),
  );
  expect(all.filter((access) => /secrets|persistentvolumeclaims/.test(access))).toEqual([
    'get secrets demo',
    'get persistentvolumeclaims demo',
    'list persistentvolumeclaims demo',
    'patch persistentvolumeclaims demo',
  ]);
  expect(all).toContain('create serviceaccounts/token demo');
  expect(all).not.toContain('create namespaces');
  expect(all.filter((access) => access.includes('clusterissuers'))).toEqual([]);
  expect(neededAccess({ ...PLAIN, certificate_issuer: 'a' }, APIS).map(text)).toContain(
    'get clusterissuers.cert-manager.io a',
  );
  expect(neededAccess({ ...PLAIN, create_namespace: true }, APIS).map(text)).toContain('create namespaces');
  expect(new Set(all).size).toBe(all.length);
});

test.each<[string, Partial<Inputs>, string, string]>([
  [
    'vpa_enabled',
    { vpa_enabled: true },
    'autoscaling.k8s.io/v1',
    'patch verticalpodautoscalers.autoscaling.k8s.io demo',
  ],
  [
    'monitoring_enabled',
    { monitoring_enabled: true },
    'monitoring.coreos.com/v1',
    'patch podmonitors.monitoring.coreos.com demo',
  ],
  ['windows', { voluntary_disruption_window_enabled: true }, 'batch/v1', 'patch cronjobs.batch demo'],
])('%s asks for more, where the target serves it', (_, inputs, api, access) => {
  const wanted = inputsWith({ vpa_enabled: false, ...inputs });
  expect(neededAccess(wanted, new Set([api])).map(text)).toContain(access);
  expect(neededAccess(wanted, new Set()).map(text)).not.toContain(access);
  expect(neededAccess(inputsWith({ vpa_enabled: false }), new Set([api])).map(text)).not.toContain(access);
});

test('what an earlier run made and this one does not want has to be removed', () => {
  const off = inputsWith({ vpa_enabled: false, node_image_cached_enabled: false });
  const recorded = ['VerticalPodAutoscaler', 'StatefulSet'] as const;
  expect(removalAccess(off, [...recorded], ['node-image-cache']).map(text)).toEqual([
    'list verticalpodautoscalers.autoscaling.k8s.io demo',
    'delete verticalpodautoscalers.autoscaling.k8s.io demo',
    'get configmaps node-image-cache pinned-images-amd64',
    'get configmaps node-image-cache pinned-images-arm64',
    'patch configmaps node-image-cache pinned-images-amd64',
    'patch configmaps node-image-cache pinned-images-arm64',
  ]);
  expect(removalAccess(inputsWith(), [...recorded], ['node-image-cache'])).toEqual([]);
});

test('windows without disruptions need no CronJobs', () => {
  const inputs = { voluntary_disruption_window_enabled: true, voluntary_disruptions_enabled: false };
  expect(neededAccess(inputsWith(inputs), APIS).map(text)).not.toContain('patch cronjobs.batch demo');
});

test('what is removed may be of a kind that no run of this release makes and removes', () => {
  const object = (name: string) => ({ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'demo' } });
  expect(removalOf([object('a'), object('b')]).map(text)).toEqual(['delete services demo']);
});

test('what holds data, or keeps clients connected, may not be removed', () => {
  const deletes = neededAccess(PLAIN, APIS)
    .map(text)
    .filter((access) => access.startsWith('delete'));
  expect(deletes.length).toBeGreaterThan(3);
  expect(deletes.join()).not.toMatch(/ (persistentvolumeclaims|secrets|statefulsets|services|namespaces)\b/);
});
