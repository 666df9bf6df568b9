import { describe, expect, test } from '@jest/globals';
import { renderConf } from '../../src/nats/conf-text.ts';
import { natsConf, type ServerSettings } from '../../src/nats/nats-conf.ts';
import { readerAccount, readerExports } from '../../src/nats/reader.ts';

const SETTINGS: ServerSettings = {
  cluster: 'bus',
  users: { superuser: 'superuser-bus', admin: 'admin-bus', reader: 'reader-bus' },
  readerAccess: 'strict',
  hosts: ['bus-0.peers', 'bus-1.peers', 'bus-2.peers'],
  logLevel: 'info',
  pingSeconds: 20,
  writeDeadlineSeconds: 55,
  maxConnections: 64_000,
  maxControlLineBytes: 4096,
  maxPayloadBytes: 8_388_608,
  memoryStoreBytes: 12_582_912,
  fileStoreBytes: 912_680_550,
  maxCatchupBytes: 134_217_728,
  fsyncSeconds: 10,
};

describe('nats.conf', () => {
  test('of a cluster', () => {
    expect(renderConf(natsConf(SETTINGS))).toMatchSnapshot();
  });

  test('of one server has no cluster', () => {
    expect(natsConf({ ...SETTINGS, hosts: ['bus-0.peers'] })).not.toHaveProperty('cluster');
  });

  test.each([
    ['info', false, false],
    ['debug', true, false],
    ['trace', true, true],
  ] as const)('log level %s', (logLevel, debug, trace) => {
    expect(natsConf({ ...SETTINGS, logLevel })).toMatchObject({ debug, trace });
  });

  test('syncs after each message at an interval of zero', () => {
    expect(natsConf({ ...SETTINGS, fsyncSeconds: 0 })).toMatchObject({ jetstream: { sync_interval: 'always' } });
  });
});

const STRICT = [
  '$JS.API.INFO',
  '$JS.API.STREAM.NAMES',
  '$JS.API.STREAM.LIST',
  '$JS.API.STREAM.INFO.*',
  '$JS.API.STREAM.MSG.GET.*',
  '$JS.API.CONSUMER.NAMES.*',
  '$JS.API.CONSUMER.LIST.*',
  '$JS.API.CONSUMER.INFO.*.*',
  '$JS.API.DIRECT.GET.>',
];

const CONSUMING = [...STRICT, '$JS.API.CONSUMER.CREATE.>', '$JS.API.CONSUMER.MSG.NEXT.*.*', '$JS.FC.>'];

describe.each([
  ['strict', STRICT, ['$JS.API.DIRECT.GET.>'], [], ['_INBOX.>']],
  [
    'consuming',
    CONSUMING,
    ['$JS.API.DIRECT.GET.>', '$JS.API.CONSUMER.MSG.NEXT.*.*'],
    ['_READER.>'],
    ['_INBOX.>', '_READER.>'],
  ],
] as const)('the reader, %s', (access, services, streamed, streams, inboxes) => {
  const account = readerAccount('reader-bus', 'DEFAULT', access);
  const exports = readerExports('READER', access);

  test('may ask for exactly this, and listen to its own answers only', () => {
    expect(account.users).toEqual([
      {
        user: 'reader-bus',
        permissions: {
          publish: { allow: [...services, '$SYS.REQ.USER.INFO'] },
          subscribe: { allow: inboxes },
        },
      },
    ]);
  });

  test('imports exactly what the account of the data offers to it alone', () => {
    expect(account.imports).toEqual([
      ...services.map((subject) => ({ service: { account: 'DEFAULT', subject } })),
      ...streams.map((subject) => ({ stream: { account: 'DEFAULT', subject } })),
    ]);
    expect(exports.map(({ service, stream }) => service ?? stream)).toEqual([...services, ...streams]);
    expect(exports.map(({ accounts }) => accounts)).toEqual(exports.map(() => ['READER']));
  });

  test('gets a stream of answers, which the server forgets again, to these only', () => {
    const many = exports.filter((offer) => offer.response_type === 'stream');
    expect(many.map((offer) => offer.service)).toEqual(streamed);
    expect(many.every((offer) => /^\d+s$/.test(String(offer.response_threshold)))).toBe(true);
  });
});
