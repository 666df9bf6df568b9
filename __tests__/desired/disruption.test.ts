import { describe, expect, test } from '@jest/globals';
import { windowNotices } from '../../src/desired/disruption/notices.ts';
import { inWindow } from '../../src/desired/disruption.ts';
import type { DesiredState, TargetFacts } from '../../src/desired/state.ts';
import { INPUTS, type Inputs } from '../../src/inputs/table.ts';
import { dig, digText, type Json } from '../../src/json.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import { inputsWith } from '../inputs/inputs-with.ts';
import { containerIn, NAME, objectIn, podTemplate, stateWith, valueAt } from './fixture.ts';

const WINDOWS: Partial<Inputs> = { voluntary_disruption_window_enabled: true };
const PREFIX = 'panfactum.com/voluntary-disruption-window';

function budget(overrides: Partial<Inputs>, facts: Partial<TargetFacts> = {}, name = NAME): KubeObject {
  return objectIn(stateWith(overrides, { name, ...facts }), 'PodDisruptionBudget', name);
}

function cronJob(state: DesiredState, task: 'enabler' | 'disabler'): KubeObject {
  const prefix = `disruption-window-${task}-`;
  const found = state.objects.find(({ kind, metadata }) => kind === 'CronJob' && metadata.name.startsWith(prefix));
  if (!found) throw new Error(`There is no ${prefix}`);
  return found;
}

function podOf(object: KubeObject): Json | undefined {
  return valueAt(object.spec, 'jobTemplate', 'spec', 'template');
}

function variables(object: KubeObject): { [name: string]: string } {
  const env = valueAt(podOf(object), 'spec', 'containers', 0, 'env');
  const entries = Array.isArray(env) ? env : [];
  return Object.fromEntries(entries.map((entry) => [digText(entry, 'name'), digText(entry, 'value')]));
}

test('a budget with windows is the same again once it was in one and out of it; another one is never in a window', () => {
  const open = budget(WINDOWS, { windowStart: '1790726400' });
  expect(inWindow(open, null)).toEqual(budget(WINDOWS));
  expect(inWindow(budget(WINDOWS), '1790726400')).toEqual(open);
  expect(inWindow(budget({}), '1790726400')).toEqual(budget({}));
});

describe('the budget', () => {
  const withoutWindows: [string, Partial<Inputs>, number][] = [
    ['by default', {}, 1],
    ['without disruptions', { voluntary_disruptions_enabled: false }, 0],
    ['without disruptions, windows or not', { ...WINDOWS, voluntary_disruptions_enabled: false }, 0],
  ];
  test.each(withoutWindows)('%s: no trace of windows, not even of an open one', (_, overrides, maxUnavailable) => {
    const state = stateWith(overrides, { windowStart: '1790726400' });
    const { spec, metadata } = objectIn(state, 'PodDisruptionBudget');
    expect(spec).toMatchObject({ maxUnavailable, unhealthyPodEvictionPolicy: 'AlwaysAllow' });
    expect(metadata.annotations).toBeUndefined();
    expect(Object.keys(metadata.labels ?? {}).filter((key) => key.startsWith(PREFIX))).toEqual([]);
    expect(state.objects.filter(({ kind }) => kind === 'CronJob')).toEqual([]);
  });

  test('outside of a window nothing may be evicted', () => {
    const { spec, metadata } = budget({ ...WINDOWS, voluntary_disruption_window_seconds: 600 });
    expect(spec).toMatchObject({ maxUnavailable: 0, unhealthyPodEvictionPolicy: 'AlwaysAllow' });
    expect(metadata.labels?.[`${PREFIX}-id`]).toMatch(/^[0-9a-f]{16}$/);
    expect(metadata.annotations).toEqual({ [`${PREFIX}-max-unavailable`]: '1', [`${PREFIX}-seconds`]: '600' });
  });

  test('an open window stays open as it is', () => {
    const closed = budget(WINDOWS);
    const { spec, metadata } = budget(WINDOWS, { windowStart: '1790726400' });
    expect(spec).toEqual(Object.assign({}, closed.spec, { maxUnavailable: 1 }));
    expect(metadata).toEqual({
      ...closed.metadata,
      annotations: { ...closed.metadata.annotations, [`${PREFIX}-start`]: '1790726400' },
    });
  });

  test('an empty start is no window', () => {
    expect(budget(WINDOWS, { windowStart: '' })).toEqual(budget(WINDOWS));
  });

  test('the labels input cannot take the place of the id', () => {
    const labels = { [`${PREFIX}-id`]: 'mine' };
    expect(budget({ ...WINDOWS, labels }).metadata.labels).toEqual(budget(WINDOWS).metadata.labels);
  });
});

