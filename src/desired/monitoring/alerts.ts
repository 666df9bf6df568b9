import type { Inputs } from '../../inputs/table.ts';
import type { JsonObject } from '../../json.ts';
import { PORTS, SERVER_CONTAINER } from '../../nats/layout.ts';
import { identities } from '../identities.ts';
import { selectorLabels } from '../labels.ts';
import { type Names, secretName } from '../names.ts';
import { type ClusterSeries, clusterSeries } from './series.ts';

/** What the rules of one cluster are made of. */
interface Cluster {
  series: ClusterSeries;
  replicas: number;
  certificates: Lifetime[];
}

/** Certificates that live equally long. */
interface Lifetime {
  seconds: number;
  certificates: string[];
}

interface Level {
  severity: 'warning' | 'critical';
  /** How long the expression must hold, as Prometheus writes durations. */
  for: string;
  /** What the expression and the summary compare with; 0 where they need nothing. */
  limit: number;
}

interface Alert {
  name: string;
  levels: Level[];
  /** Says nothing about a server that is alone. */
  amongPeers?: true;
  expr: (cluster: Cluster, limit: number) => string;
  summary: (limit: number) => string;
  /** A template of Prometheus: what is wrong and where it leads. */
  description: (cluster: Cluster) => string;
  /** What to look with first. */
  command: (kubectl: Kubectl) => string;
}

/** Commands that need nothing but kubectl, about the pod or the certificate of the alert where they name none. */
interface Kubectl {
  pods: string;
  logs: string;
  logsOfAll: string;
  describePod: string;
  describeCertificate: string;
  /** What a server reports on its monitoring port. */
  report: (path: string) => string;
  reportOfFirst: (path: string) => string;
}

const warning = (duration: string, limit = 0): Level => ({ severity: 'warning', for: duration, limit });
const critical = (duration: string, limit = 0): Level => ({ severity: 'critical', for: duration, limit });
const percent = (share: number) => `${share * 100} %`;

const POD = '{{ $labels.pod }}';
const STREAM = '{{ $labels.stream_name }}';
const SHARE = '{{ $value | humanizePercentage }}';

