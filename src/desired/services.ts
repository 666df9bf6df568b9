import type { Inputs } from '../inputs/table.ts';
import type { JsonObject } from '../json.ts';
import type { KubeObject } from '../kube/object.ts';
import { PORTS } from '../nats/layout.ts';
import { metadata, selectorLabels } from './labels.ts';
import type { Names } from './names.ts';

/**
 * The Service for clients, and the headless one by which the servers find each other: it publishes pods before they
 * are ready, since none becomes ready alone, and it alone offers the cluster port.
 */
export function services(inputs: Inputs, names: Names): KubeObject[] {
  const selector = selectorLabels(names.cluster);
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: metadata(inputs, names, names.cluster),
      spec: {
        type: 'ClusterIP',
        selector,
        ports: [port('client'), port('monitoring'), ...(inputs.monitoring_enabled ? [port('metrics')] : [])],
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: metadata(inputs, names, names.headless),
      spec: {
        type: 'ClusterIP',
        clusterIP: 'None',
        publishNotReadyAddresses: true,
        selector,
        ports: [port('client'), ...(inputs.replicas > 1 ? [port('cluster')] : []), port('monitoring')],
      },
    },
  ];
}

/** The protocol is always stated: https://github.com/kubernetes/kubernetes/issues/113482 */
function port(name: keyof typeof PORTS): JsonObject {
  return { name, port: PORTS[name], protocol: 'TCP', targetPort: name };
}
