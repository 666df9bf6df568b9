import { describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../../src/json.ts';
import type { KubeObject } from '../../../src/kube/object.ts';
import { checkDowngrade, type ServerInputs } from '../../../src/reconcile/refusals/downgrade.ts';
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

interface Around {
  lastGood?: ServerInputs;
  /** Of the servers that are to be. */
  image?: string;
  statefulSet?: null;
}

/** Goes to that version with servers of these. */
function check(wanted: string, applied: string, servers: Server[], around: Around = {}) {
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
  const { lastGood = null, image = `nats:${wanted}-alpine` } = around;
  const live = around.statefulSet === null ? null : statefulSet(applied);
  const cluster = { namespace: 'demo', name: 'nats-a', statefulSet: live, lastGood };
  return checkDowngrade(kube, cluster, { ...inputsWith({ nats_version: wanted }), image });
}

/** What so many servers ran when they were last found whole. */
const whole = (nats_version: string, replicas: ServerInputs['replicas'] = 3): Around => ({
  lastGood: { nats_version, replicas, helm_version: '8.5.2' },
});

const DIGEST = 'nats@sha256:0';
const unknown = (status: JsonObject): Server => ({ image: DIGEST, status, version: null });

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
    [
      'back where the last good state is of the older one, and no server has come up by the newer',
      null,
      ['2.12.8', 'nats:2.14.6', [{ image: 'nats:2.14.6', status: NEVER_READY, version: null }], whole('2.12.8')],
    ],
    [
      'back with fewer servers, of which the others are gone',
      '2.14.6',
      ['2.12.8', 'nats:2.14.6', Array(3).fill(server('2.14.6')), whole('2.14.6', 5)],
    ],
    ['on with an image that tells no version', null, ['2.12.8', DIGEST, [unknown(NO_LONGER_READY)], { image: DIGEST }]],
    ['back where a server has not come up by such an image', null, ['2.12.8', DIGEST, [unknown(NEVER_READY)]]],
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
      tried: 'Taking the nats-server of demo/nats-a back from 2.14.6 to 2.11.8',
      reason: 'nats-server 2.11.8 cannot take over what is stored.',
      findings: ['stream DEFAULT/COUNTER uses features of 2.12.0'],
      next: expect.stringMatching(/^Nothing was written\. Choose 2\.12\.0 or later by the input nats_version/),
    });
  });

  test.each([
    ['serves', READY],
    ['has served', NO_LONGER_READY],
  ])('where a server that %s by the newer release does not answer', async (_, status) => {
    const silent = { image: 'nats:2.14.6-alpine', status, version: null };
    const { details } = await problemOf(check('2.11.8', 'nats:2.14.6', [server('2.11.8'), silent]));
    expect(details).toMatchObject({
      reason: 'Whether nats-server 2.11.8 can take over what is stored is not known.',
      findings: ['nats-a-1 has served by 2.14.6 and does not answer, so nobody can tell what its streams use'],
    });
  });

  const up = [server('2.14.6'), server('2.14.6')];
  const crashing = { image: 'nats:2.14.6', status: NEVER_READY, version: null };
  const pending = { image: 'nats:2.14.6', status: PENDING, version: null };
  test.each<[string, string[], Server[], Around]>([
    ['replaced, and the new pod crashes', ['nats-a-2'], [...up, crashing], whole('2.14.6')],
    ['replaced, and the new pod is Pending', ['nats-a-2'], [...up, pending], whole('2.14.6')],
    ['deleted', ['nats-a-2'], up, whole('2.14.6')],
    ['replaced, all of them', ['nats-a-0', 'nats-a-1', 'nats-a-2'], [pending, pending, pending], whole('2.14.6')],
    ['scaled away', ['nats-a-0', 'nats-a-1', 'nats-a-2'], [], whole('2.14.6')],
    ['deleted with the StatefulSet', ['nats-a-0'], [], { ...whole('2.14.6', 1), statefulSet: null }],
    ['last found whole by a release that nobody knows', ['nats-a-0'], [], whole('2.99.0', 1)],
  ])('where servers of the last good state, which is newer, were %s', async (_, names, servers, around) => {
    const { details } = await problemOf(check('2.12.8', 'nats:2.14.6', servers, around));
    const release = around.lastGood?.nats_version;
    expect(details).toMatchObject({
      tried: `Taking the nats-server of demo/nats-a back from ${release} to 2.12.8`,
      findings: names.map((name) => expect.stringContaining(`${name} has served by ${release} and does not answer`)),
    });
  });

  test('where a silent server has served by an image that tells no version, and the older one is of another', async () => {
    const { details } = await problemOf(check('2.12.8', DIGEST, [server('2.12.8'), unknown(READY)], whole('2.12.8')));
    expect(details).toMatchObject({
      tried: 'Taking the nats-server of demo/nats-a back from an unknown release to 2.12.8',
      findings: [expect.stringContaining('nats-a-1 has served by an unknown release and does not answer')],
    });
  });
});
