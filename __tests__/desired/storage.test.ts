import { expect, test } from '@jest/globals';
import { natsConfIn, objectIn, stateWith, valueAt } from './fixture.ts';

const GIB = 1024 ** 3;

test.each([
  [1, '1Gi'],
  [1024, '1Ti'],
  [1500, '1500Gi'],
])('%i GB of storage are claimed as %s, in the form of the API server', (gigabytes, storage) => {
  const claim = valueAt(
    objectIn(stateWith({ persistence_initial_storage_gb: gigabytes }), 'StatefulSet'),
    'spec',
    'volumeClaimTemplates',
    0,
  );
  expect(valueAt(claim, 'spec', 'resources')).toEqual({ requests: { storage } });
});

test('JetStream fills 85 % of the volume: of its real size once there is one', () => {
  expect(natsConfIn(stateWith())).toContain(`max_file_store: ${Math.floor(0.85 * GIB)}\n`);
  expect(natsConfIn(stateWith({}, { volumeBytes: 4 * GIB }))).toContain(
    `max_file_store: ${Math.floor(0.85 * 4 * GIB)}\n`,
  );
});

test('volumes outlive the StatefulSet', () => {
  expect(objectIn(stateWith(), 'StatefulSet').spec).toMatchObject({
    persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
  });
});

test('the group of the volumes is a valid label, however long the names', () => {
  const names = { namespace: `n${'-a'.repeat(30)}`, name: `nats${'-b'.repeat(20)}` };
  const state = stateWith({ namespace: names.namespace }, { name: names.name });
  const labels = valueAt(
    objectIn(state, 'StatefulSet', names.name),
    'spec',
    'volumeClaimTemplates',
    0,
    'metadata',
    'labels',
  );
  const group = valueAt(labels, 'panfactum.com/pvc-group');
  expect(group).toMatch(/^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/);
  expect(group).toMatch(new RegExp(`${names.name}$`));
});
