import type { Inputs } from '../inputs/table.ts';
import type { JsonObject } from '../json.ts';
import type { KubeObject } from '../kube/object.ts';
import { PORTS } from '../nats/layout.ts';
import { metadata, selectorLabels } from './labels.ts';
import type { Names } from './names.ts';

/**
 * Clients from anywhere, as their certificates decide; the cluster port among the servers only. The monitoring port
 * stays open: kubelets and the API server's proxy call it from nodes, which no policy can select portably.
 */
export function networkPolicy(inputs: Inputs, names: Names): KubeObject {
  const podSelector = { matchLabels: selectorLabels(names.cluster) };
  const open = [PORTS.client, PORTS.monitoring, ...(inputs.monitoring_enabled ? [PORTS.metrics] : [])];
  const peers = { from: [{ podSelector }], ports: tcp([PORTS.cluster]) };
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: metadata(inputs, names, names.cluster),
    spec: {
      podSelector,
      policyTypes: ['Ingress'],
      ingress: [{ ports: tcp(open) }, ...(inputs.replicas > 1 ? [peers] : [])],
    },
  };
}

function tcp(ports: number[]): JsonObject[] {
  return ports.map((port) => ({ port, protocol: 'TCP' }));
}
