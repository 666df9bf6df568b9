import { expect, test } from '@jest/globals';
import { clusterOutputs } from '../../src/desired/outputs.ts';
import { inputsWith } from '../inputs/inputs-with.ts';
import { NAME, objectIn, podTemplate, stateWith, valueAt } from './fixture.ts';

test('the outputs describe the cluster that is made', () => {
  expect(clusterOutputs(inputsWith(), NAME)).toEqual({
    superuser_creds_secret: 'nats-1a2b3c4d-superuser-creds',
    admin_creds_secret: 'nats-1a2b3c4d-admin-creds',
    reader_creds_secret: 'nats-1a2b3c4d-reader-creds',
    host: 'nats-1a2b3c4d.demo.svc.cluster.local',
    client_port: '4222',
    cluster_port: '6222',
    metrics_port: '8222',
    nats_url: 'tls://nats-1a2b3c4d.demo.svc.cluster.local:4222',
    name: 'nats-1a2b3c4d',
    namespace: 'demo',
    match_labels: '{"app.kubernetes.io/name":"nats","app.kubernetes.io/instance":"nats-1a2b3c4d"}',
  });
});

test('metrics_port is that of the exporter where there is one', () => {
  expect(clusterOutputs(inputsWith({ monitoring_enabled: true }), NAME).metrics_port).toBe('7777');
});

test('match_labels selects the pods, and the Secrets are those of the certificates', () => {
  const { match_labels, reader_creds_secret } = clusterOutputs(inputsWith(), NAME);
  const state = stateWith();
  expect(valueAt(podTemplate(state), 'metadata', 'labels')).toMatchObject(JSON.parse(match_labels));
  expect(objectIn(state, 'Certificate', reader_creds_secret).spec).toMatchObject({ secretName: reader_creds_secret });
});