describe('what opens and closes windows', () => {
  const longest = `a${'b'.repeat(51)}`;

  test('two CronJobs and an account that may read and patch this budget alone', () => {
    const { objects } = stateWith(WINDOWS);
    const without = stateWith().objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    const added = objects.filter(({ kind, metadata }) => !without.includes(`${kind} ${metadata.name}`));
    expect(added.map(({ kind }) => kind)).toEqual(['ServiceAccount', 'Role', 'RoleBinding', 'CronJob', 'CronJob']);
    const [account, role, binding] = added;
    const name = account?.metadata.name;
    expect(role?.rules).toEqual([
      { apiGroups: ['policy'], resources: ['poddisruptionbudgets'], resourceNames: [NAME], verbs: ['get', 'patch'] },
    ]);
    expect(binding).toMatchObject({
      roleRef: { kind: 'Role', name: role?.metadata.name },
      subjects: [{ kind: 'ServiceAccount', name, namespace: 'demo' }],
    });
    for (const task of ['enabler', 'disabler'] as const) {
      expect(podOf(cronJob(stateWith(WINDOWS), task))).toMatchObject({ spec: { serviceAccountName: name } });
    }
  });

  test('the same for the same cluster, others for each other one', () => {
    const names = (name: string, namespace = 'demo') =>
      stateWith({ ...WINDOWS, namespace }, { name })
        .objects.filter(({ kind }) => kind === 'CronJob')
        .map(({ metadata }) => metadata.name);
    expect(names('nats-a')).toEqual(names('nats-a'));
    expect(new Set([...names('nats-a'), ...names('nats-b'), ...names('nats-a', 'other')]).size).toBe(6);
  });

  // https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#cron-job-limitations
  test.each(['a', longest])('names of a cluster called %s fit: a CronJob has 52 characters', (name) => {
    for (const { kind, metadata } of stateWith(WINDOWS, { name }).objects) {
      expect(metadata.name.length).toBeLessThanOrEqual(kind === 'CronJob' ? 52 : 253);
    }
  });

  test('the schedule in UTC, and a Job a minute that closes', () => {
    const inputs = {
      voluntary_disruption_window_cron_schedule: '30 2 * * sun',
      voluntary_disruption_window_seconds: 600,
    };
    const state = stateWith({ ...WINDOWS, ...inputs });
    expect(cronJob(state, 'enabler').spec).toMatchObject({
      schedule: '30 2 * * sun',
      timeZone: 'Etc/UTC',
      startingDeadlineSeconds: 600,
      jobTemplate: { spec: { activeDeadlineSeconds: 600 } },
    });
    const disabler = cronJob(state, 'disabler').spec;
    expect(disabler).toMatchObject({ schedule: '* * * * *', timeZone: 'Etc/UTC', concurrencyPolicy: 'Allow' });
    // It must have time to wait for the end of a window.
    expect(Number(dig(disabler, 'jobTemplate', 'spec', 'activeDeadlineSeconds'))).toBeGreaterThan(120);
  });

  // Below ten seconds the CronJob controller may miss every start.
  test('the shortest window that may be had is long enough for its Job to start', () => {
    const { read } = INPUTS.voluntary_disruption_window_seconds;
    expect(read('59')).toHaveProperty('refusal');
    expect(read('60')).toEqual({ value: 60 });
  });

  test('a cluster that is set otherwise is handed to them otherwise', () => {
    const manifest = (overrides: Partial<Inputs>) =>
      variables(cronJob(stateWith({ ...WINDOWS, ...overrides }), 'disabler')).MANIFEST ?? '';
    const { resourceVersion, ...metadata } = JSON.parse(manifest({ labels: { team: 'bus' } })).metadata;
    expect(metadata).toEqual(budget({ ...WINDOWS, labels: { team: 'bus' } }).metadata);
    expect(resourceVersion).toBe('@VERSION@');
  });

  test.each(['enabler', 'disabler'] as const)('the %s: its pods are not taken for servers', (task) => {
    const labels = valueAt(podOf(cronJob(stateWith(WINDOWS), task)), 'metadata', 'labels');
    const selector = valueAt(objectIn(stateWith(WINDOWS), 'PodDisruptionBudget').spec, 'selector', 'matchLabels');
    expect(valueAt(selector, 'app.kubernetes.io/name')).toBe('nats');
    expect(valueAt(labels, 'app.kubernetes.io/name')).toBe('disruption-window');
    expect(valueAt(labels, 'app.kubernetes.io/instance')).toBe(NAME);
  });

  test.each(['enabler', 'disabler'] as const)('the %s: its pods run where the servers run', (task) => {
    const overrides: Partial<Inputs> = {
      ...WINDOWS,
      burstable_nodes_enabled: true,
      panfactum_scheduler_enabled: false,
    };
    const state = stateWith(overrides, { priorityClassName: 'workload-important' });
    const [pod, server] = [podOf(cronJob(state, task)), podTemplate(state)];
    for (const field of ['tolerations', 'priorityClassName']) {
      expect(valueAt(server, 'spec', field)).toBeDefined();
      expect(valueAt(pod, 'spec', field)).toEqual(valueAt(server, 'spec', field));
    }
    for (const label of ['scheduler', 'pull-through-cache', 'arm64', 'burstable', 'spot', 'controller']) {
      const key = `panfactum.com/${label}-enabled`;
      expect(valueAt(server, 'metadata', 'labels', key)).toBeDefined();
      expect(valueAt(pod, 'metadata', 'labels', key)).toEqual(valueAt(server, 'metadata', 'labels', key));
    }
    expect(podOf(cronJob(stateWith(WINDOWS, { priorityClassName: null }), task))).not.toHaveProperty(
      'spec.priorityClassName',
    );
  });

  test('they run the image of the input', () => {
    const state = stateWith({ ...WINDOWS, kubectl_image: 'reg.example.com/kubectl:1' });
    for (const task of ['enabler', 'disabler'] as const) {
      const image = valueAt(podOf(cronJob(state, task)), 'spec', 'containers', 0, 'image');
      expect(image).toBe('reg.example.com/kubectl:1');
    }
  });

  test.each(['enabler', 'disabler'] as const)('the %s: restricted as the servers are', (task) => {
    const state = stateWith(WINDOWS);
    const container = valueAt(podOf(cronJob(state, task)), 'spec', 'containers', 0);
    expect(valueAt(container, 'securityContext')).toEqual(valueAt(containerIn(state, 'nats'), 'securityContext'));
    expect(valueAt(podOf(cronJob(state, task)), 'spec', 'securityContext')).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
  });
});