/** A server of a cluster can be away for a minute in every roll-out: no alert of that waits for less than two. */
const ALERTS: readonly Alert[] = [
  {
    name: 'NatsServerDown',
    levels: [warning('5m')],
    amongPeers: true,
    expr: ({ series, replicas }) => `${answeringServers(series)} < ${replicas}`,
    summary: () => 'A NATS server does not answer',
    description: ({ replicas }) =>
      `{{ $value }} of ${replicas} servers answer: of the others the pod, the server or the metrics exporter is down.`,
    command: ({ pods }) => pods,
  },
  {
    name: 'NatsMajorityDown',
    levels: [critical('2m')],
    expr: ({ series, replicas }) => `${answeringServers(series)} <= ${replicas / 2}`,
    summary: () => 'NATS has no majority of servers',
    description: ({ replicas }) =>
      `{{ $value }} of ${replicas} servers answer, and JetStream stores nothing without more than half of them.`,
    command: ({ pods }) => pods,
  },
  {
    name: 'NatsNoMetaLeader',
    levels: [critical('2m')],
    amongPeers: true,
    expr: ({ series }) =>
      `${series.servers('nats_server_total_streams')} unless ` +
      series.servers('nats_server_total_streams', 'meta_leader!=""'),
    summary: () => 'JetStream has no meta leader',
    description: () =>
      'None of the {{ $value }} servers that answer knows a leader of the meta group: no stream or consumer can be made, changed or moved.',
    command: ({ logsOfAll }) => logsOfAll,
  },
  {
    name: 'NatsServerNotCurrent',
    levels: [warning('10m')],
    expr: ({ series }) => `${series.select('nats_healthz_status')} > 0`,
    summary: () => 'A NATS server is not current',
    description: () =>
      `${POD} reports that it is behind: in the meta group, or in a stream or consumer that it has. Its log tells which: "Healthcheck failed".`,
    command: ({ logs }) => logs,
  },
  {
    name: 'NatsStreamWithoutLeader',
    levels: [critical('2m')],
    amongPeers: true,
    expr: ({ series }) =>
      `${replicasByStream(series, 'stream_leader=""')} unless ${replicasByStream(series, 'stream_leader!=""')}`,
    summary: () => 'A stream has no leader',
    description: () =>
      `None of the replicas of stream ${STREAM} that answer knows a leader: nothing can be published to it or read from it.`,
    command: ({ pods }) => pods,
  },
  {
    name: 'NatsRoutesMissing',
    levels: [warning('5m')],
    amongPeers: true,
    // Compared with the peers that answer: one that is down is told by another alert.
    expr: ({ series }) =>
      `${series.answering('nats_varz_remotes')} < scalar(${series.servers('nats_healthz_status')}) - 1`,
    summary: () => 'A NATS server has fewer routes than peers',
    description: () =>
      `${POD} is connected to {{ $value }} of its peers, although more of them answer. Its log tells why: the network, or a certificate.`,
    command: ({ logs }) => logs,
  },
  {
    name: 'NatsServerRestarting',
    levels: [warning('1m', 2)],
    expr: ({ series }, limit) => `changes(${series.select('nats_varz_start')}[30m]) > ${limit}`,
    summary: () => 'A NATS server restarts again and again',
    description: () =>
      `${POD} has restarted {{ $value }} times in half an hour. "Last State" tells why: OOMKilled means minimum_memory_mb.`,
    command: ({ describePod }) => describePod,
  },
  {
    name: 'NatsStorageFilling',
    levels: [warning('10m', 0.8), critical('5m', 0.95)],
    expr: ({ series }, limit) =>
      `${series.answering('nats_varz_jetstream_stats_storage')} / ` +
      `${series.select('nats_varz_jetstream_config_max_storage')} > ${limit}`,
    summary: (limit) => `JetStream storage is more than ${percent(limit)} full`,
    description: () =>
      `${SHARE} of max_file_store on ${POD} is used; at 100 % nothing more is stored. Limit the largest streams, or enlarge the volumes.`,
    command: ({ report }) => report('jsz?streams=true'),
  },
  {
    name: 'NatsMemoryStoreFilling',
    levels: [warning('10m', 0.8)],
    expr: ({ series }, limit) =>
      `${series.answering('nats_varz_jetstream_stats_memory')} / ` +
      `${series.select('nats_varz_jetstream_config_max_memory')} > ${limit}`,
    summary: (limit) => `JetStream memory is more than ${percent(limit)} full`,
    description: () =>
      `${SHARE} of max_memory_store on ${POD} is used; at 100 % streams in memory take nothing more. Limit them, or raise minimum_memory_mb.`,
    command: ({ report }) => report('jsz?streams=true'),
  },
  {
    name: 'NatsJetStreamApiErrors',
    levels: [warning('10m', 0.1)],
    expr: ({ series }, limit) =>
      `sum(max by (pod) (rate(${series.select('nats_varz_jetstream_stats_api_errors')}[5m]))) > ${limit}`,
    summary: (limit) => `JetStream refuses more than ${limit} API requests a second`,
    description: () =>
      '{{ printf "%.1f" $value }} requests to the JetStream API fail each second: for a stream or consumer that does not exist, a limit, or no leader. The clients are told which.',
    command: ({ reportOfFirst }) => reportOfFirst('jsz?accounts=true'),
  },
  {
    name: 'NatsSlowConsumers',
    levels: [warning('1m')],
    expr: ({ series }) => `increase(${series.select('nats_varz_slow_consumers')}[15m]) > 0`,
    summary: () => 'NATS clients are too slow and were cut off',
    description: () =>
      `${POD} closed {{ printf "%.0f" $value }} connections in 15 minutes, as the clients did not read what they subscribe to. Those with the most pending bytes are next.`,
    command: ({ report }) => report('connz?sort=pending&limit=10'),
  },
  {
    name: 'NatsConnectionsNearLimit',
    levels: [warning('10m', 0.8)],
    expr: ({ series }, limit) =>
      `${series.answering('nats_varz_connections')} / ` + `${series.select('nats_varz_max_connections')} > ${limit}`,
    summary: (limit) => `A NATS server has more than ${percent(limit)} of its connections`,
    description: () => `${SHARE} of max_connections on ${POD} are in use; at 100 % no client gets in.`,
    command: ({ report }) => report('connz?limit=100'),
  },
  {
    name: 'NatsCertificateExpiring',
    // Renewal is due at half of the lifetime.
    levels: [warning('5m', 0.25), critical('5m', 0.1)],
    expr: ({ series, certificates }, limit) =>
      certificates
        .map((lifetime) => `${series.expiry(lifetime.certificates)} - time() < ${Math.round(lifetime.seconds * limit)}`)
        .join(' or '),
    summary: (limit) => `A certificate of NATS has less than ${percent(limit)} of its lifetime left`,
    description: () =>
      'Certificate {{ $labels.name }} ends in {{ $value | humanizeDuration }} and should have been renewed at half of its lifetime: cert-manager cannot, or Vault refuses.',
    command: ({ describeCertificate }) => describeCertificate,
  },
];

