import type { Json } from '../../src/json.ts';
import {
  type Attempt,
  ask,
  askForMqtt,
  askForWebSocket,
  comeIn,
  comeInPlain,
  command,
  eavesdrop,
  joinAsRoute,
  knock,
  propose,
  publish,
  pull,
  reach,
  speak,
  watch,
} from './attempts.ts';
import { PREY } from './scene.ts';

/** Something to try, as each of several identities. */
export interface Probe {
  /** Follows the name of an identity: "the reader", "purges a stream". */
  deed: string;
  attempt: Attempt;
  /** Who must not succeed. */
  by: string[];
  /**
   * Who must succeed by the very same attempt, so that a refusal says something about the attacker and not about the
   * attempt. Without one, another attempt of its kind has it.
   */
  control?: string;
  /** The first minor release of 2 whose servers know what is tried. */
  since?: number;
}

const { orders, jobs, worker, billing, audit, auditSubject, service } = PREY;

/** Not of the account of the data, or there to look only. */
const NO_WRITERS = ['reader', 'superuser'];

const stream = (name: string, rest: { [setting: string]: Json } = {}): { [setting: string]: Json } => ({
  name,
  subjects: [`${name.toLowerCase()}.>`],
  retention: 'limits',
  storage: 'file',
  num_replicas: 1,
  ...rest,
});

const consumer = (rest: { [setting: string]: Json }): { [setting: string]: Json } => ({
  deliver_policy: 'all',
  ack_policy: 'explicit',
  replay_policy: 'instant',
  ...rest,
});

const data = (deed: string, attempt: Attempt, since = 0): Probe => ({
  deed,
  attempt,
  by: NO_WRITERS,
  control: 'admin',
  since,
});

/** What has no control: what no server does for anybody, or not always. */
const tried = (deed: string, attempt: Attempt): Probe => ({ deed, attempt, by: NO_WRITERS });

const WRITES: Probe[] = [
  data('publishes into a stream', publish('orders.new', { body: 'forged' })),
  data('publishes into a stream and waits for the acknowledgement', ask(auditSubject, { body: 'forged' })),
  data(
    'publishes a message that rolls up all others',
    publish('orders.new', { body: 'forged', headers: { 'Nats-Rollup': 'all' } }),
  ),
  data('writes the value of a bucket', publish('$KV.settings.mode', { body: 'reckless' })),
  data('deletes the value of a bucket', publish('$KV.settings.mode', { headers: { 'KV-Operation': 'DEL' } })),
  data('makes a stream', ask('$JS.API.STREAM.CREATE.LEAK', { body: stream('LEAK') })),
  data(
    'makes a mirror of a stream',
    ask('$JS.API.STREAM.CREATE.LEAK', { body: { ...stream('LEAK', { mirror: { name: orders } }), subjects: [] } }),
  ),
  data(
    'makes a stream that another is a source of',
    ask('$JS.API.STREAM.CREATE.LEAK', { body: stream('LEAK', { sources: [{ name: orders }] }) }),
  ),
  data(
    'makes a stream that republishes into another',
    ask('$JS.API.STREAM.CREATE.LEAK', {
      body: stream('LEAK', { republish: { src: 'leak.>', dest: 'orders.leak.>' } }),
    }),
  ),
  data(
    'changes the limits of a stream',
    ask(`$JS.API.STREAM.UPDATE.${audit}`, {
      body: stream(audit, { subjects: [auditSubject], num_replicas: 3, max_msgs: 1 }),
    }),
  ),
  data('deletes a stream', ask(`$JS.API.STREAM.DELETE.${audit}`)),
  data('purges a stream', ask(`$JS.API.STREAM.PURGE.${orders}`)),
  data('deletes a message', ask(`$JS.API.STREAM.MSG.DELETE.${orders}`, { body: { seq: 1 } })),
  data(
    'restores a stream',
    reach(`$JS.API.STREAM.RESTORE.${orders}`, { body: { config: stream(orders), state: { messages: 0 } } }),
  ),
  data(
    'takes a snapshot of a stream',
    reach(`$JS.API.STREAM.SNAPSHOT.${orders}`, { body: { deliver_subject: '_INBOX.snapshot', no_consumers: true } }),
  ),
  data('has the leader of a stream step down', reach(`$JS.API.STREAM.LEADER.STEPDOWN.${orders}`)),
  data('removes a peer of a stream', reach(`$JS.API.STREAM.PEER.REMOVE.${orders}`, { body: { peer: 'nobody' } })),
];

