import { describe, expect, it } from '@jest/globals';
import { NAME, stateWith } from '../__tests__/desired/fixture.ts';
import { dashboardIn, expressionsIn, rulesIn } from '../__tests__/desired/rendered-monitoring.ts';
import { digText, isJsonObject, type JsonObject } from '../src/json.ts';
import { promtool } from './prometheus.ts';

const three = stateWith({ monitoring_enabled: true });
const one = stateWith({ monitoring_enabled: true, replicas: 1 });

/** Minutes: something breaks, every alert of it has fired, the series end. */
const BROKEN = 60;
const FIRED = 75;
const END = 80;

interface Labels {
  [name: string]: string;
}

/** A value and what it grows by in a minute. */
type Line = [start: number, step: number];

interface Series {
  metric: string;
  labels: Labels;
  /** Until something breaks, and from then on; null: there is no such series. */
  before: Line | null;
  after: Line | null;
}

const pod = (ordinal: number): string => `${NAME}-${ordinal}`;
const SECOND = 1000;
const HOUR = 3600;

/** What the series of a pod's exporter carry besides their own labels. */
const podLabels = (name: string): Labels => ({
  namespace: 'demo',
  pod: name,
  container: 'exporter',
  endpoint: 'metrics',
  instance: `${name}:7777`,
  job: 'demo/nats',
  server_id: name,
});

/** What a server of a cluster gives in which nothing is wrong. */
function server(name: string, leader: string, peers: number): Series[] {
  const values: [string, Line, Labels?][] = [
    ['nats_healthz_status', [0, 0]],
    ['nats_server_total_streams', [1, 0], { meta_leader: leader }],
    ['nats_stream_last_seq', [1000, 600], { account: 'DEFAULT', stream_name: 'EVENTS', stream_leader: leader }],
    ['nats_varz_remotes', [peers, 0]],
    ['nats_varz_start', [1.79e12, 0]],
    ['nats_varz_connections', [100, 0]],
    ['nats_varz_max_connections', [64_000, 0]],
    ['nats_varz_slow_consumers', [3, 0]],
    ['nats_varz_jetstream_stats_storage', [1e8, 1e5]],
    ['nats_varz_jetstream_config_max_storage', [1e9, 0]],
    ['nats_varz_jetstream_stats_memory', [0, 0]],
    ['nats_varz_jetstream_config_max_memory', [1e7, 0]],
    // A client looks for a stream that does not exist, now and then.
    ['nats_varz_jetstream_stats_api_errors', [5, 1]],
  ];
  return values.map(([metric, line, labels]) => steady(metric, { ...podLabels(name), ...labels }, line));
}

const steady = (metric: string, labels: Labels, line: Line): Series => ({ metric, labels, before: line, after: line });

const expiry = (labels: Labels, seconds: number): Series =>
  steady('certmanager_certificate_expiration_timestamp_seconds', labels, [seconds, 0]);

/** The certificates of a cluster before their renewal, as cert-manager tells them of a namespace; time begins at 0. */
function certificates(namespace: Labels): Series[] {
  const clients = ['superuser', 'admin', 'reader'].map((role) => `${NAME}-${role}-creds`);
  const servers = ['server', 'cluster'].map((purpose) => `${NAME}-${purpose}-certs`);
  return [
    ...clients.map((name) => expiry({ ...namespace, name }, END * 60 + 8 * HOUR)),
    ...servers.map((name) => expiry({ ...namespace, name }, END * 60 + 360 * HOUR)),
  ];
}

/** What is wrong with others must not alarm anybody here. */
const neighbours: Series[] = [
  steady('nats_healthz_status', podLabels('nats-0'), [1, 0]),
  steady('nats_healthz_status', { ...podLabels(pod(0)), namespace: 'other' }, [1, 0]),
  expiry({ namespace: 'demo', name: 'website' }, 1),
  expiry({ namespace: 'cert-manager', exported_namespace: 'other', name: `${NAME}-reader-creds` }, 1),
  expiry({ namespace: 'other', name: `${NAME}-reader-creds` }, 1),
];

