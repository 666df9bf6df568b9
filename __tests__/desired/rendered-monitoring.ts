import type { DesiredState } from '../../src/desired/state.ts';
import { digObjects, digText, isJsonObject, type Json, type JsonObject } from '../../src/json.ts';
import { NAME, objectIn, valueAt } from './fixture.ts';

/** The alerting rules of a state. */
export function rulesIn(state: DesiredState): JsonObject[] {
  const [group] = digObjects(objectIn(state, 'PrometheusRule'), 'spec', 'groups');
  return digObjects(group, 'rules');
}

/** The Grafana dashboard of a state, read from its ConfigMap. */
export function dashboardIn(state: DesiredState): JsonObject {
  const data = valueAt(objectIn(state, 'ConfigMap', `${NAME}-dashboard`), 'data');
  const [text] = isJsonObject(data) ? Object.values(data) : [];
  const model: Json = JSON.parse(String(text));
  if (!isJsonObject(model)) throw new Error('The dashboard is no JSON object');
  return model;
}

/** The expressions of every panel, with the interval that Grafana fills in. */
export function expressionsIn(dashboard: JsonObject): string[] {
  return digObjects(dashboard, 'panels')
    .flatMap((panel) => digObjects(panel, 'targets'))
    .map((target) => digText(target, 'expr').replaceAll('$__rate_interval', '1m'));
}

/** The metrics that an expression selects, each with its matchers. */
export function selectorsIn(expr: string): { metric: string; matchers: string }[] {
  return [...expr.matchAll(/([a-zA-Z_:][\w:]*)\{([^}]*)\}/g)].map(([, metric = '', matchers = '']) => ({
    metric,
    matchers,
  }));
}
