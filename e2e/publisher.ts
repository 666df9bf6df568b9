import { jetstream, jetstreamManager, type StreamInfo } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { waitFor } from './cluster.ts';

export interface Publisher {
  /** Resolves to the ids that were acknowledged. */
  stop(): Promise<Set<string>>;
  /** Milliseconds between two acknowledgements, the longest so far. */
  longestGap(): number;
}

/** Publishes one message after another on the subject `events`, until stopped; a failed one is sent again under its id. */
export function startPublisher(connection: NatsConnection): Publisher {
  const client = jetstream(connection);
  const acknowledged = new Set<string>();
  let stopped = false;
  let last = performance.now();
  let longest = 0;
  const publishing = (async () => {
    for (let number = 1; !stopped; number++) {
      const id = `event-${number}`;
      while (!stopped && !(await isAcknowledged(id))) {
        // Sent again at once: the request's own timeout paces it.
      }
    }
  })();
  async function isAcknowledged(id: string): Promise<boolean> {
    try {
      await client.publish('events', id, { msgID: id, timeout: 2_000 });
    } catch {
      return false;
    }
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
    acknowledged.add(id);
    return true;
  }
  return {
    async stop() {
      stopped = true;
      await publishing;
      return acknowledged;
    },
    longestGap: () => Math.round(longest),
  };
}

/** The ids that are in the stream. */
export async function storedIds(connection: NatsConnection, stream: string): Promise<Set<string>> {
  const { state } = await streamInfo(connection, stream);
  const consumer = await jetstream(connection).consumers.get(stream);
  const ids = new Set<string>();
  for await (const message of await consumer.consume()) {
    ids.add(message.string());
    if (message.seq >= state.last_seq) break;
  }
  return ids;
}

/** Asked for again: a stream whose servers have all just started may still be electing its leader. */
async function streamInfo(connection: NatsConnection, stream: string): Promise<StreamInfo> {
  const manager = await jetstreamManager(connection);
  let info: StreamInfo | undefined;
  const answers = async (): Promise<boolean> => {
    info = await manager.streams.info(stream).catch(() => undefined);
    return info !== undefined;
  };
  await waitFor(answers, `stream ${stream} has a leader`, 60_000);
  if (info === undefined) throw new Error(`Stream ${stream} has no leader`);
  return info;
}
