import type { Names } from '../names.ts';
import type { ClusterSeries, Metric } from './series.ts';

/** What the panels of one cluster are made of. */
export interface PanelScope {
  series: ClusterSeries;
  names: Names;
  replicas: number;
  /** The names of its Certificates. */
  certificates: string[];
}

/** What a panel asks Prometheus, in PromQL. */
export interface Query {
  expr: string;
  /** The name of a line, a template of Grafana; in a table the heading of the value's column: '' for none. */
  legend: string;
  /** Of a column, where it differs from the panel's. */
  unit?: string;
}

/** One number, a name out of a label, lines over time, states over time, or a table. */
export type PanelKind = 'number' | 'name' | 'graph' | 'states' | 'table';

/** A colour and the value that it begins at. */
export type Step = [colour: 'green' | 'orange' | 'red', from: number];

/** One panel of the dashboard, whatever the cluster; its queries are those of one. */
export interface Panel {
  title: string;
  kind: PanelKind;
  /** Columns of Grafana's grid, which has 24. */
  width: number;
  /** A unit of Grafana: https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts */
  unit: string;
  /** What the title does not tell. */
  description?: string;
  /** Says nothing about a server that is alone. */
  amongPeers?: true;
  /** In rising order. */
  steps?: (scope: PanelScope) => Step[];
  queries: (scope: PanelScope) => Query[];
}

/** Panels under one heading. */
export interface Row {
  title: string;
  /** Of each of its panels, in rows of Grafana's grid. */
  height: number;
  panels: Panel[];
}

/** Chosen by Grafana: at least four scrapes long. */
const WINDOW = '[$__rate_interval]';

const filling = (): Step[] => [
  ['green', 0],
  ['orange', 0.8],
  ['red', 0.95],
];

const alarmingFrom = (value: number) => (): Step[] => [
  ['green', 0],
  ['red', value],
];

const wholeOrMajority = ({ replicas }: PanelScope): Step[] => [
  ['red', 0],
  ['orange', Math.floor(replicas / 2) + 1],
  ['green', replicas],
];

