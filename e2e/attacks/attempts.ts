import { setTimeout as sleep } from 'node:timers/promises';
import { headers, type Msg, type MsgHdrs, type NatsConnection, type PublishOptions } from '@nats-io/transport-node';
import { digObjects, digText, isJsonObject, type Json, type JsonObject } from '../../src/json.ts';
import { PORTS } from '../../src/nats/layout.ts';
import type { Credentials } from '../nats.ts';
import type { Scene } from './scene.ts';
import { dial, type Target } from './target.ts';
import { Wire } from './wire.ts';

/** What an attempt may use. */
export interface Attack {
  target: Target;
  scene: Scene;
  /** Those of the attacker; null: none. */
  credentials: Credentials | null;
}

/**
 * Tries something. Resolves to what the attacker got hold of, or to null when that remains to be seen in the data; a
 * rejection tells by what it was refused.
 */
export type Attempt = (attack: Attack) => Promise<string | null>;

/** Milliseconds for an answer, which all servers are near enough for. */
const PATIENCE = 1_000;

/** Comes in as a client of the library. The attackers trust any server that the target's CA vouches for. */
function asClient(attempt: (client: NatsConnection, attack: Attack) => Promise<string | null>): Attempt {
  return async (attack) => {
    if (attack.credentials === null) throw new Error('has no certificate');
    const client = await dial(attack.target, attack.credentials, attack.target.secrets.admin.ca);
    const complaints: string[] = [];
    void listen(client, complaints);
    try {
      const loot = await attempt(client, attack);
      if (!client.isClosed()) await client.flush();
      if (loot === null && complaints.length > 0) throw new Error(complaints.join('; '));
      return loot;
    } finally {
      await client.close();
    }
  };
}

async function listen(client: NatsConnection, complaints: string[]): Promise<void> {
  for await (const status of client.status()) if (status.type === 'error') complaints.push(status.error.message);
}

type Text = string | ((attack: Attack) => string);

const textOf = (text: Text, attack: Attack): string => (typeof text === 'string' ? text : text(attack));

interface Letter {
  body?: Json;
  /** Where an answer would go. */
  reply?: Text;
  headers?: { [name: string]: string };
}

function letterOptions({ reply, headers: given = {} }: Letter, attack: Attack): PublishOptions {
  return {
    ...(reply === undefined ? {} : { reply: textOf(reply, attack) }),
    ...(Object.keys(given).length === 0 ? {} : { headers: headersOf(given) }),
  };
}

function headersOf(given: { [name: string]: string }): MsgHdrs {
  const made = headers();
  for (const [name, value] of Object.entries(given)) made.append(name, value);
  return made;
}

const payload = ({ body }: Letter): string =>
  typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body);

/** Publishes one message and stays until it would be answered; what it does shows in the data. */
export function publish(subject: Text, letter: Letter = {}): Attempt {
  return asClient(async (client, attack) => {
    client.publish(textOf(subject, attack), payload(letter), letterOptions(letter, attack));
    await client.flush();
    if (letter.reply !== undefined) await sleep(100);
    return null;
  });
}

/** Sends a request of JetStream and reads the answer, if one comes; what it does shows in the data. */
export function ask(subject: Text, letter: Letter = {}): Attempt {
  return asClient(async (client, attack) => {
    const message = await requestOnce(client, textOf(subject, attack), letter);
    throw new Error(`was answered ${shorten(message.string())}`);
  });
}

/** Asks something that nobody but its owner is to get an answer to, whatever that says. */
export function reach(subject: Text, letter: Letter = {}): Attempt {
  return asClient(async (client, attack) => {
    const message = await requestOnce(client, textOf(subject, attack), letter);
    const answer = message.string();
    if (NO_JETSTREAM.test(answer)) throw new Error(answer);
    return `was answered ${shorten(answer)}`;
  });
}

/** What the system account is told that has no JetStream. */
const NO_JETSTREAM = /"err_code":10039\b/;

function requestOnce(client: NatsConnection, subject: string, letter: Letter): Promise<Msg> {
  const options = letter.headers === undefined ? {} : { headers: headersOf(letter.headers) };
  return client.request(subject, payload(letter), { timeout: PATIENCE, ...options });
}

