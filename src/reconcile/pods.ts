import { selectorLabels } from '../desired/labels.ts';
import { labelSelector } from '../kube/client.ts';
import type { KubeObject } from '../kube/object.ts';
import { REPORT_PATHS, type ServerReport } from '../nats/health.ts';
import { PORTS } from '../nats/layout.ts';
import type { RunContext } from './context.ts';

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
  const { kube, namespace } = context;
  const pods = await podsOf(context);
  return Promise.all(
    pods.map(async ({ metadata: { name: server } }) => {
      const [jsz, routez] = await Promise.all([
        kube.getFromPod(namespace, server, PORTS.monitoring, REPORT_PATHS.jsz),
        kube.getFromPod(namespace, server, PORTS.monitoring, REPORT_PATHS.routez),
      ]);
      return { server, jsz, routez };
    }),
  );
}
