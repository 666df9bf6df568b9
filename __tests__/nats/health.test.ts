import { describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../src/json.ts';
import { metaLeader, type ServerReport, whatIsMissing } from '../../src/nats/health.ts';

const NAMES = ['a-0', 'a-1', 'a-2'];

/** What three healthy servers answer: a-1 leads; on 2.10 and later each peer has several routes. */
function healthy(): ServerReport[] {
  return NAMES.map((server) => {
    const peers = NAMES.filter((name) => name !== server);
    const replicas = peers.map((name) => ({ name, current: true, active: 1 }));
    return {
      server,
      jsz: { config: {}, meta_cluster: { leader: 'a-1', ...(server === 'a-1' && { replicas }) } },
      routez: { routes: [...peers, ...peers, ...peers].map((remote_id) => ({ remote_id })) },
    };
  });
}

/** The healthy ones with the changes to one server's report. */
function withServer(server: string, change: Partial<ServerReport>): ServerReport[] {
  return healthy().map((report) => (report.server === server ? { ...report, ...change } : report));
}

function seenByLeader(...replicas: JsonObject[]): ServerReport[] {
  return withServer('a-1', { jsz: { config: {}, meta_cluster: { leader: 'a-1', replicas } } });
}

describe('a cluster of three', () => {
  test('is healthy', () => {
    expect(whatIsMissing(healthy(), 3)).toBeNull();
    expect(metaLeader(healthy())).toBe('a-1');
  });

  test.each<[string, ServerReport[], string]>([
    ['there is none', [], '0 of 3 servers exist'],
    ['a server does not exist', healthy().slice(1), '2 of 3 servers exist'],
    ['a server is silent', withServer('a-2', { jsz: null, routez: null }), 'no answer from a-2'],
    ['only the routes are silent', withServer('a-2', { routez: null }), 'no answer from a-2'],
    ['JetStream is off', withServer('a-0', { jsz: { disabled: true, config: {} } }), 'JetStream is not enabled on a-0'],
    ['JetStream has not started', withServer('a-0', { jsz: {} }), 'JetStream is not enabled on a-0'],
    [
      'a peer has no route',
      withServer('a-2', { routez: { routes: [{ remote_id: 'a-0' }, { remote_id: 'a-0' }] } }),
      'a-2 has routes to 1 of 2 peers',
    ],
    ['there are no routes', withServer('a-0', { routez: {} }), 'a-0 has routes to 0 of 2 peers'],
    [
      'there is no leader',
      healthy().map((report) => ({ ...report, jsz: { config: {}, meta_cluster: {} } })),
      'JetStream has no meta leader',
    ],
    [
      'the leader is not among them',
      healthy().map((report) => ({ ...report, jsz: { config: {}, meta_cluster: { leader: 'gone' } } })),
      '1 of 3 JetStream peers current (leader gone)',
    ],
    [
      'a peer lags behind',
      seenByLeader({ name: 'a-0', current: true }, { name: 'a-2', current: false }),
      '2 of 3 JetStream peers current (leader a-1)',
    ],
    [
      'a peer is offline',
      seenByLeader({ name: 'a-0', current: true }, { name: 'a-2', current: true, offline: true }),
      '2 of 3 JetStream peers current (leader a-1)',
    ],
  ])('is not when %s', (_, reports, missing) => {
    expect(whatIsMissing(reports, 3)).toBe(missing);
  });

  test('is healthy with a fourth that is leaving', () => {
    const leaving = { name: 'a-3', current: true, offline: true };
    expect(whatIsMissing(seenByLeader(...peers('a-0', 'a-2'), leaving), 3)).toBeNull();
    expect(whatIsMissing(seenByLeader(...peers('a-0', 'a-2', 'a-3')), 3)).toBeNull();
  });
});

function peers(...names: string[]): JsonObject[] {
  return names.map((name) => ({ name, current: true }));
}

describe('a single server', () => {
  test('needs JetStream alone, no leader and no routes', () => {
    const report = { server: 'a-0', jsz: { config: {} }, routez: {} };
    expect(whatIsMissing([report], 1)).toBeNull();
    expect(metaLeader([report])).toBe('');
    expect(whatIsMissing([{ ...report, jsz: { disabled: true } }], 1)).toBe('JetStream is not enabled on a-0');
  });
});
