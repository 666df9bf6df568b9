import { dig } from '../../json.ts';
import type { KubeObject } from '../../kube/object.ts';
import { type ServerState, streamsIn } from '../../nats/currency.ts';
import { SERVER_CONTAINER } from '../../nats/layout.ts';
import { Problem } from '../../problem.ts';
import type { RunContext } from '../context.ts';
import type { Progress } from '../until.ts';

/** Logged once JetStream has recovered what is stored: https://github.com/nats-io/nats-server/blob/v2.14.5/server/server.go */
const STARTED = 'Server is ready';

/**
 * Where a server stands that was alone and is to be the first of several. It runs as part of a cluster by now, but has no
 * others yet: without a meta leader it takes no new stream, and keeps those that it has, which it would remove as soon as
 * the others are there. So this is the time to look once more: done when it has none. Rejects when it has.
 */
export async function firstServer(
  { kube, namespace, name }: RunContext,
  pod: KubeObject,
  state: ServerState | undefined,
): Promise<Progress> {
  const server = pod.metadata.name;
  const log = await kube.podLog(namespace, server, SERVER_CONTAINER, { tailLines: 200, previous: false });
  const jsz = state?.jsz ?? null;
  if (jsz === null || dig(jsz, 'config') === undefined || !log.includes(STARTED)) {
    return { done: false, missing: `${server} has not started yet` };
  }
  const streams = streamsIn(jsz);
  if (streams.length === 0) return { done: true };
  throw new Problem({
    kind: 'target',
    tried: `Making the single server of ${namespace}/${name} the first of a cluster`,
    reason: `Streams were made on it meanwhile, which would be removed: ${streams.join(', ')}.`,
    next: 'Nothing is lost. Run again with the input replicas 1: the server then offers its streams again.',
  });
}
