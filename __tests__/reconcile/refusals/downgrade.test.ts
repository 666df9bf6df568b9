import { describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../../src/json.ts';
import type { KubeObject } from '../../../src/kube/object.ts';
import { checkDowngrade } from '../../../src/reconcile/refusals/downgrade.ts';
import { fakeKube } from '../../fakes/kube.ts';
import { problemOf } from '../../fakes/problem.ts';
import { inputsWith } from '../../inputs/inputs-with.ts';
import { LABELS } from '../context.ts';

const startTime = '2026-11-22T10:00:00Z';
const ready = (status: 'True' | 'False', lastTransitionTime: string) => ({
  startTime,
  conditions: [{ type: 'Ready', status, lastTransitionTime }],
});

/** The status of pods. */
const READY = ready('True', '2026-11-22T10:00:09Z');
const NO_LONGER_READY = ready('False', '2026-11-22T10:05:00Z');
const NEVER_READY = ready('False', '2026-11-22T10:00:01Z');
const PENDING = { conditions: [{ type: 'PodScheduled', status: 'False' }] };
const COUNTER = { name: 'COUNTER', config: { metadata: { '_nats.req.level': '2' } } };

const containers = (image: string) => [
  { name: 'reloader', image: 'r:9.9.9' },
  { name: 'nats', image },
];

function statefulSet(image: string): KubeObject {
  const spec = { template: { spec: { containers: containers(image) } } };
  return { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: 'nats-a', namespace: 'demo' }, spec };
}

interface Server {
  image: string;
  status?: JsonObject;
  /** What its monitoring port tells; null where it does not answer. */
  version: string | null;
  streams?: JsonObject[];
}

/** Goes to that version with servers of these. */
function check(wanted: string, applied: string, servers: Server[]) {
  const kube = fakeKube();
  for (const [ordinal, { image, status = READY, version, streams = [] }] of servers.entries()) {
    const name = `nats-a-${ordinal}`;
    kube.put({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'demo', labels: LABELS },
      spec: { containers: containers(image) },
      status,
    });
    if (version === null) continue;
    kube.podAnswers.set(`${name}/varz`, { version });
    kube.podAnswers.set(`${name}/jsz`, { account_details: [{ name: 'DEFAULT', stream_detail: streams }] });
  }
  return checkDowngrade(kube, inputsWith({ nats_version: wanted }), statefulSet(applied));
}

const server = (version: string, streams: JsonObject[] = []): Server => ({
  image: `nats:${version}-alpine`,
  version,
  streams,
});

describe('goes', () => {
  test.each<[string, string | null, Parameters<typeof check>]>([
    ['to the same release', null, ['2.12.8', 'nats:2.12.8-alpine', [server('2.12.8', [COUNTER])]]],
    ['to a newer one', null, ['2.14.6', 'nats:2.10.23-alpine', [server('2.10.23')]]],
    [
      'back where nothing needs the newer one',
      '2.14.6',
      ['2.10.23', 'nats:2.14.6', [server('2.14.6'), server('2.10.23')]],
    ],
    ['back to one that knows what is used', '2.14.6', ['2.12.8', 'nats:2.14.6', [server('2.14.6', [COUNTER])]]],
    ['on with what an earlier run began', null, ['2.11.8', 'nats:2.11.8', [server('2.14.6', [COUNTER])]]],
    [
      'back where a server has never come up',
      '2.14.6',
      ['2.12.8', 'nats:2.14.6', [server('2.14.6'), { image: 'nats:2.14.6', status: NEVER_READY, version: null }]],
    ],
    ['to the same where the image has no version', null, ['2.12.8', 'nats@sha256:0', [server('2.12.8', [COUNTER])]]],
    [
      'back by what the servers tell where the image has none',
      '2.14.6',
      ['2.12.8', 'nats@sha256:0', [server('2.14.6')]],
    ],
    [
      'back where a server is silent that runs the older one already',
      '2.14.6',
      ['2.12.8', 'nats:2.14.6', [server('2.14.6'), { ...server('2.12.8'), version: null }]],
    ],
    [
      'back from a release that no server has run yet',
      null,
      ['2.10.23', 'nats:2.14.9', [server('2.10.23'), { image: 'nats:2.14.9', status: PENDING, version: null }]],
    ],
  ])('%s', async (_, from, servers) => {
    expect(await check(...servers)).toBe(from);
  });
});

describe('is refused', () => {
  test('where a stream uses features that the older release does not know', async () => {
    const { details } = await problemOf(
      check('2.11.8', 'nats:2.14.6', [server('2.14.6', [COUNTER]), server('2.14.6')]),
    );
    expect(details).toMatchObject({
      kind: 'target',
      tried: 'Going back from nats-server 2.14.6 to 2.11.8 with StatefulSet demo/nats-a',
      reason: 'nats-server 2.11.8 cannot take over what is stored; nothing was written.',
      findings: ['stream DEFAULT/COUNTER uses features of 2.12.0'],
      next: expect.stringMatching(/^Choose 2\.12\.0 or later by the input nats_version/),
    });
  });

  test.each([
    ['serves', READY],
    ['has served', NO_LONGER_READY],
  ])('where a server that %s by the newer release does not answer', async (_, status) => {
    const silent = { image: 'nats:2.14.6-alpine', status, version: null };
    const { details } = await problemOf(check('2.11.8', 'nats:2.14.6', [server('2.11.8'), silent]));
    expect(details).toMatchObject({
      reason: 'Whether nats-server 2.11.8 can take over what is stored is not known; nothing was written.',
      findings: ['nats-a-1 has served by 2.14.6 and does not answer, so nobody can tell what its streams use'],
    });
  });
});
