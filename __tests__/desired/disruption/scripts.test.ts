import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { WINDOW_START } from '../../../src/desired/disruption.ts';
import type { Inputs } from '../../../src/inputs/table.ts';
import { digText } from '../../../src/json.ts';
import type { KubeObject } from '../../../src/kube/object.ts';
import { objectIn, stateWith, valueAt } from '../fixture.ts';
import type { State } from './kubectl.ts';

const WINDOWS: Partial<Inputs> = { voluntary_disruption_window_enabled: true };
const LENGTH = 3600;

/** 04:00:00 on some day, and the Job that is scheduled for it. */
const FOUR = 1_790_726_400;
const MINUTE = FOUR / 60;

/** The budget that the action itself applies. */
function budgetOf(start: number | string | null, inputs = WINDOWS): KubeObject {
  return objectIn(stateWith(inputs, { windowStart: start === null ? null : `${start}` }), 'PodDisruptionBudget');
}

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'disruption-window-'));
  program('kubectl', `exec "${process.execPath}" "${join(import.meta.dirname, 'kubectl.ts')}" "$@"`);
  program('date', 'cat clock');
  program('sleep', 'echo $(($(cat clock) + $1)) > clock');
});

afterEach(() => rmSync(directory, { recursive: true }));

function program(name: string, script: string): void {
  writeFileSync(join(directory, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

interface Situation extends Partial<Omit<State, 'budget'>> {
  budget: KubeObject;
  now: number;
}

/** The budget comes back without the version that the API server counts. */
interface Outcome {
  exitCode: number | null;
  signal: string | null;
  said: string;
  budget: KubeObject;
  now: number;
}

const CRON_JOB = { enabler: 'disruption-window-enabler-', disabler: 'disruption-window-disabler-' };

/** Runs what the pod of a Job of that CronJob runs; the Job's name is the CronJob's and the suffix. */
function runJob(task: keyof typeof CRON_JOB, suffix: string, situation: Situation, inputs = WINDOWS): Outcome {
  const { objects } = stateWith(inputs);
  const cronJob = objects.find(({ kind, metadata }) => kind === 'CronJob' && metadata.name.startsWith(CRON_JOB[task]));
  const pod = valueAt(cronJob?.spec, 'jobTemplate', 'spec', 'template', 'spec', 'containers', 0);
  const [shell = '', ...args] = [0, 1, 2].map((index) => String(valueAt(pod, 'command', index)));
  const env = valueAt(pod, 'env');
  const variables = (Array.isArray(env) ? env : []).map((entry) => [digText(entry, 'name'), digText(entry, 'value')]);
  const { budget, now, ofOthers = [], ...more } = situation;
  const state: State = { budget: versioned(budget, '41'), ofOthers, ...more };
  writeFileSync(join(directory, 'state.json'), JSON.stringify(state));
  writeFileSync(join(directory, 'clock'), `${now}`);
  const { status, signal, stdout, stderr } = spawnSync(shell, args, {
    cwd: directory,
    encoding: 'utf8',
    env: {
      PATH: `${directory}:${process.env.PATH}`,
      ...Object.fromEntries(variables),
      JOB_NAME: `${cronJob?.metadata.name}${suffix}`,
    },
  });
  const after: State = JSON.parse(readFileSync(join(directory, 'state.json'), 'utf8'));
  const { resourceVersion: _, ...metadata } = after.budget.metadata;
  return {
    exitCode: status,
    signal,
    said: stdout + stderr,
    budget: { ...after.budget, metadata },
    now: Number(readFileSync(join(directory, 'clock'), 'utf8')),
  };
}

function versioned(budget: KubeObject, resourceVersion: string): KubeObject {
  return { ...budget, metadata: { ...budget.metadata, resourceVersion } };
}

describe('opening', () => {
  const open = (situation: Situation, suffix = `-${MINUTE}`, inputs = WINDOWS) =>
    runJob('enabler', suffix, situation, inputs);

  test('leaves the budget that the action applies while that window is open', () => {
    const outcome = open({ budget: budgetOf(null), now: FOUR + 3 });
    expect(outcome).toMatchObject({ exitCode: 0, said: 'Opened the window, for 3597 seconds.\n' });
    expect(outcome.budget).toEqual(budgetOf(FOUR));
  });

  test('late, the window ends at its time all the same', () => {
    expect(open({ budget: budgetOf(null), now: FOUR + LENGTH - 1 }).budget).toEqual(budgetOf(FOUR));
  });

  test('too late, nothing opens', () => {
    const outcome = open({ budget: budgetOf(null), now: FOUR + LENGTH });
    expect(outcome).toMatchObject({ exitCode: 0, budget: budgetOf(null) });
    expect(outcome.said).toContain('over');
  });

  test.each(['-now', '-by-hand-7', '', '-007'])('a Job by the name of ...%s opens as of now', (suffix) => {
    expect(open({ budget: budgetOf(null), now: FOUR + 1234 }, suffix).budget).toEqual(budgetOf(FOUR + 1234));
  });

  test('an interval may have started late in the minute, but not after now', () => {
    const inputs = { ...WINDOWS, voluntary_disruption_window_cron_schedule: '@every 12h' };
    const opened = (now: number) => open({ budget: budgetOf(null, inputs), now }, `-${MINUTE}`, inputs).budget;
    expect(opened(FOUR + 300)).toEqual(budgetOf(FOUR + 59, inputs));
    expect(opened(FOUR + 30)).toEqual(budgetOf(FOUR + 30, inputs));
  });

  test('the next window takes the place of one that is still open', () => {
    expect(open({ budget: budgetOf(FOUR - 60), now: FOUR + 2 }).budget).toEqual(budgetOf(FOUR));
  });

  test('a window that opened since then stays as it is', () => {
    const outcome = open({ budget: budgetOf(FOUR + 60), now: FOUR + 90 });
    expect(outcome).toMatchObject({ exitCode: 0, budget: budgetOf(FOUR + 60) });
  });

  test('a budget that changed in between is looked at again', () => {
    const meanwhile = versioned(budgetOf(FOUR - 60), '42');
    const outcome = open({ budget: budgetOf(null), now: FOUR + 2, meanwhile });
    expect(outcome).toMatchObject({ exitCode: 0, budget: budgetOf(FOUR) });
    expect(outcome.said).toContain('has been modified');
  });

  test('windows that were switched off in between are not opened', () => {
    const meanwhile = versioned(budgetOf(null, {}), '42');
    const outcome = open({ budget: budgetOf(null), now: FOUR + 2, meanwhile });
    expect(outcome).toMatchObject({ exitCode: 0, budget: budgetOf(null, {}) });
  });

  test('where nothing can be done the Job fails, and Kubernetes tries again', () => {
    program('kubectl', 'exit 1');
    expect(open({ budget: budgetOf(null), now: FOUR })).toMatchObject({ exitCode: 1, budget: budgetOf(null) });
  });
});

describe('closing', () => {
  const close = (situation: Situation) => runJob('disabler', `-${MINUTE}`, situation);
  const END = FOUR + LENGTH;

  test('outside of windows there is nothing to do', () => {
    const outcome = close({ budget: budgetOf(null), now: FOUR });
    expect(outcome).toMatchObject({ exitCode: 0, now: FOUR, budget: budgetOf(null) });
  });

  test('a window that does not end within the next minute is left to a later Job', () => {
    const outcome = close({ budget: budgetOf(FOUR), now: END - 61 });
    expect(outcome).toMatchObject({ exitCode: 0, now: END - 61, budget: budgetOf(FOUR) });
  });

  test.each([60, 58, 1])('a window that ends in %i seconds is closed then, and not before', (left) => {
    const outcome = close({ budget: budgetOf(FOUR), now: END - left });
    expect(outcome).toMatchObject({ exitCode: 0, now: END });
    expect(outcome.budget).toEqual(budgetOf(null));
  });

  test('when the pod was killed while it waited the next one closes the window', () => {
    program('sleep', 'kill -9 $PPID');
    const killed = close({ budget: budgetOf(FOUR), now: END - 58 });
    expect(killed).toMatchObject({ signal: 'SIGKILL', budget: budgetOf(FOUR) });
    const next = close({ budget: killed.budget, now: END + 2 });
    expect(next).toMatchObject({ exitCode: 0, now: END + 2 });
    expect(next.budget).toEqual(budgetOf(null));
  });

  test('a window that should have been closed long ago is closed at once', () => {
    expect(close({ budget: budgetOf(FOUR), now: END + 86_400 })).toMatchObject({ exitCode: 0, budget: budgetOf(null) });
  });

  test.each(['soon', '0x10', '12.5', '-5', '9'.repeat(30), `${FOUR + 7200}`])('a start of %s is no window', (start) => {
    expect(close({ budget: budgetOf(start), now: FOUR })).toMatchObject({ exitCode: 0, budget: budgetOf(null) });
  });

  test('a window that was opened in between stays open', () => {
    const meanwhile = versioned(budgetOf(END), '42');
    const outcome = close({ budget: budgetOf(FOUR), now: END + 1, meanwhile });
    expect(outcome).toMatchObject({ exitCode: 0, budget: budgetOf(END) });
    expect(outcome.said).toContain('has been modified');
  });

  test('windows that were switched off in between stay off', () => {
    const meanwhile = versioned(budgetOf(null, {}), '42');
    const outcome = close({ budget: budgetOf(FOUR), now: END + 1, meanwhile });
    expect(outcome).toMatchObject({ exitCode: 0, budget: budgetOf(null, {}) });
  });

  test('a start that another manager set is removed as well', () => {
    const outcome = close({ budget: budgetOf(FOUR), now: END, ofOthers: [WINDOW_START] });
    expect(outcome).toMatchObject({ exitCode: 0, now: END });
    expect(outcome.budget).toEqual(budgetOf(null));
  });

  test('where nothing can be done the Job fails, and Kubernetes tries again', () => {
    program('kubectl', 'exit 1');
    expect(close({ budget: budgetOf(FOUR), now: END })).toMatchObject({ exitCode: 1, budget: budgetOf(FOUR) });
  });
});
