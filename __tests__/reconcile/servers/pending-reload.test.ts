import { expect, test } from '@jest/globals';
import type { JsonObject } from '../../../src/json.ts';
import { MANAGER } from '../../../src/manager.ts';
import { CONFIG_FILE } from '../../../src/nats/layout.ts';
import { configHash } from '../../../src/nats/restart.ts';
import { lateFor, standings } from '../../../src/reconcile/servers/pending-reload.ts';
import { contextWith, LABELS } from '../context.ts';

const BEFORE = '2026-11-22T10:00:00Z';
const SINCE = '2026-11-22T11:00:00Z';

/** What an earlier run noted on the pod before it wrote `failed` where `good` was. */
const NOTE = { config: configHash('failed'), time: BEFORE, refusal: '', runs: configHash('good') };

/** Whether a configuration has to come yet to a server that loaded its own then, of a pod with that note. */
async function isLate(conf: string, { live, note, loaded }: { live: string; note: JsonObject | null; loaded: string }) {
  const context = contextWith();
  const annotations = note === null ? {} : { [`${MANAGER}/pending-reload`]: JSON.stringify(note) };
  const metadata = { name: 'nats-a-0', namespace: 'demo', labels: LABELS, annotations };
  context.kube.put({ apiVersion: 'v1', kind: 'Pod', metadata });
  context.kube.put({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'nats-a', namespace: 'demo' },
    data: { [CONFIG_FILE]: live },
  });
  if (loaded !== '') context.kube.podAnswers.set('nats-a-0/varz', { config_load_time: loaded });
  return lateFor(await standings(context), conf).size === 1;
}

test.each([
  ['of a server that started by what is there', 'good', { live: 'good', note: null, loaded: BEFORE }, false],
  ['new to a server that started by what is there', 'new', { live: 'good', note: null, loaded: BEFORE }, true],
  ['called off before the server loaded another', 'good', { live: 'failed', note: NOTE, loaded: BEFORE }, false],
  ['called off after the server loaded another', 'good', { live: 'failed', note: NOTE, loaded: SINCE }, true],
  ['that the server has not loaded yet', 'failed', { live: 'failed', note: NOTE, loaded: BEFORE }, true],
  ['that somebody changed by hand since', 'failed', { live: 'edited', note: NOTE, loaded: SINCE }, true],
  ['of a server that does not answer', 'good', { live: 'good', note: null, loaded: '' }, true],
])('whether a reload has to come, for a configuration %s', async (_, conf, server, late) => {
  expect(await isLate(conf, server)).toBe(late);
});