const CONSUMERS: Probe[] = [
  data(
    'makes a consumer',
    ask(`$JS.API.CONSUMER.CREATE.${orders}.spy`, {
      body: { stream_name: orders, config: consumer({ name: 'spy', durable_name: 'spy' }), action: 'create' },
    }),
  ),
  data(
    'makes a consumer by the old request',
    ask(`$JS.API.CONSUMER.CREATE.${orders}`, {
      body: { stream_name: orders, config: consumer({ inactive_threshold: 60_000_000_000 }) },
    }),
  ),
  data(
    'overwrites a consumer',
    ask(`$JS.API.CONSUMER.DURABLE.CREATE.${orders}.${billing}`, {
      body: { stream_name: orders, config: consumer({ durable_name: billing, ack_wait: 1_000_000_000 }) },
    }),
  ),
  data(
    'makes a consumer that delivers into another stream',
    ask(`$JS.API.CONSUMER.CREATE.${orders}.pusher`, {
      body: {
        stream_name: orders,
        config: consumer({ name: 'pusher', ack_policy: 'none', deliver_subject: auditSubject }),
      },
    }),
  ),
  data('deletes a consumer', ask(`$JS.API.CONSUMER.DELETE.${orders}.${billing}`)),
  data(
    'pauses a consumer',
    ask(`$JS.API.CONSUMER.PAUSE.${orders}.${billing}`, { body: { pause_until: '2100-01-01T00:00:00Z' } }),
    11,
  ),
  data('unpins a consumer', reach(`$JS.API.CONSUMER.UNPIN.${orders}.${billing}`, { body: { group: 'any' } }), 11),
  data('resets a consumer', reach(`$JS.API.CONSUMER.RESET.${orders}.${billing}`), 14),
  data('has the leader of a consumer step down', reach(`$JS.API.CONSUMER.LEADER.STEPDOWN.${orders}.${billing}`)),
  data('takes a job from a work queue', pull(`$JS.API.CONSUMER.MSG.NEXT.${jobs}.${worker}`)),
  data(
    'acknowledges the job of another',
    publish(({ scene }) => scene.ack, { body: '+ACK' }),
  ),
  data(
    'terminates the job of another',
    publish(({ scene }) => scene.ack, { body: '+TERM' }),
  ),
  data(
    'acknowledges the job of another and takes the next',
    publish(({ scene }) => scene.ack, { body: '+NXT', reply: '_INBOX.thief' }),
  ),
];

/** A request that the reader may make, answered where it may not write. */
const reflection = (kind: typeof data, subject: string, body: Json = ''): Probe =>
  kind(`has ${subject} answered into a stream`, publish(subject, { body, reply: auditSubject }));

const REFLECTIONS: Probe[] = [
  reflection(data, `$JS.API.DIRECT.GET.${orders}`, { seq: 1 }),
  reflection(data, `$JS.API.DIRECT.GET.${orders}.orders.new`),
  reflection(data, `$JS.API.CONSUMER.MSG.NEXT.${orders}.${billing}`),
  reflection(data, '$SYS.REQ.USER.INFO'),
  // These answers reach a stream or not by which servers lead.
  reflection(tried, `$JS.API.STREAM.MSG.GET.${orders}`, { seq: 1 }),
  reflection(tried, `$JS.API.STREAM.INFO.${orders}`),
  reflection(tried, `$JS.API.CONSUMER.INFO.${orders}.${billing}`),
  reflection(tried, '$JS.API.STREAM.NAMES'),
  reflection(tried, '$JS.API.INFO'),
  data(
    'has a message copied into a bucket',
    publish(`$JS.API.DIRECT.GET.${orders}`, { body: { seq: 1 }, reply: '$KV.settings.mode' }),
  ),
  tried(
    'has an answer acknowledge the job of another',
    publish(`$JS.API.DIRECT.GET.${orders}`, { body: { seq: 1 }, reply: ({ scene }) => scene.ack }),
  ),
  tried(
    'has an answer delete a stream',
    publish(`$JS.API.DIRECT.GET.${orders}`, { body: { seq: 1 }, reply: `$JS.API.STREAM.DELETE.${audit}` }),
  ),
  data(
    'has a message traced into a stream',
    publish('$JS.API.INFO', { reply: '_INBOX.any', headers: { 'Nats-Trace-Dest': auditSubject } }),
    11,
  ),
];

