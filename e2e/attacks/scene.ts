import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AckPolicy,
  type ConsumerInfo,
  DeliverPolicy,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  type StreamInfo,
} from '@nats-io/jetstream';
import { type NatsConnection, nanos } from '@nats-io/transport-node';
import { waitFor } from '../cluster.ts';
import { dial, type Target } from './target.ts';

/** What an attacker might take or spoil, by its names. */
export const PREY = {
  /** Read by a pull and a push consumer. */
  orders: 'ORDERS',
  /** A work queue, one of whose jobs is being worked on. */
  jobs: 'JOBS',
  worker: 'worker',
  billing: 'billing',
  /** Replicated; has one subject, to which replies could be sent. */
  audit: 'AUDIT',
  auditSubject: 'audit.log',
  /** A bucket of a key-value store, with the key `mode`. */
  settings: 'KV_settings',
  /** Takes what is said while somebody eavesdrops; not in the picture. */
  noise: 'NOISE',
  /** Asked and answered while somebody eavesdrops. */
  service: 'svc.quote',
} as const;

const HOUR = nanos(3_600_000);

/** The data of a cluster: set up by its admin, who also judges what became of it. */
export class Scene {
  /** Stands in everything that an eavesdropper must not hear. */
  readonly secret = `secret-${randomUUID()}`;
  /** Where the job that is being worked on is acknowledged. */
  ack = '';
  readonly #admin: NatsConnection;
  readonly #streams: JetStreamManager;
  readonly #target: Target;

  private constructor(target: Target, admin: NatsConnection, streams: JetStreamManager) {
    this.#target = target;
    this.#admin = admin;
    this.#streams = streams;
  }

  static async set(target: Target): Promise<Scene> {
    const admin = await dial(target, target.secrets.admin);
    const scene = new Scene(target, admin, await jetstreamManager(admin, { timeout: 10_000 }));
    admin.subscribe(PREY.service, {
      callback: (_, message) => {
        message.respond(`${scene.secret} answer`);
      },
    });
    admin.subscribe('deliver.orders');
    await scene.restore();
    return scene;
  }

  /** Makes everything anew, as it was: a server may still be deleting a stream while another has made it again. */
  async restore(): Promise<void> {
    const built = async (): Promise<boolean> => {
      await this.#build();
      return true;
    };
    await waitFor(built, 'the scene is built', 60_000);
    await this.#settled();
  }

