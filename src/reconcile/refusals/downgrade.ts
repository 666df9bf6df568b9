import { selectorLabels } from '../../desired/labels.ts';
import type { Inputs } from '../../inputs/table.ts';
import { digObjects, digText } from '../../json.ts';
import { type KubeReader, labelSelector } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { ASSETS_PATH, assetsAbove } from '../../nats/downgrade.ts';
import { PORTS, SERVER_CONTAINER } from '../../nats/layout.ts';
import { compareVersions, firstWithApiLevel, resolveVersions } from '../../nats/versions.ts';
import { Problem } from '../../problem.ts';

/** A server, and the release that it runs or last ran; null where its container has never started. */
interface Server {
  name: string;
  version: string | null;
}

/**
 * The release that the servers go back from, where the inputs choose an older one; null where they do not. Throws where a
 * stream or consumer uses features that the older release does not know, or where that cannot be told: a server that has
 * served by the newer release may have stored something by it, and does not answer. One that is silent because it has never
 * come up by that, which is what most rollbacks are about, is no hindrance.
 */
export async function checkDowngrade(
  kube: KubeReader,
  inputs: Inputs,
  { metadata, spec }: KubeObject,
): Promise<string | null> {
  const { server: wanted, abilities } = resolveVersions(inputs);
  const applied = versionIn(digObjects(spec, 'template', 'spec', 'containers'));
  // The servers themselves are asked only where they may be newer.
  if (applied !== null && compareVersions(applied, wanted) <= 0) return null;
  const { namespace = '', name } = metadata;
  const pods = await kube.list('Pod', namespace, { labels: labelSelector(selectorLabels(name)) });
  const servers = await Promise.all(pods.map((pod) => serverIn(kube, pod)));
  const newest = servers
    .flatMap(({ version }) => version ?? [])
    .sort(compareVersions)
    .at(-1);
  if (newest === undefined || compareVersions(newest, wanted) <= 0) return null;
  const answers = await Promise.all(
    servers.map(async (server) => ({
      server,
      report: await kube.getFromPod(namespace, server.name, PORTS.monitoring, ASSETS_PATH),
    })),
  );
  const isNewer = ({ version }: Server) => version !== null && compareVersions(version, wanted) > 0;
  const silent = answers.filter(({ server, report }) => report === null && isNewer(server));
  const assets = assetsAbove(
    answers.flatMap(({ report }) => (report === null ? [] : [report])),
    abilities.apiLevel,
  );
  const findings = [
    ...assets.map(
      ({ name, apiLevel }) => `${name} uses features of ${firstWithApiLevel(apiLevel) ?? 'a newer release'}`,
    ),
    ...silent.map(
      ({ server }) =>
        `${server.name} has served by ${server.version} and does not answer, so nobody can tell what its streams use`,
    ),
  ];
  if (findings.length === 0) return newest;
  const lowest = firstWithApiLevel(Math.max(...assets.map(({ apiLevel }) => apiLevel)));
  throw new Problem({
    kind: 'target',
    tried: `Going back from nats-server ${newest} to ${wanted} with StatefulSet ${namespace}/${name}`,
    reason:
      assets.length === 0
        ? `Whether nats-server ${wanted} can take over what is stored is not known; nothing was written.`
        : `nats-server ${wanted} cannot take over what is stored; nothing was written.`,
    findings,
    next:
      assets.length === 0
        ? 'Bring these servers up first: kubectl describe tells what keeps them.'
        : `Choose ${lowest ?? newest} or later by the input nats_version, or remove these streams and consumers, or their features, first.`,
  });
}

async function serverIn(kube: KubeReader, pod: KubeObject): Promise<Server> {
  const { namespace = '', name } = pod.metadata;
  const varz = await kube.getFromPod(namespace, name, PORTS.monitoring, '/varz');
  const told = digText(varz ?? undefined, 'version');
  return { name, version: told || (hasServed(pod) ? versionIn(digObjects(pod.spec, 'containers')) : null) };
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

/** "2.12.8" by the tag of the server's image, which may go on: "2.12.8-alpine". Null for another tag, or a digest. */
function versionIn(containers: ReturnType<typeof digObjects>): string | null {
  const image = digText(
    containers.find(({ name }) => name === SERVER_CONTAINER),
    'image',
  );
  return /:(\d+\.\d+\.\d+)(-[\w.]+)?$/.exec(image)?.[1] ?? null;
}
