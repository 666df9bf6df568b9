import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  AckPolicy,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
} from '@nats-io/jetstream';
import type { NatsConnection, TlsOptions } from '@nats-io/transport-node';
import { runMain, type Values } from '../simulator/runner.ts';
import { digText } from '../src/json.ts';
import { kube, vault, waitFor } from './cluster.ts';
import { asRoot } from './deployer.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';
import { type Credentials, connectAs, connectWith, credentials } from './nats.ts';
import { logOf, podsOf } from './observe.ts';

const namespace = 'e2e-clients';
const stream = 'ORDERS';

let outputs: Values;
let admin: NatsConnection;
let data: JetStreamClient;
let streams: JetStreamManager;

beforeAll(async () => {
  await emptyNamespace(namespace);
  const ending = await runMain({ ...asRoot(), namespace });
  expect(ending).toMatchObject({ exitCode: 0, errors: [] });
  outputs = ending.outputs;
  admin = await connectAs('admin', outputs);
  data = jetstream(admin);
  streams = await jetstreamManager(admin);
});

afterAll(async () => {
  await admin?.close();
  await leaveNamespace(namespace);
  kube.close();
});

const storedMessages = async (): Promise<number> => (await streams.streams.info(stream)).state.messages;

describe('admin', () => {
  it('makes a stream of three replicas, publishes and reads back', async () => {
    const { cluster } = await streams.streams.add({
      name: stream,
      subjects: ['orders.*'],
      num_replicas: 3,
      allow_direct: true,
    });
    expect([cluster?.leader, ...(cluster?.replicas ?? []).map(({ name }) => name)].sort()).toEqual(
      [0, 1, 2].map((ordinal) => `${outputs.name}-${ordinal}`),
    );
    for (let number = 1; number <= 100; number++) await data.publish('orders.new', `order ${number}`);
    await streams.consumers.add(stream, { durable_name: 'billing', ack_policy: AckPolicy.Explicit });
    const consumer = await data.consumers.get(stream, 'billing');
    const received: string[] = [];
    for await (const message of await consumer.fetch({ max_messages: 100, expires: 10_000 })) {
      received.push(message.string());
      message.ack();
    }
    expect(received).toEqual(Array.from({ length: 100 }, (_, index) => `order ${index + 1}`));
  });
});

describe('reader', () => {
  let reader: NatsConnection;
  let readable: JetStreamManager;

  beforeAll(async () => {
    reader = await connectAs('reader', outputs);
    readable = await jetstreamManager(reader);
  });

  afterAll(() => reader.close());

  it('reads streams and their messages', async () => {
    expect((await readable.streams.info(stream)).state.messages).toBe(100);
    expect((await readable.consumers.info(stream, 'billing')).num_pending).toBe(0);
    expect((await readable.streams.getMessage(stream, { seq: 7 }))?.string()).toBe('order 7');
    expect((await readable.direct.getMessage(stream, { seq: 8 }))?.string()).toBe('order 8');
  });

  const forbidden: [string, () => Promise<unknown>][] = [
    ['publish', () => jetstream(reader).publish('orders.new', 'forged', { timeout: 2_000 })],
    ['create a consumer', () => readable.consumers.add(stream, { durable_name: 'spy' })],
    ['delete a message', () => readable.streams.deleteMessage(stream, 1)],
    ['purge a stream', () => readable.streams.purge(stream)],
    ['delete a stream', () => readable.streams.delete(stream)],
    ['create a stream', () => readable.streams.add({ name: 'LEAK', subjects: ['leak'] })],
    ['delete a consumer', () => readable.consumers.delete(stream, 'billing')],
    ["ask for the servers' state", () => reader.request('$SYS.REQ.SERVER.PING', '', { timeout: 2_000 })],
  ];

  it.each(forbidden)('cannot %s', async (_, attempt) => {
    await expect(attempt()).rejects.toThrow(/permissions violation/i);
    expect(await storedMessages()).toBe(100);
  });

  it('leaves everything as it was', async () => {
    const consumers = await streams.consumers.list(stream).next();
    expect(consumers.map(({ name }) => name)).toEqual(['billing']);
    const names = await streams.streams.list().next();
    expect(names.map(({ config }) => config.name)).toEqual([stream]);
  });
});

describe('superuser', () => {
  let superuser: NatsConnection;

  beforeAll(async () => {
    superuser = await connectAs('superuser', outputs);
  });

  afterAll(() => superuser.close());

  it('sees the state of every server', async () => {
    const replies = await superuser.requestMany('$SYS.REQ.SERVER.PING', '', {
      strategy: 'count',
      maxMessages: 3,
      maxWait: 5_000,
    });
    const servers: string[] = [];
    for await (const reply of replies) servers.push(digText(reply.json(), 'server', 'name'));
    expect(servers.sort()).toEqual([0, 1, 2].map((ordinal) => `${outputs.name}-${ordinal}`));
  });

  it('sees and changes no data', async () => {
    await expect(superuser.request('orders.new', 'forged', { timeout: 2_000 })).rejects.toThrow(
      /permissions violation/i,
    );
    await expect(jetstreamManager(superuser)).rejects.toThrow(/permissions violation/i);
    const subscription = superuser.subscribe('orders.>');
    await superuser.flush();
    await data.publish('orders.private', 'order 101');
    await superuser.flush();
    expect(subscription.getReceived()).toBe(0);
    expect(await storedMessages()).toBe(101);
  });
});

describe('whom the CA does not vouch for', () => {
  let trusted: Credentials;

  beforeAll(async () => {
    trusted = await credentials(namespace, outputs.admin_creds_secret ?? '');
  });

  it('is refused without a certificate', async () => {
    await expectRefusal({ ca: trusted.ca }, "client didn't provide a certificate");
  });

  it("is refused with another CA's certificate for the same user", async () => {
    const forged = await issuedByAnotherCa(`admin-${outputs.name}`);
    await expectRefusal({ ca: trusted.ca, ...forged }, 'certificate signed by unknown authority');
  });

  it('is not trusted as a server', async () => {
    const { cert, key } = trusted;
    await expect(connectWith(outputs, { cert, key })).rejects.toThrow(/self-signed|unable to (get|verify)/i);
  });
});

/** Tries to connect, and finds the reason of the refusal in the servers' logs: the client may only see the connection end. */
async function expectRefusal(tls: TlsOptions, reason: string): Promise<void> {
  expect(await serverLogs()).not.toContain(reason);
  await expect(connectWith(outputs, tls, { timeout: 2_000 })).rejects.toThrow();
  await waitFor(async () => (await serverLogs()).includes(reason), `a server logs "${reason}"`, 10_000);
}

async function serverLogs(): Promise<string> {
  const pods = await podsOf(outputs);
  const logs = pods.map(({ name }) => logOf(namespace, name));
  return (await Promise.all(logs)).join('');
}

async function issuedByAnotherCa(user: string): Promise<TlsOptions> {
  const mount = 'pki/e2e-other';
  await vault().call('POST', `sys/mounts/${mount}`, { type: 'pki' });
  try {
    await vault().call('POST', `${mount}/root/generate/internal`, { common_name: 'other', key_type: 'ec' });
    await vault().call('POST', `${mount}/roles/any`, { allow_any_name: true, key_type: 'ec', client_flag: true });
    const { data } = await vault().call('POST', `${mount}/issue/any`, { common_name: user, ttl: '1h' });
    return { cert: digText(data, 'certificate'), key: digText(data, 'private_key') };
  } finally {
    await vault().call('DELETE', `sys/mounts/${mount}`);
  }
}
