import { describe, expect, test } from '@jest/globals';
import { CHART_MADE, containerIn, objectIn, podTemplate, stateWith, valueAt } from './fixture.ts';

describe('a live StatefulSet', () => {
  const state = stateWith({}, { immutable: CHART_MADE });

  test('keeps what it cannot change', () => {
    expect(objectIn(state, 'StatefulSet').spec).toMatchObject(CHART_MADE);
  });

  test('still selects its pods', () => {
    expect(valueAt(podTemplate(state), 'metadata', 'labels')).toMatchObject({ tier: 'bus' });
  });

  test('that makes its pods in order has each Ready without the others, which would wait for it', () => {
    const path = (probe: string) => valueAt(containerIn(state, 'nats'), probe, 'httpGet', 'path');
    expect(path('startupProbe')).toBe('/healthz?js-enabled-only=true');
    expect(path('readinessProbe')).toBe('/healthz?js-enabled-only=true');
  });

  test('says that its servers go back to an older release', () => {
    const { notices } = stateWith({ nats_version: '2.12.8' }, { downgradeFrom: '2.14.6' });
    expect(notices).toContainEqual({
      severity: 'notice',
      input: 'nats_version',
      message: expect.stringMatching(/^The servers go back from 2\.14\.6 to 2\.12\.8\./),
    });
  });

  test('says that an initial size comes too late', () => {
    const late = { persistence_initial_storage_gb: 2 };
    expect(stateWith(late, { immutable: CHART_MADE }).notices).toEqual([
      {
        severity: 'notice',
        input: 'persistence_initial_storage_gb',
        message: 'Ignored: the volumes were made with 5Gi, not 2Gi, and this cannot change afterwards.',
      },
    ]);
  });

  test('says nothing of it where it agrees, or was left alone', () => {
    const agreeing = { persistence_initial_storage_gb: 5 };
    expect(stateWith(agreeing, { immutable: CHART_MADE }).notices).toEqual([]);
    expect(stateWith({}, { immutable: CHART_MADE }).notices).toEqual([]);
    expect(stateWith({ adapt: false }, { immutable: CHART_MADE }).notices).toHaveLength(1);
  });

  test('behind another Service gets routes and certificates by it', () => {
    const immutable = { ...CHART_MADE, serviceName: 'peers' };
    const moved = stateWith({}, { immutable });
    expect(objectIn(moved, 'Service', 'peers').spec).toMatchObject({ clusterIP: 'None' });
    expect(valueAt(objectIn(moved, 'ConfigMap'), 'data', 'nats.conf')).toContain(
      '"tls://nats-1a2b3c4d-0.peers.demo.svc.cluster.local:6222"',
    );
    expect(valueAt(objectIn(moved, 'Certificate', 'nats-1a2b3c4d-cluster-certs'), 'spec', 'dnsNames')).toContain(
      'nats-1a2b3c4d-0.peers.demo.svc.cluster.local',
    );
  });
});

test('without the PriorityClass the pods name none', () => {
  expect(valueAt(podTemplate(stateWith({}, { priorityClassName: null })), 'spec')).not.toHaveProperty(
    'priorityClassName',
  );
});

test('images can be replaced one by one', () => {
  const state = stateWith({
    monitoring_enabled: true,
    nats_image: 'registry.example.com/nats:mine',
    reloader_image: 'registry.example.com/reloader:mine',
    exporter_image: 'registry.example.com/exporter:mine',
  });
  const images = ['nats', 'reloader', 'exporter'].map((name) => valueAt(containerIn(state, name), 'image'));
  expect(images).toEqual([
    'registry.example.com/nats:mine',
    'registry.example.com/reloader:mine',
    'registry.example.com/exporter:mine',
  ]);
});

test('the pods may take longer to leave than lame duck mode lasts', () => {
  expect(valueAt(podTemplate(stateWith()), 'spec', 'terminationGracePeriodSeconds')).toBeGreaterThan(10 + 30);
});

test('the exporter runs only when monitoring is enabled', () => {
  expect(containerIn(stateWith(), 'exporter')).toBeUndefined();
  expect(containerIn(stateWith({ monitoring_enabled: true }), 'exporter')).toBeDefined();
});

test.each([
  [50, '50Mi', '55Mi'],
  [1024, '1Gi', '1126Mi'],
])('%i MB of memory are requested as %s in the form of the API server', (asked, request, limit) => {
  const server = containerIn(stateWith({ minimum_memory_mb: asked }), 'nats');
  expect(valueAt(server, 'resources')).toEqual({
    requests: { cpu: '100m', memory: request },
    limits: { memory: limit },
  });
});

test('pods that are made at once are Ready only with the others', () => {
  const path = (probe: string) => valueAt(containerIn(stateWith(), 'nats'), probe, 'httpGet', 'path');
  expect(path('startupProbe')).toBe('/healthz');
  expect(path('readinessProbe')).toBe('/healthz?js-server-only=true');
});
