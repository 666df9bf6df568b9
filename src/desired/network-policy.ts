import type { Inputs } from '../inputs/table.ts';
import type { JsonObject } from '../json.ts';
import type { KubeObject } from '../kube/object.ts';
import { PORTS } from '../nats/layout.ts';
import { metadata, selectorLabels } from './labels.ts';
import type { Names } from './names.ts';

/**
 * Clients from where the inputs say, Prometheus from anywhere, the cluster port among the servers only. The monitoring
 * port, which asks nobody for a certificate, is open to no pod: the probes of a pod's own kubelet, the exporter beside the
 * server and port-forwards pass every policy.
 */
export function networkPolicy(inputs: Inputs, names: Names): KubeObject[] {
  if (!inputs.network_policy_enabled) return [];
  const podSelector = { matchLabels: selectorLabels(names.cluster) };
  const clients = inputs.network_policy_clients;
  return [
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: metadata(inputs, names, names.cluster),
      spec: {
        podSelector,
        policyTypes: ['Ingress'],
        ingress: [
          { ...(clients.length > 0 ? { from: [...clients] } : {}), ports: tcp([PORTS.client]) },
          ...(inputs.monitoring_enabled ? [{ ports: tcp([PORTS.metrics]) }] : []),
          ...(inputs.replicas > 1 ? [{ from: [{ podSelector }], ports: tcp([PORTS.cluster]) }] : []),
        ],
      },
    },
  ];
}

function tcp(ports: number[]): JsonObject[] {
  return ports.map((port) => ({ port, protocol: 'TCP' }));
}