/** What the request says that the servers believe among themselves. */
const FORGED = { 'Nats-Request-Info': '{"acc":"DEFAULT"}' };
const FORGED_SYSTEM = { 'Nats-Request-Info': '{"acc":"SYS"}' };

const FORGERIES: Probe[] = [
  data(
    'purges a stream in the name of the account of the data',
    ask(`$JS.API.STREAM.PURGE.${orders}`, { headers: FORGED }),
  ),
  data(
    'takes a snapshot in the name of the account of the data',
    reach(`$JS.API.STREAM.SNAPSHOT.${orders}`, { body: { deliver_subject: '_INBOX.snapshot' }, headers: FORGED }),
  ),
  {
    deed: 'writes a message by a Raft proposal',
    attempt: propose(audit, auditSubject),
    by: ['superuser', 'admin', 'reader'],
  },
  {
    deed: 'purges the whole account of the data',
    attempt: ask('$JS.API.ACCOUNT.PURGE.DEFAULT'),
    by: ['superuser', 'admin', 'reader'],
  },
  {
    deed: 'purges the whole account of the data in the name of the system',
    attempt: ask('$JS.API.ACCOUNT.PURGE.DEFAULT', { headers: FORGED_SYSTEM }),
    by: ['admin', 'reader'],
  },
];

const EAVESDROPPING: Probe[] = [
  ...['>', '_INBOX.>', '_R_.>', '$JS.>', 'live.>', 'noise.>', service].map((subject) => ({
    deed: `listens to ${subject}`,
    attempt: eavesdrop(subject),
    by: NO_WRITERS,
    ...(['_R_.>', '$JS.>'].includes(subject) ? {} : { control: 'admin' }),
  })),
  ...['$NRG.>', '$JSC.>', '$SYS._INBOX.>'].map((subject) => ({
    deed: `listens to ${subject}`,
    attempt: eavesdrop(subject),
    by: ['superuser', 'admin', 'reader'],
  })),
  { deed: 'answers for a service', attempt: eavesdrop(service, 'quotes'), by: NO_WRITERS, control: 'admin' },
];

const SYSTEM: Probe[] = [
  ...[
    '$SYS.REQ.SERVER.PING',
    '$SYS.REQ.SERVER.PING.VARZ',
    '$SYS.REQ.SERVER.PING.JSZ',
    '$SYS.REQ.SERVER.PING.ROUTEZ',
    '$SYS.REQ.ACCOUNT.SYS.INFO',
    '$SYS.REQ.ACCOUNT.READER.CONNZ',
  ].map((subject) => ({
    deed: `asks ${subject}`,
    attempt: reach(subject),
    by: ['admin', 'reader'],
    control: 'superuser',
  })),
  {
    deed: 'has a server reload',
    attempt: command('$SYS.REQ.SERVER.ID.RELOAD', () => ({})),
    by: ['admin', 'reader'],
    control: 'superuser',
  },
  {
    deed: 'closes the connection of another',
    attempt: command('$SYS.REQ.SERVER.ID.KICK', (cid) => ({ cid })),
    by: ['admin', 'reader'],
    control: 'superuser',
  },
  {
    deed: 'has another client leave for lame duck mode',
    attempt: command('$SYS.REQ.SERVER.ID.LDM', (cid) => ({ cid })),
    by: ['admin', 'reader'],
    control: 'superuser',
  },
  {
    deed: 'changes the claims of accounts',
    attempt: reach('$SYS.REQ.CLAIMS.UPDATE', { body: 'claims' }),
    by: ['admin', 'reader'],
  },
  {
    deed: 'removes a server from JetStream',
    attempt: reach('$JS.API.SERVER.REMOVE', { body: { peer: 'nobody' } }),
    by: ['admin', 'reader'],
    control: 'superuser',
  },
  {
    deed: "has JetStream's leader step down",
    attempt: reach('$JS.API.META.LEADER.STEPDOWN'),
    by: ['admin', 'reader'],
    control: 'superuser',
  },
  {
    deed: "has JetStream's leader step down in the name of the system",
    attempt: reach('$JS.API.META.LEADER.STEPDOWN', { headers: FORGED_SYSTEM }),
    by: ['admin', 'reader'],
  },
  { deed: 'watches $SYS.ACCOUNT.>', attempt: watch('$SYS.ACCOUNT.>'), by: ['admin', 'reader'], control: 'superuser' },
];

