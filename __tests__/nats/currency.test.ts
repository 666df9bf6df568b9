import { describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../src/json.ts';
import { notCurrent, type ServerState } from '../../src/nats/currency.ts';

const NAMES = ['a-0', 'a-1', 'a-2'];

/** What three servers answer that are current: a-1 leads the meta group, a-0 the stream EVENTS. */
function current(): ServerState[] {
  return NAMES.map((server) => {
    const peers = NAMES.filter((name) => name !== server);
    return {
      server,
      healthz: { status: 'ok' },
      jsz: {
        config: {},
        meta_cluster: { leader: 'a-1', cluster_size: 3, ...(server === 'a-1' && { replicas: followers(...peers) }) },
        ...withStream({ leader: 'a-0', replicas: followers(...peers) }),
      },
      routez: { routes: [...peers, ...peers].map((remote_name) => ({ remote_name })) },
    };
  });
}

function followers(...names: string[]): JsonObject[] {
  return names.map((name) => ({ name, current: true }));
}

function withStream(cluster: JsonObject): JsonObject {
  return { account_details: [{ name: 'DEFAULT', stream_detail: [{ name: 'EVENTS', cluster }] }] };
}

/** The servers with the changes to one's state, or to its /jsz. */
function withServer(server: string, change: Partial<ServerState>, jsz: JsonObject = {}): ServerState[] {
  return current().map((state) =>
    state.server === server ? { ...state, jsz: { ...state.jsz, ...jsz }, ...change } : state,
  );
}

const CATCHING_UP = { status: 'unavailable', error: "JetStream stream 'DEFAULT > EVENTS' is not current" };
const SILENT = { jsz: null, routez: null, healthz: null };

describe('a server may be restarted', () => {
  test.each<[string, ServerState[], string]>([
    ['when all are current', current(), 'a-2'],
    ['when it is the leader of all', withServer('a-0', {}), 'a-1'],
    ['when it alone is not current', withServer('a-2', { healthz: CATCHING_UP }), 'a-2'],
    ['when it alone does not answer', withServer('a-2', SILENT), 'a-2'],
    ['when it does not exist', current().slice(0, 2), 'a-2'],
    [
      'when only its replicas lag',
      withServer(
        'a-0',
        {},
        withStream({ leader: 'a-0', replicas: [{ name: 'a-2', current: false }, ...followers('a-1')] }),
      ),
      'a-2',
    ],
    [
      'when a stream has one replica, which has no followers',
      current().map((state) => ({ ...state, jsz: { ...state.jsz, ...withStream({ leader: 'a-0' }) } })),
      'a-2',
    ],
  ])('%s', (_, states, server) => {
    expect(notCurrent(states, 3, server)).toBeNull();
  });

  test('when it is the only one', () => {
    const alone = { server: 'a-0', healthz: CATCHING_UP, jsz: { config: {} }, routez: {} };
    expect(notCurrent([alone], 1, 'a-0')).toBeNull();
    expect(notCurrent([], 1, 'a-0')).toBeNull();
  });
});

describe('a server may not be restarted', () => {
  const lagging = (name: string, flags: JsonObject) => [{ name, ...flags }, ...followers('a-1')];
  test.each<[string, ServerState[], string]>([
    ['another does not answer', withServer('a-0', SILENT), 'no answer from a-0'],
    ['another has no monitoring', withServer('a-0', { healthz: null }), 'no answer from a-0'],
    ['another does not exist', current().slice(1), '2 of 3 servers exist'],
    [
      'another is Ready and catches up',
      withServer('a-0', { healthz: CATCHING_UP }),
      "a-0 is not current: JetStream stream 'DEFAULT > EVENTS' is not current",
    ],
    [
      'the others do not reach each other',
      withServer('a-0', { routez: { routes: [{ remote_name: 'a-2' }] } }),
      'a-0 has no route to a-1',
    ],
    ['there is no meta leader', withServer('a-1', {}, { meta_cluster: {} }), 'JetStream has no meta leader'],
    [
      'two take themselves for the leader',
      withServer('a-0', {}, { meta_cluster: { leader: 'a-0' } }),
      'JetStream is changing its meta leader: a-0, a-1',
    ],
    [
      'another lags behind in the meta group',
      withServer('a-1', {}, { meta_cluster: { leader: 'a-1', replicas: [{ name: 'a-0', current: false }] } }),
      "a-0 is not current in JetStream's meta group",
    ],
    [
      'the leader has lost another',
      withServer(
        'a-1',
        {},
        { meta_cluster: { leader: 'a-1', replicas: [{ name: 'a-0', current: true, offline: true }] } },
      ),
      "a-0 is not current in JetStream's meta group",
    ],
    [
      'the meta group counts servers that are gone',
      withServer(
        'a-1',
        {},
        {
          meta_cluster: { leader: 'a-1', cluster_size: 5, replicas: followers('a-0', 'a-2') },
        },
      ),
      "JetStream's meta group counts 5 servers, of which 2 would be left",
    ],
    [
      'a replica of a stream is not current on another',
      withServer('a-0', {}, withStream({ leader: 'a-0', replicas: lagging('a-4', { current: false }) })),
      'the replica of stream DEFAULT/EVENTS on a-4 is not current',
    ],
    [
      'a replica of a stream is on a server that is gone',
      withServer('a-0', {}, withStream({ leader: 'a-0', replicas: lagging('a-4', { current: true, offline: true }) })),
      'the replica of stream DEFAULT/EVENTS on a-4 is not current',
    ],
    [
      'a stream has no leader',
      withServer('a-0', {}, withStream({ replicas: followers('a-1', 'a-2') })),
      'stream DEFAULT/EVENTS has no leader',
    ],
  ])('while %s', (_, states, reason) => {
    expect(notCurrent(states, 3, 'a-2')).toBe(reason);
  });
});

test('a cluster is whole only with every server', () => {
  expect(notCurrent(current(), 3, null)).toBeNull();
  expect(notCurrent(current().slice(0, 2), 3, null)).toBe('2 of 3 servers exist');
  expect(notCurrent(withServer('a-2', { healthz: CATCHING_UP }), 3, null)).toMatch('a-2 is not current');
});
