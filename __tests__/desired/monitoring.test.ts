import { describe, expect, test } from '@jest/globals';
import { dig, digObjects, digText, isJsonObject, type JsonObject } from '../../src/json.ts';
import { EXPORTER_METRICS } from './exporter-metrics.ts';
import { containerIn, NAME, objectIn, podTemplate, stateWith, valueAt } from './fixture.ts';
import { dashboardIn, expressionsIn, rulesIn, selectorsIn } from './rendered-monitoring.ts';

const KINDS = ['PodMonitor', 'PrometheusRule'];

/** Not of the exporter: cert-manager's, and Prometheus' own. */
const OTHER_METRICS = ['certmanager_certificate_expiration_timestamp_seconds', 'ALERTS'];

const on = stateWith({ monitoring_enabled: true });
const alone = stateWith({ monitoring_enabled: true, replicas: 1 });

const namesOf = (objects: { kind: string; metadata: { name: string } }[]): string[] =>
  objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`);

test('off: nothing of it', () => {
  const names = namesOf(stateWith().objects);
  expect(names.filter((name) => KINDS.some((kind) => name.startsWith(kind)) || name.includes('dashboard'))).toEqual([]);
});

test('on: a PodMonitor, a PrometheusRule and a dashboard more, and nothing less', () => {
  const [before, after] = [stateWith(), on].map(({ objects }) => namesOf(objects));
  expect(after?.filter((name) => !before?.includes(name))).toEqual([
    `PodMonitor/${NAME}`,
    `PrometheusRule/${NAME}`,
    `ConfigMap/${NAME}-dashboard`,
  ]);
  expect(before?.filter((name) => !after?.includes(name))).toEqual([]);
});

test('the PodMonitor selects the pods, and a port that they have', () => {
  const spec = objectIn(on, 'PodMonitor').spec;
  const selected = valueAt(spec, 'selector', 'matchLabels');
  expect(valueAt(podTemplate(on), 'metadata', 'labels')).toMatchObject(
    isJsonObject(selected) ? selected : { selected: 'nothing' },
  );
  const ports = valueAt(containerIn(on, 'exporter'), 'ports');
  expect(ports).toEqual([expect.objectContaining({ name: valueAt(spec, 'podMetricsEndpoints', 0, 'port') })]);
});

test('the dashboard has the label that Grafana looks for, and a file name of its own', () => {
  const configMap = objectIn(on, 'ConfigMap', `${NAME}-dashboard`);
  expect(configMap.metadata.labels).toMatchObject({ grafana_dashboard: '1' });
  expect(Object.keys(isJsonObject(configMap.data) ? configMap.data : {})).toEqual([`nats-demo-${NAME}.json`]);
});

describe.each([
  ['three servers', on],
  ['one server', alone],
])('the alerts of %s', (_, state) => {
  const rules = rulesIn(state);

  test('each tell what is wrong, how bad it is, and a command to look with', () => {
    for (const rule of rules) {
      expect(rule).toEqual({
        alert: expect.stringMatching(/^Nats[A-Z]\w+$/),
        expr: expect.any(String),
        for: expect.stringMatching(/^\d+m$/),
        labels: {
          severity: expect.stringMatching(/^(warning|critical)$/),
          namespace: 'demo',
          nats_cluster: NAME,
        },
        annotations: {
          summary: expect.stringMatching(/^[A-Z][^{}]+[^.]$/),
          description: expect.stringMatching(/\. Look: kubectl .*\bdemo\b/),
        },
      });
    }
  });

  test('are told apart by name and severity', () => {
    const keys = rules.map((rule) => `${digText(rule, 'alert')} ${digText(rule, 'labels', 'severity')}`);
    expect(new Set(keys).size).toBe(keys.length);
  });

  test('name in their texts only labels that their expressions keep', () => {
    for (const rule of rules) {
      const named = [...JSON.stringify(rule.annotations).matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label);
      const kept = keptLabels(digText(rule, 'expr'));
      expect({ alert: rule.alert, named: named.filter((label) => !kept.includes(label ?? '')) }).toEqual({
        alert: rule.alert,
        named: [],
      });
    }
  });
});

/** Labels of an expression's result that texts may use: those of `by`, none of other aggregations, else those of a series. */
function keptLabels(expr: string): string[] {
  if (expr.startsWith('certmanager') || expr.startsWith('(certmanager')) return ['name'];
  const [, by] = /^count by \(([\w, ]+)\)/.exec(expr) ?? [];
  if (by !== undefined) return by.split(', ');
  return /^\(?(count|sum)\(/.test(expr) ? [] : ['pod'];
}

test('a server that is alone has no alert about its peers', () => {
  const names = (rules: JsonObject[]) => new Set(rules.map((rule) => digText(rule, 'alert')));
  const missing = [...names(rulesIn(on))].filter((name) => !names(rulesIn(alone)).has(name));
  expect(missing).toEqual(['NatsServerDown', 'NatsNoMetaLeader', 'NatsStreamWithoutLeader', 'NatsRoutesMissing']);
  const used = [...rulesIn(alone).map((rule) => digText(rule, 'expr')), ...expressionsIn(dashboardIn(alone))].join();
  expect(used).not.toMatch(/nats_varz_remotes|meta_leader/);
});

test('the alert on certificates knows how long each lives', () => {
  const thresholds = (hours: number) => {
    const rules = rulesIn(stateWith({ monitoring_enabled: true, vault_credential_lifetime_hours: hours }));
    const found = rules.filter(({ alert }) => alert === 'NatsCertificateExpiring');
    return found.map((rule) =>
      [...digText(rule, 'expr').matchAll(/time\(\) < (\d+)/g)].map(([, seconds]) => Number(seconds)),
    );
  };
  const hour = 3600;
  expect(thresholds(16)).toEqual([
    [4 * hour, 180 * hour],
    [1.6 * hour, 72 * hour],
  ]);
  // All live as long as the servers' do: one comparison for all.
  expect(thresholds(720)).toEqual([[180 * hour], [72 * hour]]);
});

describe.each([
  ['three servers', on],
  ['one server', alone],
])('what is read of %s', (_, state) => {
  const expressions = [...rulesIn(state).map((rule) => digText(rule, 'expr')), ...expressionsIn(dashboardIn(state))];
  const selectors = expressions.flatMap(selectorsIn);

  test('is exported by every version of the exporter', () => {
    const used = new Set(selectors.map(({ metric }) => metric));
    expect(used.size).toBeGreaterThan(20);
    expect([...used].filter((metric) => !EXPORTER_METRICS.has(metric) && !OTHER_METRICS.includes(metric))).toEqual([]);
  });

  test('is of this cluster alone', () => {
    // Every word before a brace is one of the selectors: none goes without matchers.
    const bare = expressions.flatMap((expr) => [
      ...expr.matchAll(/\b(nats_(?!cluster)\w+|certmanager_\w+|ALERTS)(?!\w*\{)/g),
    ]);
    expect(bare).toEqual([]);
    for (const { metric, matchers } of selectors) {
      const scope = OTHER_METRICS.includes(metric)
        ? /(^|,)(exported_)?namespace="demo".*nats-1a2b3c4d/
        : /^namespace="demo",pod=~"nats-1a2b3c4d-\[0-9\]\+"(,|$)/;
      expect(matchers).toMatch(scope);
    }
  });

  test('is left out where an exporter repeats the last value of a server that is gone', () => {
    // A rate or a count of changes is 0 then; what is set in the configuration only divides.
    const harmless = /(rate|increase|changes)\($|\/ $/;
    for (const expr of expressions) {
      for (const { index, 0: found } of expr.matchAll(/nats_varz_\w+\{[^}]*\}/g)) {
        const guarded = expr.slice(index + found.length).startsWith(' and on (pod) nats_healthz_status{');
        expect({ expr, found, guarded: guarded || harmless.test(expr.slice(0, index)) }).toMatchObject({
          guarded: true,
        });
      }
    }
  });
});

describe.each([
  ['three servers', on],
  ['one server', alone],
])('the dashboard of %s', (_, state) => {
  const model = dashboardIn(state);
  const panels = digObjects(model, 'panels');
  const drawn = panels.filter(({ type }) => type !== 'row');

  test('takes its data source from a variable, in every panel', () => {
    expect(digObjects(model, 'templating', 'list')).toEqual([
      expect.objectContaining({ name: 'datasource', type: 'datasource', query: 'prometheus' }),
    ]);
    expect(new Set(drawn.map((panel) => digText(panel, 'datasource', 'uid')))).toEqual(new Set(['$datasource']));
  });

  test('has panels with an id, a title and at least one query each', () => {
    expect(panels.map(({ id }) => id)).toEqual(panels.map((_panel, index) => index + 1));
    expect(new Set(drawn.map(({ title }) => title)).size).toBe(drawn.length);
    for (const panel of drawn) {
      const targets = digObjects(panel, 'targets');
      expect(targets.map(({ refId }) => refId)).toEqual(['A', 'B', 'C', 'D', 'E', 'F'].slice(0, targets.length));
      expect(targets.map(({ expr }) => expr)).toEqual(targets.map(() => expect.stringMatching(/\w/)));
      expect(targets.length).toBeGreaterThan(0);
    }
  });

  test('has no panel over another or beside the grid', () => {
    const cells = panels.flatMap(cellsOf);
    expect(new Set(cells).size).toBe(cells.length);
    expect(cells.filter((cell) => Number(cell.split(',')[0]) >= 24)).toEqual([]);
  });

  test('has thresholds that rise', () => {
    for (const panel of drawn) {
      const steps = digObjects(panel, 'fieldConfig', 'defaults', 'thresholds', 'steps').map(({ value }) => value);
      expect(steps[0]).toBeNull();
      expect(steps.slice(1)).toEqual([...steps.slice(1)].sort((a, b) => Number(a) - Number(b)));
    }
  });

  test('names every column of its tables', () => {
    for (const panel of drawn.filter(({ type }) => type === 'table')) {
      const organize = digObjects(panel, 'transformations').find(({ id }) => id === 'organize');
      const named = dig(organize, 'options', 'renameByName');
      const labels = digObjects(panel, 'targets').flatMap(({ expr }) =>
        (/by \(([\w, ]+)\)/.exec(String(expr))?.[1] ?? '').split(', '),
      );
      expect(labels.filter((label) => dig(named, label) === undefined)).toEqual([]);
    }
  });
});

test('the dashboard is small, its own in a Grafana, and the same again', () => {
  const text = (state: typeof on) => JSON.stringify(objectIn(state, 'ConfigMap', `${NAME}-dashboard`).data);
  expect(text(on).length).toBeLessThan(40_000);
  expect(text(stateWith({ monitoring_enabled: true }))).toBe(text(on));
  const ids = [on, stateWith({ monitoring_enabled: true, namespace: 'other' })].map((state) =>
    digText(dashboardIn(state), 'uid'),
  );
  expect(new Set(ids).size).toBe(2);
  for (const id of ids) expect(id.length).toBeLessThanOrEqual(40);
});

/** The cells of the grid that a panel covers: "x,y". */
function cellsOf({ gridPos }: JsonObject): string[] {
  const [x = 0, y = 0, w = 0, h = 0] = ['x', 'y', 'w', 'h'].map((key) => Number(dig(gridPos, key)));
  return Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`);
}
