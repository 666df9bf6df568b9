import { dig, digObjects, digText, type JsonObject } from '../json.ts';

/** What one server's monitoring port answers; null where it did not. */
export interface ServerReport {
  /** Name of the pod, which is the server's name. */
  server: string;
  jsz: JsonObject | null;
  routez: JsonObject | null;
}

/** What the monitoring paths of ServerReport are. */
export const REPORT_PATHS = { jsz: '/jsz', routez: '/routez' } as const;

/**
 * What is still missing for a healthy cluster, as one phrase; null when JetStream has a meta leader, the leader sees
 * every other server current, and every server has routes to all others.
 */
export function whatIsMissing(reports: ServerReport[], replicas: number): string | null {
  const silent = reports.filter(({ jsz, routez }) => jsz === null || routez === null);
  if (silent.length > 0) return `no answer from ${silent.map(({ server }) => server).join(', ')}`;
  if (reports.length < replicas) return `${reports.length} of ${replicas} servers exist`;
  const disabled = reports.find(({ jsz }) => dig(jsz ?? undefined, 'config') === undefined || jsz?.disabled === true);
  if (disabled !== undefined) return `JetStream is not enabled on ${disabled.server}`;
  return replicas === 1 ? null : (routesMissing(reports, replicas) ?? metaMissing(reports, replicas));
}

/** The meta leader's name; '' for none, and for a single server. */
export function metaLeader(reports: ServerReport[]): string {
  return (
    reports.map(({ jsz }) => digText(jsz ?? undefined, 'meta_cluster', 'leader')).find((name) => name !== '') ?? ''
  );
}

/** Nanoseconds without a word to the meta leader, which asks for one every second. */
const SILENT = 10e9;

/**
 * The servers that JetStream's meta leader does not count among its peers, or hears nothing of though they answer here; none
 * are told while there is no leader to ask.
 */
export function outsiders(reports: ServerReport[]): string[] {
  const leader = metaLeader(reports);
  const view = reports.find(({ server }) => server === leader)?.jsz ?? undefined;
  if (view === undefined || reports.some(({ jsz }) => jsz === null)) return [];
  const peers = digObjects(view, 'meta_cluster', 'replicas')
    .filter(({ current, active }) => current === true || Number(active ?? 0) < SILENT)
    .map((peer) => digText(peer, 'name'));
  return reports.map(({ server }) => server).filter((server) => server !== leader && !peers.includes(server));
}

/** The servers that JetStream's meta leader counts for its majority though there are none of these names. */
export function absentPeers(reports: ServerReport[]): string[] {
  const leader = metaLeader(reports);
  const view = reports.find(({ server }) => server === leader)?.jsz ?? undefined;
  const peers = digObjects(view, 'meta_cluster', 'replicas').map((peer) => digText(peer, 'name'));
  return peers.filter((name) => reports.every(({ server }) => server !== name)).sort();
}

/** From 2.10 on a server has several connections to each peer: what counts is how many peers they lead to. */
function routesMissing(reports: ServerReport[], replicas: number): string | null {
  const lonely = reports.find(({ routez }) => peersOf(routez).size < replicas - 1);
  if (lonely === undefined) return null;
  return `${lonely.server} has routes to ${peersOf(lonely.routez).size} of ${replicas - 1} peers`;
}

function peersOf(routez: JsonObject | null): Set<string> {
  return new Set(digObjects(routez ?? undefined, 'routes').map((route) => digText(route, 'remote_id')));
}

/** Only the leader knows about its peers. */
function metaMissing(reports: ServerReport[], replicas: number): string | null {
  const leader = metaLeader(reports);
  if (leader === '') return 'JetStream has no meta leader';
  const view = reports.find(({ server }) => server === leader)?.jsz;
  const peers = digObjects(view ?? undefined, 'meta_cluster', 'replicas');
  const current = peers.filter((peer) => peer.current === true && peer.offline !== true).length;
  return current >= replicas - 1 ? null : `${current + 1} of ${replicas} JetStream peers current (leader ${leader})`;
}
