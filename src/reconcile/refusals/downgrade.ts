import { selectorLabels } from '../../desired/labels.ts';
import type { Inputs } from '../../inputs/table.ts';
import { digObjects, digText, type JsonObject } from '../../json.ts';
import { type KubeReader, labelSelector } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { ASSETS_PATH, type Asset, assetsAbove } from '../../nats/downgrade.ts';
import { PORTS, SERVER_CONTAINER } from '../../nats/layout.ts';
import { compareVersions, firstWithApiLevel, resolveVersions, serverVersion } from '../../nats/versions.ts';
import { Problem, type ProblemDetails } from '../../problem.ts';

/** The inputs that choose how many servers there are, and of which release. */
export type ServerInputs = Pick<Inputs, 'replicas' | 'helm_version' | 'nats_version'>;

/** What the servers are to be. */
export interface WantedServers extends ServerInputs {
  image: string;
}

/** A cluster whose servers may be of a newer release. */
export interface LiveServers {
  namespace: string;
  name: string;
  /** Null where it is gone; the data volumes that its servers left may be there. */
  statefulSet: KubeObject | null;
  /** What a run last found whole; null where none has. */
  lastGood: ServerInputs | null;
}

/** A server that may have stored something by that release; null where its image does not tell it. */
interface Server {
  name: string;
  version: string | null;
}

/** Servers that go back to an older release. */
export interface Downgrade {
  from: string;
  to: string;
  /** Null where nothing is against it. */
  refusal: Refusal | null;
}

/** Why servers do not go back, as the parts of a Problem. */
export type Refusal = Required<Pick<ProblemDetails, 'reason' | 'findings' | 'next'>>;

/**
 * The look before a run: the release that the servers go back from, where an older one is wanted; null where it is not. Throws
 * where that is refused.
 */
export async function checkDowngrade(
  kube: KubeReader,
  live: LiveServers,
  wanted: WantedServers,
): Promise<string | null> {
  const downgrade = await findDowngrade(kube, live, wanted);
  if (downgrade === null) return null;
  const { from, to, refusal } = downgrade;
  if (refusal === null) return from;
  throw new Problem({
    ...refusal,
    kind: 'target',
    tried: `Taking the nats-server of ${live.namespace}/${live.name} back from ${from} to ${to}`,
    next: `Nothing was written. ${refusal.next}`,
  });
}

/**
 * How the servers go back, where an older release is wanted; null where it is not. It is refused where a stream or consumer
 * uses features that the older release does not know, or where that cannot be told: a server that has served by the newer
 * release may have stored something by it, and does not answer. One that is silent because it has never come up by that,
 * which is what most rollbacks are about, is no hindrance.
 */
export async function findDowngrade(
  kube: KubeReader,
  live: LiveServers,
  wanted: WantedServers,
): Promise<Downgrade | null> {
  const { server: to, abilities } = resolveVersions(wanted);
  const isNewer = (version: string | null) => version === null || compareVersions(version, to) > 0;
  const applied = serverImage(live.statefulSet);
  // The servers themselves are asked only where they may be newer.
  if (applied === wanted.image || !isNewer(versionIn(applied))) return null;
  const servers = await serversThatServed(kube, live, wanted.replicas);
  const newer = servers.filter(({ version }) => isNewer(version));
  if (newer.length === 0) return null;
  const answers = await Promise.all(
    servers.map(async (server) => ({
      server,
      report: await kube.getFromPod(live.namespace, server.name, PORTS.monitoring, ASSETS_PATH),
    })),
  );
  const silent = newer.filter((each) => answers.some(({ server, report }) => server === each && report === null));
  const assets = assetsAbove(
    answers.flatMap(({ report }) => (report === null ? [] : [report])),
    abilities.apiLevel,
  );
  const from = newestOf(newer);
  return { from, to, refusal: refusalOf(from, to, assets, silent) };
}

