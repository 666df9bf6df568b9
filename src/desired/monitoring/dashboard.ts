import { createHash } from 'node:crypto';
import type { Inputs } from '../../inputs/table.ts';
import type { JsonObject } from '../../json.ts';
import { identities } from '../identities.ts';
import { type Names, secretName } from '../names.ts';
import { type Panel, type PanelKind, type PanelScope, type Query, ROWS } from './panels.ts';
import { clusterSeries } from './series.ts';

const GRID_COLUMNS = 24;

const lastValue = { calcs: ['lastNotNull'], fields: '', values: false };
const oneNumber = { reduceOptions: lastValue, colorMode: 'value', graphMode: 'none' };

/** How Grafana draws each kind of panel, and whether its queries are about now or about the time shown. */
const KINDS: { [Kind in PanelKind]: { type: string; at: 'now' | 'range'; options: JsonObject; custom: JsonObject } } = {
  number: { type: 'stat', at: 'now', options: oneNumber, custom: {} },
  name: { type: 'stat', at: 'now', options: { ...oneNumber, textMode: 'name' }, custom: {} },
  graph: {
    type: 'timeseries',
    at: 'range',
    options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
    custom: { fillOpacity: 10, showPoints: 'never' },
  },
  states: {
    type: 'state-timeline',
    at: 'range',
    options: { showValue: 'never', legend: { displayMode: 'list', placement: 'bottom' } },
    custom: { fillOpacity: 70 },
  },
  table: { type: 'table', at: 'now', options: { showHeader: true, cellHeight: 'sm' }, custom: {} },
};

/** What a state's number means, as nats_healthz_status has it. */
const HEALTH = {
  type: 'value',
  options: { '0': { text: 'current', color: 'green' }, '1': { text: 'not current', color: 'red' } },
};

/** The headings of the labels that a table shows. */
const LABEL_HEADINGS = {
  account: 'Account',
  alertname: 'Alert',
  alertstate: 'State',
  name: 'Certificate',
  pod: 'Pod',
  severity: 'Severity',
  stream_leader: 'Leader',
  stream_name: 'Stream',
};

/**
 * A Grafana dashboard of one cluster: its JSON model, the same for the same inputs. The data source is a variable.
 * https://grafana.com/docs/grafana/latest/visualizations/dashboards/build-dashboards/view-dashboard-json-model/
 */
export function dashboard(inputs: Inputs, names: Names): JsonObject {
  const scope: PanelScope = {
    series: clusterSeries(names),
    names,
    replicas: inputs.replicas,
    certificates: identities(inputs, names).map(({ purpose }) => secretName(names.cluster, purpose)),
  };
  return {
    uid: dashboardId(names),
    title: `NATS ${names.namespace}/${names.cluster}`,
    tags: ['nats'],
    schemaVersion: 39,
    editable: true,
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    templating: { list: [{ name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus' }] },
    panels: laidOut(scope),
  };
}

/** At most 40 characters, and this cluster's alone in a Grafana. */
function dashboardId({ namespace, cluster }: Names): string {
  return `nats-${createHash('sha256').update(`${namespace}/${cluster}`).digest('hex').slice(0, 32)}`;
}

/** Line by line from the left, each row below its heading; numbered in that order. */
function laidOut(scope: PanelScope): JsonObject[] {
  const placed: JsonObject[] = [];
  const place = (panel: JsonObject, x: number, y: number, w: number, h: number) =>
    placed.push({ id: placed.length + 1, gridPos: { x, y, w, h }, ...panel });
  let y = 0;
  for (const { title, height, panels } of ROWS) {
    place({ type: 'row', title, collapsed: false, panels: [] }, 0, y, GRID_COLUMNS, 1);
    y += 1;
    let x = 0;
    for (const panel of panels.filter(({ amongPeers }) => !amongPeers || scope.replicas > 1)) {
      const fits = x + panel.width <= GRID_COLUMNS;
      x = fits ? x : 0;
      y = fits ? y : y + height;
      place(render(panel, scope), x, y, panel.width, height);
      x += panel.width;
    }
    y += height;
  }
  return placed;
}

function render(panel: Panel, scope: PanelScope): JsonObject {
  const { type, at, options, custom } = KINDS[panel.kind];
  const queries = panel.queries(scope);
  const [first, ...others] = panel.steps?.(scope) ?? [['green', 0]];
  const steps = [{ color: first?.[0] ?? 'green', value: null }, ...others.map(([color, value]) => ({ color, value }))];
  return {
    type,
    title: panel.title,
    ...(panel.description === undefined ? {} : { description: panel.description }),
    datasource: { type: 'prometheus', uid: '$datasource' },
    targets: queries.map(({ expr, legend }, index) => ({
      refId: refId(index),
      expr,
      instant: at === 'now',
      range: at === 'range',
      ...(panel.kind === 'table' ? { format: 'table' } : { legendFormat: legend }),
    })),
    options,
    fieldConfig: {
      defaults: {
        unit: panel.unit,
        ...(panel.kind === 'states' ? { mappings: [HEALTH] } : {}),
        thresholds: { mode: 'absolute', steps },
        custom,
      },
      overrides: panel.kind === 'table' ? columnUnits(queries) : [],
    },
    ...(panel.kind === 'table' ? { transformations: columns(queries) } : {}),
  };
}

function refId(index: number): string {
  return String.fromCharCode('A'.charCodeAt(0) + index);
}

/** Rows of the same labels become one; a column each for the labels and for the values that have a heading. */
function columns(queries: Query[]): JsonObject[] {
  const values = queries.map(({ legend }, index) => ({ legend, field: valueField(queries, index) }));
  const shown = values.filter(({ legend }) => legend !== '');
  const hidden = values.filter(({ legend }) => legend === '');
  return [
    { id: 'merge', options: {} },
    {
      id: 'organize',
      options: {
        excludeByName: Object.fromEntries([['Time', true], ...hidden.map(({ field }) => [field, true])]),
        renameByName: { ...LABEL_HEADINGS, ...Object.fromEntries(shown.map(({ legend, field }) => [field, legend])) },
      },
    },
  ];
}

/** Grafana names the values after their query where there are several. */
function valueField(queries: Query[], index: number): string {
  return queries.length === 1 ? 'Value' : `Value #${refId(index)}`;
}

function columnUnits(queries: Query[]): JsonObject[] {
  return queries.flatMap(({ legend, unit }) =>
    unit === undefined
      ? []
      : [{ matcher: { id: 'byName', options: legend }, properties: [{ id: 'unit', value: unit }] }],
  );
}