describe('what a run tells about windows', () => {
  const NOW = new Date('2026-02-27T04:00:30Z');
  const told = (overrides: Partial<Inputs>) =>
    windowNotices(inputsWith(overrides), NOW).map(({ severity, input, message }) => `${severity} ${input}: ${message}`);
  const schedule = (text: string) => ({ ...WINDOWS, voluntary_disruption_window_cron_schedule: text });

  test('nothing without windows', () => {
    expect(told({})).toEqual([]);
  });

  test('the next three openings', () => {
    expect(told(WINDOWS)).toEqual([
      'notice voluntary_disruption_window_cron_schedule: the next windows open at Sat 2026-02-28 04:00, ' +
        'Sun 2026-03-01 04:00, Mon 2026-03-02 04:00 (UTC), for 3600 seconds.',
    ]);
  });

  test('the interval, of which only Kubernetes knows the beginning', () => {
    expect(told(schedule('@every 12h'))).toEqual([
      'notice voluntary_disruption_window_cron_schedule: windows open every 43200 seconds, counted from when the ' +
        'CronJob was made, for 3600 seconds.',
    ]);
  });

  test.each([
    ['0 * * * *', 3599, false],
    ['0 * * * *', 3600, true],
    ['@every 1h', 3600, true],
    ['0 4,5 * * *', 7200, false],
    ['0 4,5 * * *', 82_800, true],
    ['0 4 * * 1', 604_800, true],
    ['0 4 * * 1', 604_799, false],
  ])('%s for %i seconds: whether such windows never close', (text, voluntary_disruption_window_seconds, never) => {
    const warnings = told({ ...schedule(text), voluntary_disruption_window_seconds }).slice(1);
    expect(warnings).toHaveLength(never ? 1 : 0);
    for (const warning of warnings) expect(warning).toContain('voluntary_disruption_window_seconds: ');
  });

  test('that no window opens where all disruptions are off', () => {
    expect(told({ ...WINDOWS, voluntary_disruptions_enabled: false })).toEqual([
      'warning voluntary_disruption_window_enabled: no window opens, as voluntary_disruptions_enabled is false: set that to true.',
    ]);
  });
});
