import { metaLeader, REPORT_PATHS, type ServerReport, whatIsMissing } from '../nats/health.ts';
import { PORTS } from '../nats/layout.ts';
import type { RunContext } from './context.ts';
import { outsiderRestarts } from './outsiders.ts';
import { podSelector, podsOf } from './rollout.ts';
import { until } from './until.ts';

/** Waits until the servers themselves tell that the cluster is whole. Resolves to the meta leader's name, '' for one server. */
export async function verifyServers(context: RunContext): Promise<string> {
  const { namespace, name, inputs } = context;
  const restartOutsiders = outsiderRestarts(context);
  let leader = '';
  await until(
    {
      ...context,
      tried: `Verifying that JetStream of ${name} is whole`,
      next: `Look at: kubectl -n ${namespace} logs -l ${podSelector(name)} -c nats --tail=50`,
    },
    async () => {
      const reports = await serverReports(context);
      await restartOutsiders(reports);
      const missing = whatIsMissing(reports, inputs.replicas);
      leader = metaLeader(reports);
      return missing === null ? { done: true } : { done: false, missing };
    },
  );
  return leader;
}

async function serverReports(context: RunContext): Promise<ServerReport[]> {
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