function refusalOf(from: string, to: string, assets: Asset[], silent: Server[]): Refusal | null {
  const findings = [
    ...assets.map(
      ({ name, apiLevel }) => `${name} uses features of ${firstWithApiLevel(apiLevel) ?? 'a newer release'}`,
    ),
    ...silent.map(
      ({ name, version }) =>
        `${name} has served by ${version ?? UNKNOWN} and does not answer, so nobody can tell what its streams use`,
    ),
  ];
  if (findings.length === 0) return null;
  if (assets.length === 0) {
    return {
      reason: `Whether nats-server ${to} can take over what is stored is not known.`,
      findings,
      next: 'Bring these servers up first, by a run with the release that they have: kubectl describe tells what keeps them.',
    };
  }
  const lowest = firstWithApiLevel(Math.max(...assets.map(({ apiLevel }) => apiLevel))) ?? from;
  return {
    reason: `nats-server ${to} cannot take over what is stored.`,
    findings,
    next: `Choose ${lowest} or later by the input nats_version, or remove these streams and consumers, or their features, first.`,
  };
}

const UNKNOWN = 'an unknown release';

function newestOf(servers: Server[]): string {
  const versions = servers.flatMap(({ version }) => version ?? []);
  return versions.sort(compareVersions).at(-1) ?? UNKNOWN;
}

/**
 * The servers that have ever served: what is there tells it, and the last good state of those that are not, or whose pod is
 * new since. Not those beyond the wanted number, which get no other release.
 */
async function serversThatServed(
  kube: KubeReader,
  { namespace, name, lastGood }: LiveServers,
  replicas: number,
): Promise<Server[]> {
  const pods = await kube.list('Pod', namespace, { labels: labelSelector(selectorLabels(name)) });
  const present = await Promise.all(pods.map((pod) => serverIn(kube, pod)));
  const served = present.filter((server) => server !== null);
  if (lastGood === null) return served;
  const former = Array.from({ length: Math.min(lastGood.replicas, replicas) }, (_, ordinal) => `${name}-${ordinal}`);
  const silent = former.filter((each) => served.every((server) => server.name !== each));
  return [...served, ...silent.map((each) => ({ name: each, version: serverVersion(lastGood) }))];
}

/** Null where it does not answer and has never served since its pod is there. */
async function serverIn(kube: KubeReader, pod: KubeObject): Promise<Server | null> {
  const { namespace = '', name } = pod.metadata;
  const varz = await kube.getFromPod(namespace, name, PORTS.monitoring, '/varz');
  const told = digText(varz ?? undefined, 'version');
  if (told !== '') return { name, version: told };
  return hasServed(pod) ? { name, version: versionIn(imageIn(digObjects(pod.spec, 'containers'))) } : null;
}

/** Milliseconds by which two times may differ that the kubelet writes at once, to the second. */
const AT_ONCE = 1_000;

/** Whether the pod is Ready or has ever been: what a kubelet says of a pod that has not, it has said since its start. */
function hasServed({ status }: KubeObject): boolean {
  const ready = digObjects(status, 'conditions').find(({ type }) => type === 'Ready');
  if (ready === undefined) return false;
  const isSinceStart =
    Date.parse(digText(ready, 'lastTransitionTime')) - Date.parse(digText(status, 'startTime')) <= AT_ONCE;
  return ready.status === 'True' || !isSinceStart;
}

/** The image of nats-server in the StatefulSet's template; '' without one. */
export function serverImage(statefulSet: KubeObject | null): string {
  return imageIn(digObjects(statefulSet?.spec, 'template', 'spec', 'containers'));
}

function imageIn(containers: JsonObject[]): string {
  return digText(
    containers.find(({ name }) => name === SERVER_CONTAINER),
    'image',
  );
}

/** "2.12.8" by the tag of the image, which may go on: "2.12.8-alpine". Null for another tag, or a digest. */
function versionIn(image: string): string | null {
  return /:(\d+\.\d+\.\d+)(-[\w.]+)?$/.exec(image)?.[1] ?? null;
}