/** Certificates that let nobody in as the admin. */
const FALSE_ADMINS = [
  'nobody',
  'self-signed admin',
  "admin of a stranger's CA",
  'expired admin',
  'admin of tomorrow',
  'admin by common name alone',
  'admin as a server',
  'admin signed by the reader',
  'admin by any name of the shared mount',
];

const FALSE_SERVERS = [
  'nobody',
  'self-signed server',
  "server of a stranger's CA",
  'expired server',
  'server of tomorrow',
  'server by common name alone',
  'server signed by the reader',
  'server by any name of the shared mount',
];

const ROLES = ['reader', 'admin', 'superuser'];
const forgery = [`PUB ${auditSubject} 6`, 'forged'];

/** By what comes through the doors of the servers; `neighbours` are the titles of other clusters' credentials. */
const doors = (neighbours: string[]): Probe[] => [
  {
    deed: 'comes in as a client',
    attempt: comeIn,
    by: [...FALSE_ADMINS, 'server', 'cluster', ...neighbours],
    control: 'admin',
  },
  { deed: 'comes in without TLS', attempt: comeInPlain, by: ['nobody'] },
  {
    deed: 'says in CONNECT that it is the admin',
    attempt: speak('client', ({ cluster }) => ({ user: `admin-${cluster}`, pass: '' }), forgery),
    by: ['reader', 'superuser', 'server', 'cluster', 'admin by common name alone'],
    control: 'admin',
  },
  {
    deed: 'says in CONNECT that it is of the account of the data',
    attempt: speak('client', () => ({ account: 'DEFAULT' }), forgery),
    by: ['reader', 'superuser'],
  },
  {
    deed: 'joins as a route',
    attempt: joinAsRoute(auditSubject),
    by: [...FALSE_SERVERS, ...ROLES, 'server', ...neighbours],
    control: 'cluster',
  },
  {
    deed: 'speaks as a route where clients come in',
    attempt: speak('client', ({ cluster }) => ({ name: 'ROGUE', cluster }), [
      `RMSG DEFAULT ${auditSubject} 6`,
      'forged',
    ]),
    by: [...ROLES, 'cluster'],
  },
  {
    deed: 'speaks as a leaf node where clients come in',
    attempt: speak('client', () => ({ name: 'LEAF', remote_account: 'DEFAULT' }), [`LMSG ${auditSubject} 6`, 'forged']),
    by: [...ROLES, 'cluster'],
  },
  {
    deed: 'speaks as a gateway where servers come in',
    attempt: speak('cluster', () => ({ gateway: 'ROGUE' }), [`RMSG DEFAULT ${auditSubject} 6`, 'forged']),
    by: [...ROLES, 'cluster'],
  },
  { deed: 'opens a WebSocket where clients come in', attempt: askForWebSocket(4222, true), by: ['reader', 'nobody'] },
  { deed: 'opens a WebSocket', attempt: askForWebSocket(8080, false), by: ['nobody'] },
  { deed: 'speaks MQTT where clients come in', attempt: askForMqtt(4222, true), by: ['reader', 'nobody'] },
  { deed: 'speaks MQTT', attempt: askForMqtt(1883, false), by: ['nobody'] },
  ...[7422, 7222, 8883, 443].map((port) => ({ deed: `knocks on port ${port}`, attempt: knock(port), by: ['nobody'] })),
  { deed: 'knocks on the port of clients', attempt: knock(4222), by: [], control: 'nobody' },
];

/** All of them, for servers of that version. */
export function probesFor(version: string, neighbours: string[]): Probe[] {
  const minor = Number(version.split('.')[1]);
  const all = [
    ...WRITES,
    ...CONSUMERS,
    ...REFLECTIONS,
    ...FORGERIES,
    ...EAVESDROPPING,
    ...SYSTEM,
    ...doors(neighbours),
  ];
  return all.filter(({ since = 0 }) => minor >= since);
}