/** Takes messages from a pull consumer: it loses them to the attacker. */
export function pull(subject: string, inboxes = '_INBOX'): Attempt {
  return asClient(async (client) => {
    const heard: Msg[] = [];
    const inbox = `${inboxes}.thief`;
    client.subscribe(inbox, {
      callback: (error, message) => {
        if (error === null) heard.push(message);
      },
    });
    client.publish(subject, JSON.stringify({ batch: 1, no_wait: true }), { reply: inbox });
    await until(() => heard.length > 0);
    const [message] = heard;
    const text = message?.string() ?? '';
    return message === undefined || message.headers?.code || NO_JETSTREAM.test(text) ? null : `got ${shorten(text)}`;
  });
}

/** Listens to subjects while honest clients talk, and looks for their secret in what it hears. */
export function eavesdrop(subject: string, queue?: string): Attempt {
  return overhear(subject, queue, (message, scene) => Buffer.from(message.data).includes(scene.secret));
}

/** Listens to subjects that carry nothing for this attacker. */
export function watch(subject: string): Attempt {
  return overhear(subject, undefined, () => true);
}

function overhear(
  subject: string,
  queue: string | undefined,
  isLoot: (message: Msg, scene: Scene) => boolean,
): Attempt {
  return asClient(async (client, { scene }) => {
    let loot: Msg | undefined;
    let refusal: Error | null = null;
    client.subscribe(subject, {
      ...(queue === undefined ? {} : { queue }),
      callback: (error, message) => {
        refusal ??= error;
        if (error === null && isLoot(message, scene)) loot ??= message;
      },
    });
    await client.flush();
    // Servers tell each other of an interest in their own time.
    for (let round = 0; round < 5 && loot === undefined && refusal === null; round++) {
      await scene.talk();
      await sleep(50);
    }
    if (refusal !== null) throw refusal;
    return loot === undefined ? null : `heard ${loot.subject}: ${shorten(loot.string())}`;
  });
}

/** Asks something of the first server by its id; the subject's `ID` stands for it. */
export function command(subject: string, body: (clientId: number) => JsonObject): Attempt {
  return asClient(async (client, attack) => {
    const victim = await attack.scene.victim();
    const { server_id, client_id } = victim.info ?? {};
    try {
      const message = await requestOnce(client, subject.replace('ID', server_id ?? ''), { body: body(client_id ?? 0) });
      return `was answered ${shorten(message.string())}`;
    } catch (error) {
      await sleep(50);
      if (victim.isClosed()) return 'closed the connection of another client';
      throw error;
    } finally {
      await victim.close();
    }
  });
}

/** Writes a message into a stream by a proposal to its Raft group, as servers do among themselves. */
export function propose(stream: string, subject: string): Attempt {
  return asClient(async (client, { scene }) => {
    const message = await client.request('$SYS.REQ.SERVER.PING.JSZ', '{"accounts":true,"streams":true,"raft":true}', {
      timeout: PATIENCE,
    });
    const group = raftGroup(message.json<Json>(), stream);
    if (group === '') throw new Error(`no Raft group of ${stream} is known`);
    client.publish(`$NRG.P.${group}`, streamMessage(subject, 'forged', await scene.lastSequence(stream)));
    await client.flush();
    return null;
  });
}

function raftGroup(report: Json, stream: string): string {
  const accounts = digObjects(isJsonObject(report) ? report : undefined, 'data', 'account_details');
  const streams = accounts.flatMap((account) => digObjects(account, 'stream_detail'));
  return digText(
    streams.find(({ name }) => name === stream),
    'stream_raft_group',
  );
}

/** streamMsgOp of nats-server. */
const STREAM_MESSAGE = 4;

/** A message as the log of a stream holds it: encodeStreamMsg of nats-server. */
function streamMessage(subject: string, text: string, lastSequence: number): Uint8Array {
  const head = Buffer.alloc(19);
  head[0] = STREAM_MESSAGE;
  head.writeBigUInt64LE(BigInt(lastSequence), 1);
  head.writeBigUInt64LE(BigInt(Date.now()) * 1_000_000n, 9);
  head.writeUInt16LE(subject.length, 17);
  const lengths = Buffer.alloc(8);
  lengths.writeUInt32LE(text.length, 4);
  return Buffer.concat([head, Buffer.from(subject), lengths, Buffer.from(text), Buffer.alloc(1)]);
}

