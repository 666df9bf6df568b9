import { selectorLabels } from '../../desired/labels.ts';
import type { JsonObject } from '../../json.ts';
import { labelSelector } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { type ServerState, STATE_PATHS } from '../../nats/currency.ts';
import { REPORT_PATHS, type ServerReport } from '../../nats/health.ts';
import { PORTS } from '../../nats/layout.ts';
import type { RunContext } from '../context.ts';

/** What selects the servers' pods and no other of the same instance, as those of disruption windows are. */
export function podSelector(name: string): string {
  return labelSelector(selectorLabels(name));
}

/** The servers' pods. */
export function podsOf({ kube, namespace, name }: RunContext): Promise<KubeObject[]> {
  return kube.list('Pod', namespace, { labels: podSelector(name) });
}

/** What each server tells of itself. */
export async function serverReports(context: RunContext): Promise<ServerReport[]> {
  const pods = await podsOf(context);
  return Promise.all(
    pods.map(async ({ metadata: { name: server } }) => {
      const ask = asking(context, server);
      const [jsz, routez] = await Promise.all([ask(REPORT_PATHS.jsz), ask(REPORT_PATHS.routez)]);
      return { server, jsz, routez };
    }),
  );
}

/** What the servers in these pods tell of themselves and of the streams that they lead. */
export function serverStates(context: RunContext, pods: KubeObject[]): Promise<ServerState[]> {
  return Promise.all(
    pods.map(async ({ metadata: { name: server } }) => {
      const ask = asking(context, server);
      const { jsz: jszPath, routez: routezPath, healthz: healthzPath } = STATE_PATHS;
      const [jsz, routez, healthz] = await Promise.all([ask(jszPath), ask(routezPath), ask(healthzPath)]);
      return { server, jsz, routez, healthz };
    }),
  );
}

function asking({ kube, namespace }: RunContext, server: string): (path: string) => Promise<JsonObject | null> {
  return (path) => kube.getFromPod(namespace, server, PORTS.monitoring, path);
}
