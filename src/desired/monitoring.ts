import type { Inputs } from '../inputs/table.ts';
import type { JsonObject } from '../json.ts';
import type { KubeObject } from '../kube/object.ts';
import { type Labels, metadata, selectorLabels } from './labels.ts';
import { alertRules } from './monitoring/alerts.ts';
import { dashboard } from './monitoring/dashboard.ts';
import type { Names } from './names.ts';

/** By this Grafana's sidecar finds dashboards, in the chart's default and in the Panfactum stack. */
const DASHBOARD_LABEL: Labels = { grafana_dashboard: '1' };

/** What makes Prometheus scrape the servers, and alert and show what it finds. */
export function monitoring(inputs: Inputs, names: Names): KubeObject[] {
  if (!inputs.monitoring_enabled) return [];
  return [podMonitor(inputs, names), prometheusRule(inputs, names), dashboardConfigMap(inputs, names)];
}

function podMonitor(inputs: Inputs, names: Names): KubeObject {
  return {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PodMonitor',
    metadata: metadata(inputs, names, names.cluster),
    spec: {
      selector: { matchLabels: selectorLabels(names.cluster) },
      podMetricsEndpoints: [{ port: 'metrics' }],
    },
  };
}

function prometheusRule(inputs: Inputs, names: Names): KubeObject {
  return {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: metadata(inputs, names, names.cluster),
    spec: { groups: [{ name: names.cluster, rules: alertRules(inputs, names) }] },
  };
}

/** The key becomes the name of a file beside those of all other dashboards. */
function dashboardConfigMap(inputs: Inputs, names: Names): KubeObject {
  const own = metadata(inputs, names, `${names.cluster}-dashboard`);
  const model: JsonObject = dashboard(inputs, names);
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { ...own, labels: { ...own.labels, ...DASHBOARD_LABEL } },
    data: { [`nats-${names.namespace}-${names.cluster}.json`]: JSON.stringify(model) },
  };
}
