import type { Inputs, OutputName } from '../inputs/table.ts';
import { PORTS } from '../nats/layout.ts';
import { selectorLabels } from './labels.ts';
import { clientHost, clusterNames, secretName } from './names.ts';

/** What a run did to the cluster, or would do. */
type OfRun = 'changed' | 'rolled_back' | 'drift' | 'plan' | 'plan_json';

/** The outputs that describe a cluster. Known before anything is sent. */
export function clusterOutputs(inputs: Inputs, name: string): { [Name in Exclude<OutputName, OfRun>]: string } {
  const host = clientHost(clusterNames(name, inputs.namespace));
  return {
    superuser_creds_secret: secretName(name, 'superuser'),
    admin_creds_secret: secretName(name, 'admin'),
    reader_creds_secret: secretName(name, 'reader'),
    host,
    client_port: `${PORTS.client}`,
    cluster_port: `${PORTS.cluster}`,
    metrics_port: `${inputs.monitoring_enabled ? PORTS.metrics : PORTS.monitoring}`,
    nats_url: `tls://${host}:${PORTS.client}`,
    name,
    namespace: inputs.namespace,
    match_labels: JSON.stringify(selectorLabels(name)),
  };
}