const healthy: Series[] = [
  ...[0, 1, 2].flatMap((ordinal) => server(pod(ordinal), pod(1), 2)),
  ...certificates({ namespace: 'cert-manager', exported_namespace: 'demo', job: 'cert-manager' }),
  ...neighbours,
];

const alone: Series[] = [...server(pod(0), '', 0), ...certificates({ namespace: 'demo' }), ...neighbours];

type Choice = (series: Series) => boolean;

const metric =
  (name: string, ...pods: string[]): Choice =>
  (series) =>
    series.metric === name && series.labels.namespace !== 'other' && (pods.length === 0 || isOf(...pods)(series));
const isOf =
  (...pods: string[]): Choice =>
  ({ labels }) =>
    labels.namespace === 'demo' && pods.includes(labels.pod ?? '');
const certificate =
  (name: string): Choice =>
  ({ labels }) =>
    labels.name === name && (labels.exported_namespace ?? labels.namespace) === 'demo';

/** How something breaks: the chosen series take another way, or end. */
type Break = (series: Series) => Series[];

const becomes =
  (choice: Choice, after: Line | null): Break =>
  (series) => [choice(series) ? { ...series, after } : series];

/** The chosen series go on with other labels. */
const relabelled =
  (choice: Choice, labels: Labels): Break =>
  (series) =>
    choice(series)
      ? [
          { ...series, after: null },
          { ...series, labels: { ...series.labels, ...labels }, before: null },
        ]
      : [series];

const gone = (...pods: string[]): Break => becomes(isOf(...pods), null);
/** The server is down while its exporter goes on. */
const serverGone = (name: string): Break =>
  becomes((series) => isOf(name)(series) && !series.metric.startsWith('nats_varz_'), null);
const noMetaLeader = relabelled(metric('nats_server_total_streams'), { meta_leader: '' });
const noStreamLeader = relabelled(metric('nats_stream_last_seq'), { stream_leader: '' });

interface Fired {
  alert: string;
  severity: string;
  /** What it carries of the series. */
  labels?: Labels;
  /** How it tells the value. */
  value?: string;
}

interface Fault {
  breaks: Break[];
  fires: Fired[];
}

const warning = (alert: string, value?: string, labels?: Labels): Fired => fired(alert, 'warning', value, labels);
const critical = (alert: string, value?: string, labels?: Labels): Fired => fired(alert, 'critical', value, labels);
const fired = (alert: string, severity: string, value = '', labels: Labels = {}): Fired => ({
  alert,
  severity,
  value,
  labels,
});

const ofPod = (ordinal: number): Labels => podLabels(pod(ordinal));
const ofStream: Labels = { account: 'DEFAULT', stream_name: 'EVENTS' };
const ofReader: Labels = {
  namespace: 'demo',
  exported_namespace: 'demo',
  job: 'cert-manager',
  name: `${NAME}-reader-creds`,
};

