import { absentPeers, metaLeader, whatIsMissing } from '../../nats/health.ts';
import type { RunContext } from '../context.ts';
import { outsiderRestarts } from '../servers/outsiders.ts';
import { podSelector, serverReports } from '../servers/pods.ts';
import { until } from '../until.ts';

/** Waits until the servers themselves tell that the cluster is whole. Resolves to the meta leader's name, '' for one server. */
export async function verifyServers(context: RunContext): Promise<string> {
  const { namespace, name, inputs } = context;
  const restartOutsiders = outsiderRestarts(context);
  let leader = '';
  let absent: string[] = [];
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
      absent = absentPeers(reports);
      return missing === null ? { done: true } : { done: false, missing };
    },
  );
  if (absent.length > 0) {
    context.log.warning(
      `JetStream still counts ${absent.join(', ')} for its majority, which do not exist any more: remove them as the superuser (nats server cluster peer-remove NAME).`,
    );
  }
  return leader;
}
