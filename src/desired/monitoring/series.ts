import type { Names } from '../names.ts';

/**
 * What the rules and the dashboard read of prometheus-nats-exporter. Measured: 0.14.0, 0.16.0, 0.17.3 and 0.20.1 all
 * give these of nats-server 2.10.23, 2.12.8 and 2.14.6; those of streams and consumers only where there are some.
 *
 * While its server does not answer, an exporter goes on giving the last values of `nats_varz_*`, as if nothing had
 * happened; all others are gone. `answering` tells the ones from the others.
 */
export type Metric =
  | 'nats_consumer_num_ack_pending'
  | 'nats_consumer_num_pending'
  /** 0: the server, the meta group and all streams and consumers on it are current; else 1. */
  | 'nats_healthz_status'
  /** Its labels tell the meta leader. */
  | 'nats_server_total_streams'
  | 'nats_stream_consumer_count'
  | 'nats_stream_last_seq'
  | 'nats_stream_total_bytes'
  | 'nats_stream_total_messages'
  | 'nats_varz_connections'
  | 'nats_varz_cpu'
  | 'nats_varz_in_bytes'
  | 'nats_varz_in_msgs'
  | 'nats_varz_jetstream_config_max_memory'
  | 'nats_varz_jetstream_config_max_storage'
  | 'nats_varz_jetstream_stats_api_errors'
  | 'nats_varz_jetstream_stats_api_total'
  | 'nats_varz_jetstream_stats_memory'
  | 'nats_varz_jetstream_stats_storage'
  | 'nats_varz_max_connections'
  | 'nats_varz_mem'
  | 'nats_varz_out_bytes'
  | 'nats_varz_out_msgs'
  /** The peers that a server has routes to; `nats_varz_routes` counts connections, four to each peer. */
  | 'nats_varz_remotes'
  | 'nats_varz_slow_consumers'
  /** Milliseconds since the epoch. */
  | 'nats_varz_start';

/** PromQL that selects the series of one cluster's servers. */
export interface ClusterSeries {
  /** The series of a metric, narrowed by matchers: `is_meta_leader="true"`. */
  select(metric: Metric, ...matchers: string[]): string;
  /** The same, of servers that answer: for values that an exporter keeps of a server that is gone. */
  answering(metric: Metric): string;
  /** How many servers give it: each is counted once, however often it is scraped; nothing where none does. */
  servers(metric: Metric, ...matchers: string[]): string;
  /** When the certificates of these names expire, as cert-manager tells it, in seconds since the epoch. */
  expiry(certificates: string[]): string;
}

/** Pods are told by their names, as no label of the pods comes with every way to scrape them. */
export function clusterSeries(names: Names): ClusterSeries {
  const pods = [`namespace="${names.namespace}"`, `pod=~"${names.cluster}-[0-9]+"`];
  const select = (metric: Metric, ...matchers: string[]) => `${metric}{${[...pods, ...matchers].join(',')}}`;
  return {
    select,
    answering: (metric) => `(${select(metric)} and on (pod) ${select('nats_healthz_status')})`,
    servers: (metric, ...matchers) => `count(count by (pod) (${select(metric, ...matchers)}))`,
    expiry: (certificates) => expiry(names.namespace, certificates),
  };
}

/**
 * By default Prometheus calls cert-manager's own namespace `namespace`, and the certificate's `exported_namespace`; where
 * cert-manager is scraped with honorLabels, `namespace` is the certificate's.
 */
function expiry(namespace: string, certificates: string[]): string {
  const metric = 'certmanager_certificate_expiration_timestamp_seconds';
  const name = `name=~"${certificates.join('|')}"`;
  const honoured = `${metric}{namespace="${namespace}",exported_namespace="",${name}}`;
  return `(${metric}{exported_namespace="${namespace}",${name}} or ${honoured})`;
}
