import { dig, digObjects, digText, type JsonObject } from '../json.ts';
import type { ServerReport } from './health.ts';

/** What a server tells of itself and of the streams that it leads; null where it did not answer. */
export interface ServerState extends ServerReport {
  healthz: JsonObject | null;
}

/** What the monitoring paths of ServerState are. */
export const STATE_PATHS = { jsz: '/jsz?streams=true', routez: '/routez', healthz: '/healthz' } as const;

/**
 * Why no server may be restarted but `server`, as one phrase; null where `server` may be: without it every group still has
 * its majority, as all others are current. Being Ready is not enough: a server is Ready while it catches up.
 *
 * @param replicas how many servers there are to be, `server` among them
 * @param server the one to go; null: none, the cluster is to be whole as it is
 */
export function notCurrent(states: ServerState[], replicas: number, server: string | null): string | null {
  const others = states.filter((state) => state.server !== server);
  const expected = server === null ? replicas : replicas - 1;
  const silent = others.filter(({ jsz, routez, healthz }) => jsz === null || routez === null || healthz === null);
  if (silent.length > 0) return `no answer from ${silent.map((state) => state.server).join(', ')}`;
  if (others.length < expected) return `${states.length} of ${replicas} servers exist`;
  const ill = others.find(({ healthz }) => healthz?.status !== 'ok');
  if (ill !== undefined) return `${ill.server} is not current: ${wordsOf(ill.healthz)}`;
  if (replicas === 1) return null;
  return routeMissing(others) ?? metaLagging(states, others, server) ?? streamLagging(states, server);
}

function wordsOf(healthz: JsonObject | null): string {
  return digText(healthz ?? undefined, 'error') || digText(healthz ?? undefined, 'status') || 'no reason given';
}

/** Majorities are made of servers that reach each other. */
function routeMissing(servers: ServerState[]): string | null {
  for (const { server, routez } of servers) {
    const reached = new Set(digObjects(routez ?? undefined, 'routes').map((route) => digText(route, 'remote_name')));
    const missing = servers.find((other) => other.server !== server && !reached.has(other.server));
    if (missing !== undefined) return `${server} has no route to ${missing.server}`;
  }
  return null;
}

/** Only the leader of a group knows how far its followers are. */
function metaLagging(states: ServerState[], others: ServerState[], server: string | null): string | null {
  const leaders = states.filter((state) => metaOf(state, 'leader') === state.server);
  const [leader] = leaders;
  if (leader === undefined) return 'JetStream has no meta leader';
  if (leaders.length > 1)
    return `JetStream is changing its meta leader: ${leaders.map((each) => each.server).join(', ')}`;
  const current = [leader.server, ...followersOf(leader.jsz, 'meta_cluster').filter(isCurrent).map(nameOf)];
  const lagging = others.find((other) => !current.includes(other.server));
  if (lagging !== undefined) return `${lagging.server} is not current in JetStream's meta group`;
  const left = current.filter((name) => name !== server).length;
  const size = Number(metaOf(leader, 'cluster_size') || current.length);
  if (left > size / 2) return null;
  return `JetStream's meta group counts ${size} servers, of which ${left} would be left`;
}

function metaOf({ jsz }: ServerState, field: string): string {
  return digText(jsz ?? undefined, 'meta_cluster', field);
}

/** Of each stream with replicas: a leader, and every replica current but that on `server`. */
function streamLagging(states: ServerState[], server: string | null): string | null {
  const led = new Set<string>();
  const seen = new Set<string>();
  for (const state of states) {
    for (const { name, stream } of streamDetails(state.jsz)) {
      if (dig(stream, 'cluster', 'replicas') === undefined) continue;
      seen.add(name);
      if (digText(stream, 'cluster', 'leader') !== state.server) continue;
      led.add(name);
      const lagging = followersOf(stream, 'cluster').find(
        (replica) => nameOf(replica) !== server && !isCurrent(replica),
      );
      if (lagging !== undefined) return `the replica of stream ${name} on ${nameOf(lagging)} is not current`;
    }
  }
  const headless = [...seen].find((name) => !led.has(name));
  return headless === undefined ? null : `stream ${headless} has no leader`;
}

/** The streams that a server has: "DEFAULT/EVENTS". */
export function streamsIn(jsz: JsonObject): string[] {
  return streamDetails(jsz).map(({ name }) => name);
}

function streamDetails(jsz: JsonObject | null): { name: string; stream: JsonObject }[] {
  return digObjects(jsz ?? undefined, 'account_details').flatMap((account) =>
    digObjects(account, 'stream_detail').map((stream) => ({
      name: `${digText(account, 'name')}/${digText(stream, 'name')}`,
      stream,
    })),
  );
}

function followersOf(from: JsonObject | null, group: string): JsonObject[] {
  return digObjects(from ?? undefined, group, 'replicas');
}

function isCurrent(follower: JsonObject): boolean {
  return follower.current === true && follower.offline !== true;
}

function nameOf(follower: JsonObject): string {
  return digText(follower, 'name');
}