  async #build(): Promise<void> {
    await waitFor(() => this.#clear(), 'no stream is left', 15_000);
    const { streams, consumers } = this.#streams;
    const open = { allow_direct: true, allow_rollup_hdrs: true };
    await Promise.all([
      streams.add({ name: PREY.orders, subjects: ['orders.>'], ...open }),
      streams.add({ name: PREY.jobs, subjects: ['jobs.*'], retention: RetentionPolicy.Workqueue, ...open }),
      streams.add({ name: PREY.audit, subjects: [PREY.auditSubject], num_replicas: 3, ...open }),
      streams.add({ name: PREY.settings, subjects: ['$KV.settings.>'], max_msgs_per_subject: 5, ...open }),
      streams.add({ name: PREY.noise, subjects: ['noise.>'], max_msgs: 10, num_replicas: 3, ...open }),
    ]);
    const slow = { ack_policy: AckPolicy.Explicit, ack_wait: HOUR };
    await Promise.all([
      consumers.add(PREY.orders, { durable_name: PREY.billing, ...slow }),
      consumers.add(PREY.orders, {
        durable_name: 'push',
        deliver_subject: 'deliver.orders',
        deliver_policy: DeliverPolicy.New,
        ack_policy: AckPolicy.None,
      }),
      consumers.add(PREY.jobs, { durable_name: PREY.worker, ...slow }),
    ]);
    const data = jetstream(this.#admin, { timeout: 10_000 });
    const texts = ['orders.new', 'orders.paid', 'jobs.mail', 'jobs.print', PREY.auditSubject, '$KV.settings.mode'];
    await Promise.all(texts.map((subject) => data.publish(subject, `${subject} of old`)));
    const next = `$JS.API.CONSUMER.MSG.NEXT.${PREY.jobs}.${PREY.worker}`;
    // A job comes under the subject that it was published to, by which the client's common inbox knows no request.
    const job = await this.#admin.request(next, '', { timeout: 5_000, noMux: true });
    this.ack = job.reply ?? '';
  }

  /** Streams, consumers and messages, as the admin sees them: the same text as long as nobody touched anything. */
  async picture(): Promise<string> {
    let text = '';
    // While JetStream elects a leader nobody gets an answer.
    const taken = async (): Promise<boolean> => {
      text = await this.#look();
      return true;
    };
    await waitFor(taken, 'the admin sees the streams', 20_000);
    return text;
  }

  async #look(): Promise<string> {
    const streams = await this.#streams.streams.list().next();
    const known = streams.filter(({ config }) => config.name !== PREY.noise);
    const lines = await Promise.all(known.map((info) => this.#describe(info)));
    return lines.flat().sort().join('\n');
  }

  /** The messages themselves. */
  async contents(): Promise<string[]> {
    const streams = await this.#streams.streams.list().next();
    const stored = streams
      .filter(({ config }) => config.name !== PREY.noise)
      .flatMap(({ config, state }) =>
        Array.from(
          { length: state.last_seq - state.first_seq + 1 },
          (_, index) => [config.name, state.first_seq + index] as const,
        ),
      );
    const messages = stored.map(async ([stream, seq]) => {
      const message = await this.#streams.streams.getMessage(stream, { seq });
      return `${stream} ${seq} ${message?.subject} ${message?.string()}`;
    });
    return (await Promise.all(messages)).sort();
  }

  /** What differs from that picture; null when nothing does for so many milliseconds. */
  async difference(before: string, patience: number): Promise<string | null> {
    const deadline = Date.now() + patience;
    do {
      const after = await this.picture();
      if (after !== before) return changedLine(before, after);
      await sleep(50);
    } while (Date.now() < deadline);
    return null;
  }

  /** How many messages a stream has held so far. */
  async lastSequence(stream: string): Promise<number> {
    return (await this.#streams.streams.info(stream)).state.last_seq;
  }

  /** A day's talk between honest clients, with the secret in every message and reply. */
  async talk(): Promise<void> {
    const options = { timeout: 5_000 };
    await jetstream(this.#admin, options).publish('noise.talk', this.secret);
    this.#admin.publish('live.ticker', this.secret);
    await this.#admin.request(PREY.service, this.secret, options);
    await this.#streams.streams.getMessage(PREY.noise, { last_by_subj: 'noise.talk' });
    await this.#streams.direct.getMessage(PREY.noise, { last_by_subj: 'noise.talk' });
    const passerBy = await dial(this.#target, this.#target.secrets.admin);
    await passerBy.close();
  }

  /** Opens a connection of the admin, for somebody to close. */
  victim(): Promise<NatsConnection> {
    return dial(this.#target, this.#target.secrets.admin);
  }

  async close(): Promise<void> {
    await this.#admin.close();
  }

  /** Deletes all streams; tells whether there were none. */
  async #clear(): Promise<boolean> {
    const names = await this.#streams.streams.names().next();
    await Promise.all(names.map((name) => this.#streams.streams.delete(name)));
    return names.length === 0;
  }

  async #describe({ config, state }: StreamInfo): Promise<string[]> {
    const consumers = state.consumer_count === 0 ? [] : await this.#streams.consumers.list(config.name).next();
    const { metadata, ...settings } = config;
    return [
      `stream ${config.name} ${JSON.stringify([settings, state])}`,
      ...consumers.map((consumer) => `consumer ${config.name} ${describeConsumer(consumer)}`),
    ];
  }

  /** Waits until the picture stands still: what is made is made on every server. */
  async #settled(): Promise<void> {
    const still = async (): Promise<boolean> => (await this.difference(await this.picture(), 200)) === null;
    await waitFor(still, 'the scene stands still', 15_000);
  }
}

/** Left out are the times, which pass, and who asks at the moment. */
function describeConsumer({
  name,
  config,
  delivered,
  ack_floor,
  num_ack_pending,
  num_pending,
  ...rest
}: ConsumerInfo): string {
  const sequences = [delivered, ack_floor].map(({ consumer_seq, stream_seq }) => [consumer_seq, stream_seq]);
  const { metadata, ...settings } = config;
  return JSON.stringify([name, settings, sequences, num_ack_pending, num_pending, rest.num_redelivered, rest.paused]);
}

function changedLine(before: string, after: string): string {
  const [old, now] = [before.split('\n'), after.split('\n')];
  const gone = old.filter((line) => !now.includes(line)).map((line) => `- ${line}`);
  const come = now.filter((line) => !old.includes(line)).map((line) => `+ ${line}`);
  return [...gone, ...come].map((line) => line.slice(0, 400)).join('\n');
}
