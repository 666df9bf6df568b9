import { describe, expect, test } from '@jest/globals';
import type { TargetFacts } from '../../src/desired/state.ts';
import type { Inputs } from '../../src/inputs/table.ts';
import { CHART_MADE, NAME, natsConfIn, objectIn, podTemplate, stateWith, valueAt } from './fixture.ts';

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

test('JetStream fills 85 % of the size that volumes were made with, where none can be looked at', () => {
  expect(natsConfIn(stateWith({}, { immutable: CHART_MADE }))).toContain(
    `max_file_store: ${Math.floor(0.85 * 5 * GIB)}\n`,
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

const CLAIMS = [0, 1, 2].map((ordinal) => ({ name: `data-${NAME}-${ordinal}`, uid: `uid-${ordinal}` }));

/** The claims of a state as they are to be made. */
function templateOf(overrides: Partial<Inputs> = {}) {
  return valueAt(objectIn(stateWith(overrides), 'StatefulSet'), 'spec', 'volumeClaimTemplates', 0, 'metadata');
}

/** The metadata of the first claim that exists. */
function claimOf(overrides: Partial<Inputs> = {}, facts: Partial<TargetFacts> = {}) {
  const { shares } = stateWith(overrides, { claims: CLAIMS, ...facts });
  return shares[0]?.object.metadata;
}

describe('the claims that exist', () => {
  test('are told apart by uid and not made, and are no members of the inventory', () => {
    const { shares } = stateWith({}, { claims: CLAIMS });
    expect(shares.map(({ object }) => [object.kind, object.metadata.name, object.metadata.uid])).toEqual(
      CLAIMS.map(({ name, uid }) => ['PersistentVolumeClaim', name, uid]),
    );
    const keys = shares.map(({ object }) => Object.keys(object));
    expect(keys).toEqual(CLAIMS.map(() => ['apiVersion', 'kind', 'metadata']));
    expect(JSON.stringify(shares)).not.toContain('applyset');
  });

  test('carry what the autoresizer goes by', () => {
    const sizes = {
      persistence_storage_limit_gb: 40,
      persistence_storage_increase_gb: 3,
      persistence_storage_increase_threshold_percent: 25,
    };
    expect(claimOf(sizes)?.annotations).toMatchObject({
      'resize.topolvm.io/storage_limit': '40Gi',
      'resize.topolvm.io/increase': '3Gi',
      'resize.topolvm.io/threshold': '25%',
    });
  });

  test.each<[string, Partial<Inputs>, Partial<TargetFacts>, string]>([
    ['new ones', { persistence_initial_storage_gb: 7 }, {}, '70Gi'],
    ['those that were made with another size', {}, { immutable: CHART_MADE }, '50Gi'],
    ['those of an odd size', {}, { immutable: madeWith('1500M') }, '14Gi'],
    ['those of a tiny size', {}, { immutable: madeWith('50Mi') }, '1Gi'],
  ])('may grow to ten times what they were made with: %s', (_, overrides, facts, limit) => {
    expect(claimOf(overrides, facts)?.annotations).toMatchObject({ 'resize.topolvm.io/storage_limit': limit });
  });

  test('are in backups, or out of them by the label that Velero goes by and the mark of Panfactum', () => {
    const on = claimOf();
    expect(on?.labels).not.toHaveProperty(['velero.io/exclude-from-backup']);
    expect(on?.annotations).toMatchObject({ 'velero.io/exclude-from-backups': 'false' });
    const off = claimOf({ persistence_backups_enabled: false });
    expect(off?.labels).toMatchObject({ 'velero.io/exclude-from-backup': 'true' });
    expect(off?.annotations).toMatchObject({ 'velero.io/exclude-from-backups': 'true' });
  });

  test('carry the labels of the pods and of the input', () => {
    const overrides = { labels: { team: 'payments' }, spot_nodes_enabled: false };
    const pods = valueAt(podTemplate(stateWith(overrides)), 'metadata', 'labels');
    expect(pods).toMatchObject({ team: 'payments', 'panfactum.com/spot-enabled': 'false' });
    expect(claimOf(overrides)?.labels).toMatchObject({ ...Object(pods), 'panfactum.com/pvc-group': `demo.${NAME}` });
  });
});

describe('a claim that is made anew', () => {
  test.each<Partial<Inputs>>([{}, { persistence_storage_limit_gb: 40, persistence_backups_enabled: false }])(
    'has all annotations from its first second: %j',
    (overrides) => {
      expect(valueAt(templateOf(overrides), 'annotations')).toEqual(claimOf(overrides)?.annotations);
    },
  );

  test('is found by its labels, of which none may change later', () => {
    const changing = { labels: { team: 'payments' }, spot_nodes_enabled: false, persistence_backups_enabled: false };
    expect(valueAt(templateOf(changing), 'labels')).toEqual(valueAt(templateOf(), 'labels'));
    expect(claimOf(changing)?.labels).toMatchObject(Object(valueAt(templateOf(), 'labels')));
  });
});

/** A live StatefulSet whose volumes were made with that size. */
function madeWith(storage: string) {
  const [template] = CHART_MADE.volumeClaimTemplates;
  return {
    ...CHART_MADE,
    volumeClaimTemplates: [{ ...template, spec: { resources: { requests: { storage } }, storageClassName: 'gp3' } }],
  };
}