/**
 * The alerting rules of one cluster, as Prometheus reads them. Alerts of two severities share a name, so that the usual
 * inhibition (same alertname and namespace) leaves the critical one.
 */
export function alertRules(inputs: Inputs, names: Names): JsonObject[] {
  const cluster: Cluster = {
    series: clusterSeries(names),
    replicas: inputs.replicas,
    certificates: lifetimes(inputs, names),
  };
  const kubectl = kubectlFor(names);
  const told = ALERTS.filter(({ amongPeers }) => !amongPeers || inputs.replicas > 1);
  return told.flatMap((alert) =>
    alert.levels.map((level) => ({
      alert: alert.name,
      expr: alert.expr(cluster, level.limit),
      for: level.for,
      labels: { severity: level.severity, namespace: names.namespace, nats_cluster: names.cluster },
      annotations: {
        summary: alert.summary(level.limit),
        description: `${alert.description(cluster)} Look: ${alert.command(kubectl)}`,
      },
    })),
  );
}

/** How many servers answer; 0 where count() would have nothing to give. */
function answeringServers(series: ClusterSeries): string {
  return `(${series.servers('nats_healthz_status')} or vector(0))`;
}

function replicasByStream(series: ClusterSeries, matcher: string): string {
  return `count by (account, stream_name) (${series.select('nats_stream_last_seq', matcher)})`;
}

function lifetimes(inputs: Inputs, names: Names): Lifetime[] {
  const byHours = new Map<number, string[]>();
  for (const { purpose, lifetimeHours } of identities(inputs, names)) {
    byHours.set(lifetimeHours, [...(byHours.get(lifetimeHours) ?? []), secretName(names.cluster, purpose)]);
  }
  return [...byHours].map(([hours, certificates]) => ({ seconds: hours * 3600, certificates }));
}

function kubectlFor({ namespace, cluster }: Names): Kubectl {
  const kubectl = `kubectl -n ${namespace}`;
  const selector = Object.entries(selectorLabels(cluster)).map(([key, value]) => `${key}=${value}`);
  const labels = `-l ${selector.join(',')}`;
  const report = (pod: string, path: string) =>
    `${kubectl} exec ${pod} -c ${SERVER_CONTAINER} -- wget -qO- 'http://localhost:${PORTS.monitoring}/${path}'`;
  return {
    pods: `${kubectl} get pods ${labels} -o wide`,
    logs: `${kubectl} logs ${POD} -c ${SERVER_CONTAINER} --tail=100`,
    logsOfAll: `${kubectl} logs ${labels} -c ${SERVER_CONTAINER} --prefix --tail=30`,
    describePod: `${kubectl} describe pod ${POD}`,
    describeCertificate: `${kubectl} describe certificate {{ $labels.name }}`,
    report: (path) => report(POD, path),
    reportOfFirst: (path) => report(`${cluster}-0`, path),
  };
}
