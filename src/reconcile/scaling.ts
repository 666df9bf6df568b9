import type { Inputs } from '../inputs/table.ts';
import { digObjects, digText, type JsonObject } from '../json.ts';
import type { KubeClient } from '../kube/client.ts';
import { STATE_PATHS, streamsIn } from '../nats/currency.ts';
import { PORTS } from '../nats/layout.ts';
import { Problem } from '../problem.ts';

/** What there is of the cluster that is to be scaled. */
export interface Scaled {
  namespace: string;
  name: string;
  /** Servers that there are: of the StatefulSet, or by their data volumes where it is gone or scaled to nothing. */
  servers: number;
  isRunning: boolean;
}

const SEE = 'docs/life-cycle.md, "Scaling", tells how the data is moved.';

/**
 * Throws where another number of servers would lose data: the streams of a single server do not join a JetStream cluster,
 * which removes them; and a server that goes takes its replicas of streams, and its vote, with it.
 */
export async function checkScaling(kube: KubeClient, { replicas }: Inputs, cluster: Scaled): Promise<void> {
  const { namespace, name, servers } = cluster;
  const reason =
    servers === 1 && replicas > 1
      ? await whatKeepsAlone(kube, cluster)
      : replicas < servers
        ? await whatKeepsServers(kube, cluster, replicas)
        : null;
  if (reason === null) return;
  throw new Problem({
    kind: 'target',
    tried: `Changing the number of servers of ${namespace}/${name} from ${servers} to ${replicas}`,
    reason,
    next: `Nothing was written. Set the input replicas back to ${servers}. ${SEE}`,
  });
}

async function whatKeepsAlone(kube: KubeClient, cluster: Scaled): Promise<string | null> {
  const lost = 'The streams of a single server do not join a JetStream cluster, which removes them';
  const report = await reportOf(kube, cluster, 0);
  if (report === null) return `${lost}, and ${cluster.name}-0 does not run or answer to tell whether it has any.`;
  const streams = streamsIn(report);
  return streams.length === 0 ? null : `${lost}. It has ${streams.join(', ')}.`;
}

/** Servers that never joined JetStream, or were removed from it, have nothing that could be lost. */
async function whatKeepsServers(kube: KubeClient, cluster: Scaled, replicas: number): Promise<string | null> {
  const lost = 'The streams on the servers that would go could lose their data';
  const reports = await Promise.all(
    Array.from({ length: cluster.servers }, async (_, ordinal) => ({
      server: `${cluster.name}-${ordinal}`,
      report: await reportOf(kube, cluster, ordinal),
    })),
  );
  const leader = reports.find(
    ({ server, report }) => digText(report ?? undefined, 'meta_cluster', 'leader') === server,
  );
  const size = Number(digText(leader?.report ?? undefined, 'meta_cluster', 'cluster_size') || 0);
  if (leader === undefined || replicas === 1) return `${lost}.`;
  const members = [
    leader.server,
    ...digObjects(leader.report ?? undefined, 'meta_cluster', 'replicas').map((peer) => digText(peer, 'name')),
  ];
  const going = members.filter((server) => ordinalOf(server) >= replicas);
  if (going.length > 0) return `${lost}: JetStream counts ${going.sort().join(', ')} among its servers.`;
  return size === replicas ? null : `${lost}: JetStream counts ${size} servers.`;
}

function ordinalOf(server: string): number {
  return Number(server.slice(server.lastIndexOf('-') + 1));
}

async function reportOf(
  kube: KubeClient,
  { namespace, name, isRunning }: Scaled,
  ordinal: number,
): Promise<JsonObject | null> {
  return isRunning ? kube.getFromPod(namespace, `${name}-${ordinal}`, PORTS.monitoring, STATE_PATHS.jsz) : null;
}