/** The dashboard from top to bottom: what is wrong now, then the causes. */
export const ROWS: readonly Row[] = [
  {
    title: 'Now',
    height: 4,
    panels: [
      {
        title: 'Servers that answer',
        kind: 'number',
        width: 4,
        unit: 'short',
        steps: wholeOrMajority,
        queries: ({ series, replicas }) => [
          { expr: `${series.servers('nats_healthz_status')} or vector(0)`, legend: `of ${replicas}` },
        ],
      },
      {
        title: 'Servers that are current',
        description: 'In the meta group and in every stream and consumer that they have a replica of.',
        kind: 'number',
        width: 4,
        unit: 'short',
        steps: wholeOrMajority,
        queries: ({ series, replicas }) => [
          {
            expr: `count(max by (pod) (${series.select('nats_healthz_status')}) == 0) or vector(0)`,
            legend: `of ${replicas}`,
          },
        ],
      },
      {
        title: 'Meta leader',
        kind: 'name',
        width: 4,
        unit: 'short',
        amongPeers: true,
        queries: ({ series }) => [
          {
            expr: `max by (meta_leader) (${series.select('nats_server_total_streams', 'is_meta_leader="true"')})`,
            legend: '{{meta_leader}}',
          },
        ],
      },
      {
        title: 'Fullest storage',
        description: 'Of the servers, in shares of max_file_store.',
        kind: 'number',
        width: 4,
        unit: 'percentunit',
        steps: filling,
        queries: ({ series }) => [
          {
            expr: `max(${series.answering('nats_varz_jetstream_stats_storage')} / ${series.select('nats_varz_jetstream_config_max_storage')})`,
            legend: '',
          },
        ],
      },
      {
        title: 'API errors',
        description: 'Requests to the JetStream API that were refused.',
        kind: 'number',
        width: 4,
        unit: 'ops',
        steps: alarmingFrom(0.1),
        queries: ({ series }) => rates(series, { '': 'nats_varz_jetstream_stats_api_errors' }),
      },
      {
        title: 'Next certificate ends in',
        description: 'As cert-manager tells it; empty where its metrics are not scraped.',
        kind: 'number',
        width: 4,
        unit: 's',
        queries: ({ series, certificates }) => [{ expr: `min(${series.expiry(certificates)} - time())`, legend: '' }],
      },
      {
        title: 'Alerts',
        kind: 'table',
        width: 24,
        unit: 'short',
        queries: ({ names }) => [
          {
            expr: `max by (alertname, severity, alertstate, pod, stream_name, name) (ALERTS{namespace="${names.namespace}",nats_cluster="${names.cluster}"})`,
            legend: '',
          },
        ],
      },
    ],
  },
  {
    title: 'Servers',
    height: 7,
    panels: [
      {
        title: 'Current',
        kind: 'states',
        width: 12,
        unit: 'short',
        queries: ({ series }) => byPod(series.select('nats_healthz_status')),
      },
      {
        title: 'Peers with a route',
        kind: 'graph',
        width: 12,
        unit: 'short',
        amongPeers: true,
        queries: ({ series }) => byPod(series.answering('nats_varz_remotes')),
      },
      {
        title: 'CPU',
        description: '100 %: one core.',
        kind: 'graph',
        width: 8,
        unit: 'percent',
        queries: ({ series }) => byPod(series.answering('nats_varz_cpu')),
      },
      {
        title: 'Memory',
        kind: 'graph',
        width: 8,
        unit: 'bytes',
        queries: ({ series }) => byPod(series.answering('nats_varz_mem')),
      },
      {
        title: 'Uptime',
        kind: 'graph',
        width: 8,
        unit: 's',
        queries: ({ series }) => byPod(`time() - ${series.answering('nats_varz_start')} / 1000`),
      },
    ],
  },
  {
    title: 'Clients',
    height: 7,
    panels: [
      {
        title: 'Connections',
        kind: 'graph',
        width: 12,
        unit: 'short',
        queries: ({ series }) => byPod(series.answering('nats_varz_connections')),
      },
      {
        title: 'Slow consumers',
        description: 'Clients that were cut off, as they did not read what they subscribe to.',
        kind: 'graph',
        width: 12,
        unit: 'short',
        queries: ({ series }) => byPod(`increase(${series.select('nats_varz_slow_consumers')}${WINDOW})`),
      },
      {
        title: 'Messages',
        kind: 'graph',
        width: 12,
        unit: 'cps',
        queries: ({ series }) => rates(series, { in: 'nats_varz_in_msgs', out: 'nats_varz_out_msgs' }),
      },
      {
        title: 'Bytes',
        kind: 'graph',
        width: 12,
        unit: 'Bps',
        queries: ({ series }) => rates(series, { in: 'nats_varz_in_bytes', out: 'nats_varz_out_bytes' }),
      },
    ],
  },
  {
    title: 'JetStream',
    height: 8,
    panels: [
      {
        title: 'Storage',
        kind: 'graph',
        width: 8,
        unit: 'bytes',
        queries: ({ series }) => [
          ...byPod(series.answering('nats_varz_jetstream_stats_storage')),
          { expr: `min(${series.answering('nats_varz_jetstream_config_max_storage')})`, legend: 'limit' },
        ],
      },
      {
        title: 'Memory streams',
        kind: 'graph',
        width: 8,
        unit: 'bytes',
        queries: ({ series }) => [
          ...byPod(series.answering('nats_varz_jetstream_stats_memory')),
          { expr: `min(${series.answering('nats_varz_jetstream_config_max_memory')})`, legend: 'limit' },
        ],
      },
      {
        title: 'API requests',
        kind: 'graph',
        width: 8,
        unit: 'ops',
        queries: ({ series }) =>
          rates(series, {
            requests: 'nats_varz_jetstream_stats_api_total',
            errors: 'nats_varz_jetstream_stats_api_errors',
          }),
      },
      {
        title: 'Streams',
        description: 'Behind: messages that the replica furthest behind lacks; servers are asked at different moments.',
        kind: 'table',
        width: 24,
        unit: 'short',
        queries: ({ series }) => [
          { expr: byStream('max', series.select('nats_stream_total_messages')), legend: 'Messages' },
          { expr: byStream('max', series.select('nats_stream_total_bytes')), legend: 'Size', unit: 'bytes' },
          { expr: byStream('max', series.select('nats_stream_consumer_count')), legend: 'Consumers' },
          {
            expr: byStream('count', `max by (account, stream_name, pod) (${series.select('nats_stream_last_seq')})`),
            legend: 'Replicas',
          },
          {
            expr: `${byStream('max', series.select('nats_stream_last_seq'))} - ${byStream('min', series.select('nats_stream_last_seq'))}`,
            legend: 'Behind',
          },
          // For its label alone.
          {
            expr: `max by (account, stream_name, stream_leader) (${series.select('nats_stream_last_seq', 'is_stream_leader="true"')})`,
            legend: '',
          },
        ],
      },
      {
        title: 'Messages stored',
        description: 'By stream: how fast its last sequence grows.',
        kind: 'graph',
        width: 8,
        unit: 'cps',
        queries: ({ series }) => [
          {
            expr: byStream('max', `rate(${series.select('nats_stream_last_seq')}${WINDOW})`),
            legend: '{{stream_name}}',
          },
        ],
      },
      {
        title: 'Consumers: pending messages',
        kind: 'graph',
        width: 8,
        unit: 'short',
        queries: ({ series }) => byConsumer(series, 'nats_consumer_num_pending'),
      },
      {
        title: 'Consumers: unacknowledged messages',
        kind: 'graph',
        width: 8,
        unit: 'short',
        queries: ({ series }) => byConsumer(series, 'nats_consumer_num_ack_pending'),
      },
    ],
  },
  {
    title: 'Certificates',
    height: 7,
    panels: [
      {
        title: 'Certificates end in',
        description: 'They are renewed at half of their lifetime. As cert-manager tells it.',
        kind: 'graph',
        width: 24,
        unit: 's',
        queries: ({ series, certificates }) => [
          { expr: `min by (name) (${series.expiry(certificates)} - time())`, legend: '{{name}}' },
        ],
      },
    ],
  },
];

/** The highest of the series of each pod. */
function byPod(expr: string): Query[] {
  return [{ expr: `max by (pod) (${expr})`, legend: '{{pod}}' }];
}

/** What all servers together do in a second, one line a metric. */
function rates(series: ClusterSeries, metrics: { [legend: string]: Metric }): Query[] {
  return Object.entries(metrics).map(([legend, metric]) => ({
    expr: `sum(max by (pod) (rate(${series.select(metric)}${WINDOW})))`,
    legend,
  }));
}

/** Each replica of a stream tells the same, or less where it is behind. */
function byStream(aggregation: 'max' | 'min' | 'count', expr: string): string {
  return `${aggregation} by (account, stream_name) (${expr})`;
}

/** Only its leader knows how far a consumer is. */
function byConsumer(series: ClusterSeries, metric: Metric): Query[] {
  const ofLeaders = series.select(metric, 'is_consumer_leader="true"');
  return [
    {
      expr: `topk(20, max by (account, stream_name, consumer_name) (${ofLeaders}))`,
      legend: '{{stream_name}} / {{consumer_name}}',
    },
  ];
}