const faults: { [name: string]: Fault } = {
  nothing: { breaks: [], fires: [] },
  'a pod is gone': { breaks: [gone(pod(2))], fires: [warning('NatsServerDown', '2')] },
  'a server is down, and its exporter repeats what it gave last': {
    breaks: [
      serverGone(pod(2)),
      becomes(metric('nats_varz_jetstream_stats_storage', pod(2)), [0.99e9, 0]),
      becomes(metric('nats_varz_remotes', pod(0), pod(1)), [1, 0]),
    ],
    fires: [warning('NatsServerDown', '2')],
  },
  'two of three servers are gone': {
    breaks: [
      gone(pod(1), pod(2)),
      becomes(metric('nats_healthz_status', pod(0)), [1, 0]),
      becomes(metric('nats_varz_remotes', pod(0)), [0, 0]),
      noMetaLeader,
      noStreamLeader,
    ],
    fires: [
      warning('NatsServerDown', '1'),
      critical('NatsMajorityDown', '1'),
      critical('NatsNoMetaLeader', '1'),
      warning('NatsServerNotCurrent', '', ofPod(0)),
      critical('NatsStreamWithoutLeader', '', ofStream),
    ],
  },
  'all servers are gone': {
    breaks: [gone(pod(0), pod(1), pod(2))],
    fires: [warning('NatsServerDown', '0'), critical('NatsMajorityDown', '0')],
  },
  'nobody knows the meta leader': { breaks: [noMetaLeader], fires: [critical('NatsNoMetaLeader', '3')] },
  'one server does not know the meta leader': {
    breaks: [
      relabelled(metric('nats_server_total_streams', pod(2)), { meta_leader: '' }),
      becomes(metric('nats_healthz_status', pod(2)), [1, 0]),
    ],
    fires: [warning('NatsServerNotCurrent', '', ofPod(2))],
  },
  'a stream has no leader': {
    breaks: [noStreamLeader],
    fires: [critical('NatsStreamWithoutLeader', '', ofStream)],
  },
  'two servers lost each other': {
    breaks: [becomes(metric('nats_varz_remotes', pod(0), pod(2)), [1, 0])],
    fires: [warning('NatsRoutesMissing', '1', ofPod(0)), warning('NatsRoutesMissing', '1', ofPod(2))],
  },
  'a server starts every minute': {
    breaks: [becomes(metric('nats_varz_start', pod(1)), [1.79e12 + 60 * SECOND, 60 * SECOND])],
    fires: [warning('NatsServerRestarting', `${FIRED - BROKEN + 1}`, ofPod(1))],
  },
  'a storage is 85 % full': {
    breaks: [becomes(metric('nats_varz_jetstream_stats_storage', pod(0)), [0.85e9, 0])],
    fires: [warning('NatsStorageFilling', '85%', ofPod(0))],
  },
  'a storage is 97 % full': {
    breaks: [becomes(metric('nats_varz_jetstream_stats_storage', pod(0)), [0.97e9, 0])],
    fires: [warning('NatsStorageFilling', '97%', ofPod(0)), critical('NatsStorageFilling', '97%', ofPod(0))],
  },
  'streams in memory take 90 %': {
    breaks: [becomes(metric('nats_varz_jetstream_stats_memory', pod(0)), [9e6, 0])],
    fires: [warning('NatsMemoryStoreFilling', '90%', ofPod(0))],
  },
  'a request in two seconds fails': {
    breaks: [becomes(metric('nats_varz_jetstream_stats_api_errors', pod(1)), [100, 30])],
    fires: [warning('NatsJetStreamApiErrors', '0.5')],
  },
  'a client a minute is cut off': {
    breaks: [becomes(metric('nats_varz_slow_consumers', pod(2)), [3, 1])],
    fires: [warning('NatsSlowConsumers', `${FIRED - BROKEN}`, ofPod(2))],
  },
  'a server has 60,000 of 64,000 connections': {
    breaks: [becomes(metric('nats_varz_connections', pod(2)), [60_000, 0])],
    fires: [warning('NatsConnectionsNearLimit', '93.75%', ofPod(2))],
  },
  'a certificate has three hours left': {
    breaks: [becomes(certificate(`${NAME}-reader-creds`), [FIRED * 60 + 3 * HOUR, 0])],
    fires: [warning('NatsCertificateExpiring', '3h 0m 0s', ofReader)],
  },
  'a certificate has an hour left': {
    breaks: [becomes(certificate(`${NAME}-reader-creds`), [FIRED * 60 + HOUR, 0])],
    fires: [
      warning('NatsCertificateExpiring', '1h 0m 0s', ofReader),
      critical('NatsCertificateExpiring', '1h 0m 0s', ofReader),
    ],
  },
};

const faultsOfOne: { [name: string]: Fault } = {
  nothing: { breaks: [], fires: [] },
  'the server is gone': { breaks: [gone(pod(0))], fires: [critical('NatsMajorityDown', '0')] },
  'the server is not healthy': {
    breaks: [becomes(metric('nats_healthz_status'), [1, 0])],
    fires: [warning('NatsServerNotCurrent', '', ofPod(0))],
  },
  'a certificate of the server has five days left, told with honorLabels': {
    breaks: [becomes(certificate(`${NAME}-server-certs`), [FIRED * 60 + 120 * HOUR, 0])],
    fires: [warning('NatsCertificateExpiring', '5d 0h 0m 0s', { name: `${NAME}-server-certs` })],
  },
};

