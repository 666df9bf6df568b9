import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { NAME, natsConfIn, stateWith } from '../__tests__/desired/fixture.ts';
import type { Inputs } from '../src/inputs/table.ts';
import { dig, digText } from '../src/json.ts';
import { askAgain } from './ask-again.ts';
import { type LocalServer, startServer } from './local-server.ts';
import { paths } from './sandbox/topology.ts';
import { waitFor } from './sandbox/wait.ts';

const reader = `reader-${NAME}`;
const admin = `admin-${NAME}`;

const prefix = 'nats-server-';
const versions = readdirSync(paths.tools)
  .filter((name) => name.startsWith(prefix))
  .map((name) => name.slice(prefix.length));

/** Where the page's programs find their packages. */
const directory = mkdtempSync(join(import.meta.dirname, '.clients-'));

beforeAll(() => {
  for (const [, name = '', code = ''] of readFileSync('docs/connecting.md', 'utf8').matchAll(
    /```js\n\/\/ (\w+\.mjs):.*\n([^`]*(?:`(?!``)[^`]*)*)```/g,
  )) {
    writeFileSync(join(directory, name), code);
  }
  expect(readdirSync(directory).sort()).toEqual(['consume.mjs', 'get.mjs']);
});

afterAll(() => rmSync(directory, { recursive: true }));

describe.each(versions)('the reader of nats-server %s', (version) => {
  let server: LocalServer;
  let connections: NatsConnection[];
  let streams: JetStreamManager;
  let settings: KV;

  const confOf = (reader_access: Inputs['reader_access']): string =>
    natsConfIn(stateWith({ replicas: 1, nats_version: version, reader_access }));

  beforeEach(async () => {
    connections = [];
    server = await startServer(version, confOf('strict'));
    const connection = await connectAs(admin);
    streams = await jetstreamManager(connection);
    await streams.streams.add({ name: 'ORDERS', subjects: ['orders.*'], allow_direct: true });
    for (const number of [1, 2, 3]) await jetstream(connection).publish('orders.new', `order ${number}`);
    await streams.streams.deleteMessage('ORDERS', 2);
    settings = await new Kvm(connection).create('settings');
    await settings.put('colour', 'blue');
  });

  afterEach(async () => {
    for (const connection of connections) await connection.close();
    await server.stop();
  });

  async function connectAs(user: string, inboxPrefix?: string): Promise<NatsConnection> {
    const { NATS_URL, NATS_CA, NATS_CERT, NATS_KEY } = server.clientOf(user);
    const connection = await connect({
      servers: NATS_URL,
      tls: { caFile: NATS_CA, certFile: NATS_CERT, keyFile: NATS_KEY },
      ...(inboxPrefix ? { inboxPrefix } : {}),
    });
    connections.push(connection);
    return connection;
  }

  it('gets messages and values by the code of the page', async () => {
    const { output, exitCode } = start('get.mjs', server);
    expect(await exitCode).toBe(0);
    expect(output()).toEqual(['orders.new order 1', 'orders.new order 3', 'colour blue']);
  });

  it('consumes by the code of the page once it may, and without a restart', async () => {
    const refused = start('consume.mjs', server);
    expect(await refused.exitCode).not.toBe(0);
    expect(refused.errors()).toMatch(/permissions violation/i);

    const events = eventsOf(connections[0]);
    await server.reload(confOf('consuming'));
    const consuming = start('consume.mjs', server);
    const has = (...lines: string[]) =>
      waitFor(() => lines.every((l) => consuming.output().includes(l)), `${lines}`, 20_000);
    await has('orders.new order 1', 'orders.new order 3', 'colour PUT blue');
    await jetstream(await connectAs(admin)).publish('orders.new', 'order 4');
    await settings.put('colour', 'red');
    await has('orders.new order 4', 'colour PUT red');
    expect(await start('get.mjs', server).exitCode).toBe(0);

    await server.reload(confOf('strict'));
    expect(await start('get.mjs', server).exitCode).toBe(0);
    await settings.put('colour', 'green');
    const again = start('consume.mjs', server);
    expect(await again.exitCode).not.toBe(0);
    consuming.stop();
    await consuming.exitCode;
    expect(consuming.output()).not.toContain('colour PUT green');
    expect(events).toEqual([]);
  });

  it('has consumers of its own and reads buckets in every way, but changes nothing by itself', async () => {
    await server.reload(confOf('consuming'));
    const connection = await connectAs(reader, '_READER');
    const readable = await jetstreamManager(connection);
    const made = [
      { name: 'ephemeral', inactive_threshold: 60e9 },
      { durable_name: 'durable' },
      { name: 'filtered', filter_subjects: ['orders.new', 'orders.old'], inactive_threshold: 60e9 },
    ];
    for (const config of made) {
      const { name } = await readable.consumers.add('ORDERS', { ...config, ack_policy: 'none' });
      const consumer = await jetstream(connection).consumers.get('ORDERS', name);
      const fetched: string[] = [];
      for await (const message of await consumer.fetch({ max_messages: 2, expires: 5_000 })) {
        fetched.push(`${message.subject} ${message.string()}`);
      }
      expect(fetched).toEqual(['orders.new order 1', 'orders.new order 3']);
    }
    const bucket = await new Kvm(connection).open('settings');
    expect(await toList(await bucket.keys())).toEqual(['colour']);
    expect((await toList(await bucket.history())).map((entry) => entry.string())).toEqual(['blue']);

    const forbidden: (() => Promise<unknown>)[] = [
      () => jetstream(connection).publish('orders.new', 'forged'),
      () => bucket.put('colour', 'forged'),
      () => bucket.delete('colour'),
      () => readable.streams.purge('ORDERS'),
      () => readable.streams.delete('ORDERS'),
      () => readable.streams.deleteMessage('ORDERS', 1),
      () => readable.consumers.delete('ORDERS', 'durable'),
      () => readable.consumers.pause('ORDERS', 'durable', new Date(Date.now() + 60_000)),
    ];
    for (const attempt of forbidden) await expect(attempt()).rejects.toThrow(/permissions violation/i);
    expect((await streams.streams.info('ORDERS')).state).toMatchObject({ messages: 2, num_deleted: 1 });
  });

  it('is answered when it asks again, where a reload has left it without an answer', async () => {
    const readable = await jetstreamManager(await connectAs(reader));
    const orders = jetstream(await connectAs(admin));
    const unanswered: string[] = [];
    let over = false;
    const ask = async (work: () => Promise<unknown>): Promise<void> => {
      while (!over) await work();
    };
    const clients = Promise.all([
      ask(() => askAgain(() => readable.direct.getMessage('ORDERS', { seq: 1 }), unanswered)),
      ask(() => askAgain(() => readable.streams.info('ORDERS'), unanswered)),
      ask(() => askAgain(() => streams.streams.info('ORDERS'), unanswered)),
      ask(() => streams.direct.getMessage('ORDERS', { seq: 1 })),
      ask(() => orders.publish('orders.new', 'one more')),
    ]);
    const met = async (): Promise<boolean> => {
      await server.reload(confOf('strict'));
      return over || unanswered.length > 9;
    };
    // What the page tells of: should no server do it any more, the sentence can go.
    await Promise.race([waitFor(met, 'ten requests meet a reload', 120_000), clients]).finally(() => {
      over = true;
    });
    await clients;
  });

  it('sees live subjects and answers of others in no mode', async () => {
    await server.reload(confOf('consuming'));
    const spy = await connectAs(reader, '_READER');
    const seen: string[] = [];
    for (const inboxes of ['_READER.>', '_INBOX.>']) {
      spy.subscribe(inboxes, {
        callback: (_, message) => {
          seen.push(message.subject);
        },
      });
    }
    const refused: string[] = [];
    spy.subscribe('>', {
      callback: (error) => {
        refused.push(error?.message ?? '');
      },
    });
    await spy.flush();
    const other = await connectAs(admin, '_READER');
    await other.request('$JS.API.INFO');
    await (await connectAs(admin)).request('$JS.API.INFO');
    await spy.flush();
    expect(seen).toEqual([]);
    await (await connectAs(reader, '_READER')).request('$JS.API.INFO');
    await waitFor(() => seen.length === 1, "another reader's answer is seen", 5_000);
    expect(refused).toEqual([expect.stringMatching(/permissions violation/i)]);
  });

  // What the page warns of: should a server refuse it, the warning can go.
  it('can have a stream deleted when it may consume', async () => {
    await server.reload(confOf('consuming'));
    await streams.streams.add({ name: 'FILES', subjects: ['files'] });
    const publisher = jetstream(await connectAs(admin));
    const half = new Uint8Array(400_000);
    for (let number = 0; number < 4; number++) {
      await publisher.publish('files', half);
      // They are replayed as far apart as they were stored.
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    const attacker = await connectAs(reader, '_READER');
    let received = 0;
    const listen = () =>
      attacker.subscribe('_READER.files', {
        callback: () => {
          received += 1;
        },
      });
    const aim = (deliver_subject: string) =>
      attacker.request(
        '$JS.API.CONSUMER.CREATE.FILES.aimed',
        JSON.stringify({
          stream_name: 'FILES',
          config: {
            ...{ name: 'aimed', deliver_subject, ack_policy: 'none', replay_policy: 'original' },
            ...{ flow_control: true, idle_heartbeat: 30e9 },
          },
        }),
      );
    const first = listen();
    await aim('_READER.files');
    await waitFor(() => received === 2, 'two messages arrive', 10_000);
    first.unsubscribe();
    await attacker.flush();
    await aim('$JS.API.STREAM.DELETE.ORDERS');
    listen();
    await waitFor(
      () =>
        streams.streams.info('ORDERS').then(
          () => false,
          (error: Error) => error.message === 'stream not found',
        ),
      'the stream is gone',
      10_000,
    );
  });

  it('leaves nothing in the memory of the server by what it gets', async () => {
    const readable = await jetstreamManager(await connectAs(reader));
    for (let number = 0; number < 200; number++) await readable.direct.getMessage('ORDERS', { seq: 1 });
    await waitFor(async () => (await answersOpen(server)) === 0, 'no answer is waited for', 30_000);
  });
});

/** What happens to a connection from now on: "disconnect" and the like. */
function eventsOf(connection: NatsConnection | undefined): string[] {
  const events: string[] = [];
  void (async () => {
    for await (const { type } of connection?.status() ?? []) events.push(type);
  })();
  return events;
}

/** How many answers the server keeps an entry for, between the accounts. */
async function answersOpen(server: LocalServer): Promise<number> {
  const report = await server.report('/accountz?acc=DEFAULT');
  if (digText(report, 'account_detail', 'account_name') !== 'DEFAULT') {
    throw new Error('The server tells nothing of its account DEFAULT');
  }
  return Object.keys(dig(report, 'account_detail', 'responses') ?? {}).length;
}

async function toList<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

/** Starts a program of the page as the reader. */
function start(program: string, server: LocalServer) {
  const child = spawn(process.execPath, [join(directory, program)], {
    env: { ...process.env, ...server.clientOf(reader) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  return {
    output: () => output.trim().split('\n'),
    errors: () => errors,
    exitCode: new Promise<number | null>((resolve) => child.on('close', resolve)),
    stop: () => child.kill(),
  };
}
