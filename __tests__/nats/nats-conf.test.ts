import { describe, expect, test } from '@jest/globals';
import { renderConf } from '../../src/nats/conf-text.ts';
import { natsConf, type ServerSettings } from '../../src/nats/nats-conf.ts';
import { readerAccount, readerExports } from '../../src/nats/reader.ts';

const SETTINGS: ServerSettings = {
  cluster: 'bus',
  users: { superuser: 'superuser-bus', admin: 'admin-bus', reader: 'reader-bus' },
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

describe('the reader', () => {
  const SERVICES = [
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
  const account = readerAccount('reader-bus', 'DEFAULT');

  test('may ask for exactly this, and listen to its own answers only', () => {
    expect(account.users).toEqual([
      {
        user: 'reader-bus',
        permissions: {
          publish: { allow: [...SERVICES, '$SYS.REQ.USER.INFO'] },
          subscribe: { allow: ['_INBOX.>'] },
        },
      },
    ]);
  });

  test('imports exactly what the account of the data offers to it alone', () => {
    expect(account.imports).toEqual(SERVICES.map((subject) => ({ service: { account: 'DEFAULT', subject } })));
    expect(readerExports('READER').map((offer) => [offer.service, offer.accounts])).toEqual(
      SERVICES.map((subject) => [subject, ['READER']]),
    );
  });

  test('gets a stream of answers to direct reads only', () => {
    const streams = readerExports('READER').filter((offer) => offer.response_type === 'stream');
    expect(streams.map((offer) => offer.service)).toEqual(['$JS.API.DIRECT.GET.>']);
  });
});