/** Comes in as a client, byte by byte, with other words in CONNECT than a client's, and then says `lines`. */
export function speak(port: keyof typeof PORTS, connect: (target: Target) => JsonObject, lines: string[]): Attempt {
  return async ({ target, credentials }) => {
    const wire = await Wire.secure(target.hosts[0] ?? '', PORTS[port], credentials);
    try {
      wire.send(
        `CONNECT ${JSON.stringify({ verbose: false, pedantic: false, headers: true, ...connect(target) })}\r\n`,
      );
      for (const line of lines) wire.send(`${line}\r\n`);
      wire.send('PING\r\n');
      await wire.until(/PONG\r\n/);
      return null;
    } finally {
      wire.close();
    }
  };
}

/** Connects as a client without a library: in is who gets an answer to its PING. */
export const comeIn: Attempt = async (attack) => {
  await speak('client', () => ({}), [])(attack);
  return 'came in as a client';
};

/** Says what a client says without TLS. */
export const comeInPlain: Attempt = async ({ target }) => {
  const wire = await Wire.plain(target.hosts[0] ?? '', PORTS.client);
  try {
    wire.send('CONNECT {"verbose":false}\r\nPING\r\n');
    await wire.until(/PONG\r\n/);
    return 'came in without TLS';
  } finally {
    wire.close();
  }
};

/** Joins as a server of the cluster and writes into a stream of the account of the data. */
export function joinAsRoute(subject: string): Attempt {
  return async ({ target, credentials }) => {
    const id = `ROGUE${Math.random().toString(36).slice(2).toUpperCase()}`;
    const words = {
      server_id: id,
      server_name: id,
      version: target.version,
      cluster: target.cluster,
      proto: 1,
      headers: true,
    };
    const wire = await Wire.secure(target.hosts[0] ?? '', PORTS.cluster, credentials);
    try {
      wire.send(
        `CONNECT ${JSON.stringify({ echo: true, tls_required: true, name: id, cluster: target.cluster, headers: true })}\r\n`,
      );
      wire.send(`INFO ${JSON.stringify(words)}\r\n`);
      wire.send(`RMSG DEFAULT ${subject} 6\r\nforged\r\nPING\r\n`);
      await wire.until(/PONG\r\n/);
      return 'joined as a route';
    } finally {
      wire.close();
    }
  };
}

/** Asks for a WebSocket within TLS, or without. */
export function askForWebSocket(port: number, tls: boolean): Attempt {
  return async ({ target, credentials }) => {
    const [host = ''] = target.hosts;
    const wire = tls ? await Wire.secure(host, port, credentials) : await Wire.plain(host, port);
    try {
      const key = Buffer.from('the sixteen byte').toString('base64');
      const upgrade = [
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        `Sec-WebSocket-Key: ${key}`,
      ];
      wire.send(['GET / HTTP/1.1', `Host: ${host}`, ...upgrade, '', ''].join('\r\n'));
      await wire.until(/^HTTP\/1.1 101/m);
      return 'opened a WebSocket';
    } finally {
      wire.close();
    }
  };
}

/** How an MQTT server accepts a client. */
const CONNACK = new RegExp(String.fromCharCode(0x20, 2, 0, 0));

/** Says CONNECT as an MQTT 3.1.1 client does, within TLS or without. */
export function askForMqtt(port: number, tls: boolean): Attempt {
  return async ({ target, credentials }) => {
    const [host = ''] = target.hosts;
    const wire = tls ? await Wire.secure(host, port, credentials) : await Wire.plain(host, port);
    try {
      wire.send('\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03mqt');
      await wire.until(CONNACK);
      return 'came in as an MQTT client';
    } finally {
      wire.close();
    }
  };
}

/** Knocks on a port where some servers listen for others than clients. */
export function knock(port: number): Attempt {
  return async ({ target }) => {
    const wire = await Wire.plain(target.hosts[0] ?? '', port);
    wire.close();
    return 'somebody listens';
  };
}

async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; waited < PATIENCE && !condition(); waited += 10) await sleep(10);
}

function shorten(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 200)}...`;
}