describe.each([
  ['three servers', rulesIn(three), healthy, faults],
  ['one server', rulesIn(one), alone, faultsOfOne],
])('the alerts of %s', (_, rules, series, table) => {
  it('are rules that Prometheus takes', async () => {
    const found = await promtool(['check', 'rules', 'rules.yaml'], {
      'rules.yaml': { groups: [{ name: 'nats', rules }] },
    });
    expect(found).toContain(`SUCCESS: ${rules.length} rules found`);
  });

  it.each(Object.entries(table))('when %s: the right ones fire, and none before its time', async (_, fault) => {
    await promtool(['test', 'rules', 'test.yaml'], {
      'rules.yaml': { groups: [{ name: 'nats', rules }] },
      'test.yaml': ruleTest(
        rules,
        fault.breaks.reduce((all, change) => all.flatMap(change), series),
        fault,
      ),
    });
  });
});

it('every rule is proven to fire', () => {
  const proven = Object.values(faults).flatMap(({ fires }) =>
    fires.map(({ alert, severity }) => `${alert} ${severity}`),
  );
  const all = rulesIn(three).map((rule) => `${digText(rule, 'alert')} ${digText(rule, 'labels', 'severity')}`);
  expect(new Set(proven)).toEqual(new Set(all));
});

it.each([
  ['three servers', three],
  ['one server', one],
])('every query of the dashboard of %s is one that Prometheus takes', async (_, state) => {
  const rules = expressionsIn(dashboardIn(state)).map((expr, index) => ({ record: `panel:${index}`, expr }));
  const found = await promtool(['check', 'rules', 'rules.yaml'], {
    'rules.yaml': { groups: [{ name: 'panels', rules }] },
  });
  expect(found).toContain(`SUCCESS: ${rules.length} rules found`);
});

/** A file for `promtool test rules`: https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/ */
function ruleTest(rules: JsonObject[], series: Series[], { fires }: Fault): JsonObject {
  const names = [...new Set(rules.map((rule) => digText(rule, 'alert')))];
  const expected = (alertname: string) =>
    fires.filter(({ alert }) => alert === alertname).map((alert) => expectation(rules, alert));
  return {
    rule_files: ['rules.yaml'],
    evaluation_interval: '1m',
    tests: [
      {
        interval: '1m',
        input_series: series.map((one) => ({ series: selector(one), values: samples(one) })),
        alert_rule_test: names.flatMap((alertname) => [
          { eval_time: `${BROKEN - 1}m`, alertname, exp_alerts: [] },
          { eval_time: `${BROKEN + 1}m`, alertname, exp_alerts: [] },
          { eval_time: `${FIRED}m`, alertname, exp_alerts: expected(alertname) },
        ]),
      },
    ],
  };
}

function selector({ metric, labels }: Series): string {
  const matchers = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
  return `${metric}{${matchers.join(',')}}`;
}

function samples({ before, after }: Series): string {
  if (before === after && before !== null) return along(before, END);
  const begin = before === null ? `_x${BROKEN}` : along(before, BROKEN - 1);
  return `${begin} ${after === null ? 'stale' : along(after, END - BROKEN)}`;
}

const along = ([start, step]: Line, minutes: number): string => `${start}+${step}x${minutes}`;

function expectation(rules: JsonObject[], { alert, severity, labels = {}, value = '' }: Fired): JsonObject {
  const rule = rules.find((one) => one.alert === alert && digText(one, 'labels', 'severity') === severity);
  if (!isJsonObject(rule?.labels) || !isJsonObject(rule.annotations)) throw new Error(`There is no rule ${alert}`);
  const told = (template: string) =>
    template
      .replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, (_, name: string) => labels[name] ?? '')
      .replaceAll(/\{\{[^}]*\$value[^}]*\}\}/g, value);
  const annotations = Object.entries(rule.annotations).map(([name, template]) => [name, told(String(template))]);
  return { exp_labels: { ...labels, ...rule.labels }, exp_annotations: Object.fromEntries(annotations) };
}
