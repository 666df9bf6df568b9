import type { Inputs } from '../inputs/table.ts';
import type { JsonObject } from '../json.ts';
import type { KubeObject } from '../kube/object.ts';
import { PORTS } from '../nats/layout.ts';
import { metadata, selectorLabels } from './labels.ts';
import type { Names } from './names.ts';

/**
 * Clients from where the inputs say, Prometheus from anywhere, the cluster port among the servers only. The monitoring
 * port stays open: the API server's proxy calls it from nodes, which no policy can select portably.
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
          { ports: tcp([PORTS.monitoring, ...(inputs.monitoring_enabled ? [PORTS.metrics] : [])]) },
          ...(inputs.replicas > 1 ? [{ from: [{ podSelector }], ports: tcp([PORTS.cluster]) }] : []),
        ],
      },
    },
  ];
}

function tcp(ports: number[]): JsonObject[] {
  return ports.map((port) => ({ port, protocol: 'TCP' }));
}
