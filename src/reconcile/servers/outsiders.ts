import { describe } from '../../kube/client.ts';
import { outsiders, type ServerReport } from '../../nats/health.ts';
import type { RunContext, WriteContext } from '../context.ts';
import { asHolder } from '../lock/holder.ts';
import { record } from '../record.ts';
import { podsOf } from './pods.ts';

/** Milliseconds after an election in which the leader adds every server that answers it; measured: well below one second. */
const JOIN_TIME = 10_000;

/**
 * Restarts a server, once in a wait, that the meta leader leaves out of its peers for 10 s: a workaround. With 2.10.23 about one in ten new clusters of
 * three starts so: one server follows the leader, but its answers never arrive, and the leader goes on with a group of
 * two; it may also never be Ready. One that was a peer before its restart stays listed, as one that is not current. After
 * another restart it becomes a peer. Nothing is lost: no new stream is placed on such a server, and the others have their
 * majority without it.
 *
 * The next one only when that is a peer again: with two away there is no majority.
 *
 * @returns what to call with each look at the servers
 */
export function outsiderRestarts(context: RunContext): (reports: ServerReport[]) => Promise<void> {
  const { clock } = context;
  const restarted = new Set<string>();
  let since = new Map<string, number>();
  return async (reports) => {
    const now = clock.now();
    const outside = outsiders(reports);
    since = new Map(outside.map((server) => [server, since.get(server) ?? now]));
    const peers = reports.map(({ server }) => server).filter((server) => !outside.includes(server));
    if (![...restarted].every((server) => peers.includes(server))) return;
    const server = outside.find((each) => now - (since.get(each) ?? now) >= JOIN_TIME);
    if (server === undefined) return;
    restarted.add(server);
    await restart(asHolder(context, `restart ${server}`), server);
  };
}

async function restart(context: WriteContext, server: string): Promise<void> {
  const pod = (await podsOf(context)).find(({ metadata }) => metadata.name === server);
  if (pod === undefined || !(await context.kube.remove(pod))) return;
  const object = describe('Pod', context.namespace, server);
  record(
    context,
    { action: 'delete', object, fields: [] },
    "JetStream's meta leader did not take it for a peer, or heard nothing of it",
  );
}
