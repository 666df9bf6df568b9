import type { Inputs, OutputName } from '../inputs/table.ts';
import { PORTS } from '../nats/layout.ts';
import { selectorLabels } from './labels.ts';
import { clientHost, clusterNames, secretName } from './names.ts';

/** The outputs that describe a cluster: all but what a run did to it. Known before anything is sent. */
export function clusterOutputs(
  inputs: Inputs,
  name: string,
): { [Name in Exclude<OutputName, 'changed' | 'rolled_back'>]: string } {
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
