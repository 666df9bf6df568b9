import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstream, jetstreamManager, type StreamInfo } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { waitFor } from './cluster.ts';

export interface Publisher {
  /** Resolves to the ids that were acknowledged. */
  stop(): Promise<Set<string>>;
  /** Milliseconds between two acknowledgements, the longest so far. */
  longestGap(): number;
  /** How often a message had to be sent again. */
  retries(): number;
}

/**
 * Publishes on the subject `events` until stopped, one message after another or so many a second; a failed one is sent
 * again under its id.
 */
export function startPublisher(connection: NatsConnection, { perSecond }: { perSecond?: number } = {}): Publisher {
  const client = jetstream(connection);
  // A server takes the ids of an earlier publisher for duplicates.
  const publisher = randomUUID();
  const acknowledged = new Set<string>();
  let stopped = false;
  let last = performance.now();
  let longest = 0;
  let failed = 0;

  async function publish(number: number): Promise<void> {
    const id = `event-${publisher}-${number}`;
    while (!stopped && !(await isAcknowledged(id))) {
      failed++;
      // While a connection is made anew, requests fail at once: sent again at once they would leave it no time.
      await sleep(50);
    }
  }
  async function isAcknowledged(id: string): Promise<boolean> {
    try {
      await client.publish('events', id, { msgID: id, timeout: 2_000 });
    } catch {
      // Nobody stops it where the test has failed.
      stopped ||= connection.isClosed();
      return false;
    }
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
    acknowledged.add(id);
    return true;
  }
  async function oneAfterAnother(): Promise<void> {
    for (let number = 1; !stopped; number++) await publish(number);
  }
  async function atRate(rate: number): Promise<void> {
    const start = performance.now();
    const underWay = new Set<Promise<void>>();
    for (let number = 1; !stopped; number++) {
      await sleep(Math.max(0, start + (number * 1000) / rate - performance.now()));
      const one: Promise<void> = publish(number).finally(() => underWay.delete(one));
      underWay.add(one);
    }
    await Promise.all(underWay);
  }
  const publishing = perSecond === undefined ? oneAfterAnother() : atRate(perSecond);
  return {
    async stop() {
      stopped = true;
      await publishing;
      return acknowledged;
    },
    longestGap: () => Math.round(longest),
    retries: () => failed,
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
