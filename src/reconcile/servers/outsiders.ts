import { describe } from '../../kube/client.ts';
import { outsiders, type ServerReport } from '../../nats/health.ts';
import type { RunContext } from '../context.ts';
import { record } from '../record.ts';
import { podsOf } from './pods.ts';

/** Milliseconds after an election in which the leader adds every server that answers it; measured: well below one second. */
const JOIN_TIME = 10_000;

/**
 * Restarts a server, once in a run, that the meta leader leaves out of its peers for 10 s: a workaround. With 2.10.23 about one in ten new clusters of
 * three starts so: one server follows the leader, but its answers never arrive, and the leader goes on with a group of
 * two; it may also never be Ready. One that was a peer before its restart stays listed, as one that is not current. After
 * another restart it becomes a peer. Nothing is lost: no new stream is placed on such a server, and the others have their
 * majority without it.
 *
 * @returns what to call with each look at the servers
 */
export function outsiderRestarts(context: RunContext): (reports: ServerReport[]) => Promise<void> {
  const { clock } = context;
  const restarted = new Set<string>();
  let since: number | undefined;
  return async (reports) => {
    const server = outsiders(reports).find((outsider) => !restarted.has(outsider));
    if (server === undefined) {
      since = undefined;
      return;
    }
    since ??= clock.now();
    if (clock.now() - since < JOIN_TIME) return;
    since = undefined;
    restarted.add(server);
    await restart(context, server);
  };
}

async function restart(context: RunContext, server: string): Promise<void> {
  const pod = (await podsOf(context)).find(({ metadata }) => metadata.name === server);
  if (pod === undefined || !(await context.kube.remove(pod))) return;
  const object = describe('Pod', context.namespace, server);
  record(
    context,
    { action: 'delete', object, fields: [] },
    "JetStream's meta leader did not take it for a peer, or heard nothing of it",
  );
}
