import { type Inputs, REPLICAS } from '../../inputs/table.ts';
import { dig, digObjects, digText, type JsonObject } from '../../json.ts';
import type { KubeReader } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { STATE_PATHS, streamsIn } from '../../nats/currency.ts';
import { PORTS } from '../../nats/layout.ts';
import { Problem } from '../../problem.ts';

/** What there is of the cluster that is to be scaled. */
export interface Scaled {
  namespace: string;
  name: string;
  /** Servers that there are, as serversOf counts them. */
  servers: number;
  isRunning: boolean;
}

/**
 * How many servers there are, of which some may have been scaled away by hand: one that is to come back, with the data volume
 * that it left, counts; and all of them do where there is no server. A single one may have no part in the volumes of others.
 *
 * @param live replicas of the StatefulSet
 */
export function serversOf(live: number, volumes: number, wanted: number): number {
  if (live <= 1) return live || volumes;
  return Math.max(live, Math.min(volumes, wanted));
}

const SEE = 'docs/life-cycle.md, "Scaling", tells how the data is moved.';

/** Of servers that are not there, only the volumes tell how many they were. */
const UNUSED_CLAIMS = ', or delete the PersistentVolumeClaims of servers that were scaled away before';

/**
 * Throws where another number of servers would lose data: the streams of a single server do not join a JetStream cluster,
 * which removes them; and a server that goes takes its replicas of streams, and its vote, with it.
 */
export async function checkScaling(kube: KubeReader, inputs: Inputs, cluster: Scaled): Promise<void> {
  checkLastServer(inputs, cluster);
  const reason = await whatForbids(kube, cluster, inputs.replicas);
  if (reason !== null) throw scalingProblem(cluster, inputs.replicas, reason, nothingWritten(cluster));
}

/** Throws where one server of several would be left, for which nobody has to ask the servers. */
export function checkLastServer({ replicas }: Inputs, cluster: Scaled): void {
  if (cluster.servers <= 1 || replicas > 1) return;
  const reason = 'A server that is left alone does not offer the streams of its cluster.';
  throw scalingProblem(cluster, replicas, reason, nothingWritten(cluster));
}

function scalingProblem({ namespace, name, servers }: Scaled, replicas: number, reason: string, next: string): Problem {
  return new Problem({
    kind: 'target',
    tried: `Changing the number of servers of ${namespace}/${name} from ${servers} to ${replicas}`,
    reason,
    next: `${next} ${SEE}`,
  });
}

function nothingWritten({ servers, isRunning }: Scaled): string {
  // Somebody may have scaled them by hand to a number that no input is.
  const back = REPLICAS.find((number) => number >= servers) ?? servers;
  return `Nothing was written. Set the input replicas back to ${back}${isRunning ? '' : UNUSED_CLAIMS}.`;
}

/** Asks the same again right before servers go: one that was removed from JetStream may have joined and stored something since. */
export async function checkRemovedServers(kube: KubeReader, statefulSet: KubeObject, replicas: number): Promise<void> {
  const { name, namespace = '' } = statefulSet.metadata;
  const servers = Number(dig(statefulSet.spec, 'replicas'));
  if (replicas >= servers) return;
  const cluster = { namespace, name, servers, isRunning: true };
  const reason = await whatForbids(kube, cluster, replicas);
  if (reason !== null) throw scalingProblem(cluster, replicas, reason, 'No server was taken away.');
}

async function whatForbids(kube: KubeReader, cluster: Scaled, replicas: number): Promise<string | null> {
  const { servers } = cluster;
  if (servers === 1 && replicas > 1) return whatKeepsAlone(kube, cluster);
  return replicas < servers ? whatKeepsServers(kube, cluster, replicas) : null;
}

async function whatKeepsAlone(kube: KubeReader, cluster: Scaled): Promise<string | null> {
  const lost = 'The streams of a single server do not join a JetStream cluster, which removes them';
  const report = await reportOf(kube, cluster, 0);
  if (report === null) return `${lost}, and ${cluster.name}-0 does not run or answer to tell whether it has any.`;
  const streams = streamsIn(report);
  return streams.length === 0 ? null : `${lost}. It has ${streams.join(', ')}.`;
}

/** Servers that store nothing, or never joined JetStream, have nothing that could be lost; the others must keep their majority. */
async function whatKeepsServers(kube: KubeReader, cluster: Scaled, replicas: number): Promise<string | null> {
  const reports = await Promise.all(
    Array.from({ length: cluster.servers }, async (_, ordinal) => ({
      server: `${cluster.name}-${ordinal}`,
      jsz: await reportOf(kube, cluster, ordinal),
    })),
  );
  const leader = reports.find(({ server, jsz }) => digText(jsz ?? undefined, 'meta_cluster', 'leader') === server);
  if (leader === undefined || leader.jsz === null) return 'JetStream has no meta leader to tell what is stored where.';
  const followers = digObjects(leader.jsz, 'meta_cluster', 'replicas').map((peer) => digText(peer, 'name'));
  const members = reports.filter(({ server }) => server === leader.server || followers.includes(server));
  const going = members.filter(({ server }) => ordinalOf(server) >= replicas);
  const silent = going.find(({ jsz }) => jsz === null);
  if (silent !== undefined) return `${silent.server} does not answer to tell what it stores.`;
  const keeper = going.find(({ jsz }) => jsz !== null && streamsIn(jsz).length > 0);
  if (keeper?.jsz)
    return `${keeper.server} would take its replicas of streams with it: ${streamsIn(keeper.jsz).join(', ')}.`;
  const size = Number(digText(leader.jsz, 'meta_cluster', 'cluster_size'));
  if (members.length - going.length > size / 2) return null;
  return `JetStream counts ${size} servers and would lose its majority.`;
}

function ordinalOf(server: string): number {
  return Number(server.slice(server.lastIndexOf('-') + 1));
}

async function reportOf(
  kube: KubeReader,
  { namespace, name, isRunning }: Scaled,
  ordinal: number,
): Promise<JsonObject | null> {
  return isRunning ? kube.getFromPod(namespace, `${name}-${ordinal}`, PORTS.monitoring, STATE_PATHS.jsz) : null;
}
