import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { load } from 'js-yaml';
import { type Ending, runMain, type Values } from '../simulator/runner.ts';
import { readCron } from '../src/inputs/cron.ts';
import { dig, digObjects, digText, type Json, type JsonObject } from '../src/json.ts';
import { auditWrites, hasAuditLog, kube, kubeconfig, waitFor } from './cluster.ts';
import { asRoot } from './deployer.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';
import { nodeNames, restoreNodes, setNodes } from './nodes.ts';
import { type Pod, podsOf } from './observe.ts';
import { paths } from './sandbox/topology.ts';

const namespace = 'e2e-disruptions';
const inNamespace = (group: string, resource: string): string => `/apis/${group}/namespaces/${namespace}/${resource}`;

const WINDOW = 'panfactum.com/voluntary-disruption-window';
/** What a window may close late by at most, and what the clocks of a test and a pod may differ by: seconds. */
const PROMISED = 60;
const CLOCKS = 5;

const kubectlProgram = kubeconfig === paths.kubeconfig ? paths.kubectl : 'kubectl';

let inputs: Values;
let outputs: Values;

/** Brings the cluster to those inputs over the ones that all tests begin with. */
async function apply(changes: Values = {}): Promise<Ending> {
  const ending = await runMain({ ...inputs, ...changes });
  expect(ending).toMatchObject({ exitCode: 0, errors: [] });
  return ending;
}

const servers = (): Promise<Pod[]> => podsOf(outputs);

const allReady = (): Promise<void> =>
  waitFor(async () => (await servers()).filter(({ ready }) => ready).length === 3, 'three servers are ready', 90_000);

beforeAll(async () => {
  await restoreNodes();
  await emptyNamespace(namespace);
  inputs = { ...asRoot(), namespace, nats_version: '2.14.6' };
  ({ outputs } = await apply());
});

afterEach(restoreNodes);

afterAll(async () => {
  await restoreNodes();
  await leaveNamespace(namespace);
  kube.close();
});

interface Answer {
  status: number;
  message: string;
}

/** Asks for the eviction of a pod, as `kubectl drain` does; a dry run only asks whether it would be allowed. */
async function evict(pod: string, { dryRun }: { dryRun: boolean }): Promise<Answer> {
  const { status, body } = await kube.send({
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/pods/${pod}/eviction${dryRun ? '?dryRun=All' : ''}`,
    body: { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: pod, namespace } },
  });
  return { status, message: digText(JSON.parse(body), 'message') };
}

const FORBIDDEN = { status: 429, message: expect.stringContaining('disruption budget') };
const mayEvict = (pod: string): Promise<Answer> => evict(pod, { dryRun: true });

/** The disruption controller follows a changed budget by a moment. */
const untilAllowed = (pod: string): Promise<void> =>
  waitFor(async () => (await mayEvict(pod)).status === 201, `${pod} may be evicted`, 10_000);

interface Execution {
  exitCode: number | null;
  printed: string;
}

function run(program: string, args: string[], environment: Values = {}): Execution {
  const env = { ...process.env, KUBECONFIG: kubeconfig, ...environment };
  const { status, stdout, stderr, error } = spawnSync(program, args, { env, encoding: 'utf8', timeout: 120_000 });
  if (error) throw error;
  return { exitCode: status, printed: stdout + stderr };
}

const shell = (command: string): Execution => run('sh', ['-c', command]);

/** Drains the servers alone: other pods of the node are not this test's. */
function drain(node: string, seconds: number): Execution {
  const labels: Values = JSON.parse(outputs.match_labels ?? '{}');
  const selector = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return run(kubectlProgram, [
    'drain',
    node,
    `--pod-selector=${selector}`,
    '--delete-emptydir-data',
    `--timeout=${seconds}s`,
  ]);
}

interface Budget {
  maxUnavailable: string;
  /** null: no window is open. */
  start: number | null;
}

async function budget(): Promise<Budget> {
  const { spec, metadata } = await kube.get(inNamespace('policy/v1', `poddisruptionbudgets/${outputs.name}`));
  const start = digText(metadata, 'annotations', `${WINDOW}-start`);
  return { maxUnavailable: digText(spec, 'maxUnavailable'), start: start === '' ? null : Number(start) };
}

const seconds = (): number => Date.now() / 1000;

/** Waits for the open window to close, and for a minute and a half after its end; returns how many seconds it was late. */
async function closing(end: number): Promise<number> {
  const closed = async (): Promise<boolean> => (await budget()).start === null;
  await waitFor(closed, 'the window is closed', (end - seconds() + 90) * 1000);
  const late = seconds() - end;
  expect(await budget()).toEqual({ maxUnavailable: '0', start: null });
  return late;
}

/** A schedule of windows that opens one at a full minute soon, and the next an hour later. */
function scheduleSoon(): { opening: number; schedule: string } {
  const opening = Math.ceil((seconds() + 20) / 60) * 60;
  return { opening, schedule: `${new Date(opening * 1000).getUTCMinutes()} * * * *` };
}

const windows = (schedule: string, length: number): Values => ({
  voluntary_disruption_window_enabled: 'true',
  voluntary_disruption_window_cron_schedule: schedule,
  voluntary_disruption_window_seconds: `${length}`,
});

/** Windows that do not open by themselves while a test runs. */
function quietWindows(length: number): Values {
  const month = new Date().getUTCMonth();
  return windows(`0 0 1 ${((month + 5) % 12) + 1} *`, length);
}

/** The pods of the windows' CronJobs. */
async function windowPods(): Promise<{ name: string; job: string }[]> {
  const selector = encodeURIComponent('app.kubernetes.io/name=disruption-window');
  const pods = await kube.list(`/api/v1/namespaces/${namespace}/pods?labelSelector=${selector}`);
  return pods.map(({ metadata }) => ({
    name: digText(metadata, 'name'),
    job: digText(metadata, 'labels', 'batch.kubernetes.io/job-name'),
  }));
}

/** Waits for a pod that waits for the end of the open window. */
async function waitingCloser(): Promise<string> {
  let found = '';
  const waits = async ({ name }: { name: string }): Promise<boolean> => {
    const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
    const running = digText(await kube.get(path), 'status', 'phase') === 'Running';
    const { body } = await kube.send({ method: 'GET', path: `${path}/log` });
    return running && body.includes('closes in');
  };
  const seen = async (): Promise<boolean> => {
    const closers = (await windowPods()).filter(({ job }) => job.includes('-disabler-'));
    for (const closer of closers) if (await waits(closer)) found = closer.name;
    return found !== '';
  };
  await waitFor(seen, 'a pod waits to close the window', 90_000);
  return found;
}

const cronJobs = async (): Promise<string[]> =>
  (await kube.list(inNamespace('batch/v1', 'cronjobs'))).map(({ metadata }) => digText(metadata, 'name')).sort();

describe('without windows', () => {
  it('a drain takes one server at a time', async () => {
    await apply();
    await allReady();
    const [, node = ''] = await nodeNames();
    const before = await servers();
    const evicted = before.find((pod) => pod.node === node);
    const others = before.filter((pod) => pod.node !== node);
    await setNodes({ [node]: { cordoned: true } }, namespace);
    const drained = drain(node, 60);
    expect(drained).toMatchObject({ exitCode: 0 });
    expect((await servers()).map(({ uid }) => uid)).not.toContain(evicted?.uid);
    expect(others).toHaveLength(2);
    for (const { name } of others) expect(await mayEvict(name)).toEqual(FORBIDDEN);
    await restoreNodes();
    await allReady();
    await untilAllowed(others[0]?.name ?? '');
  });

  it('none is evicted when disruptions are off', async () => {
    await apply({ voluntary_disruptions_enabled: 'false' });
    const before = await servers();
    const [, node = ''] = await nodeNames();
    await setNodes({ [node]: { cordoned: true } }, namespace);
    const drained = drain(node, 5);
    expect(drained.exitCode).not.toBe(0);
    expect(drained.printed).toContain("would violate the pod's disruption budget");
    for (const { name } of before) expect(await mayEvict(name)).toEqual(FORBIDDEN);
    expect((await servers()).map(({ uid }) => uid)).toEqual(before.map(({ uid }) => uid));
  });
});

describe('with windows', () => {
  // An open window of an earlier test would stay open.
  beforeEach(async () => {
    await apply();
  });

  it('evictions wait for a window, which opens on schedule and closes although its closing pod was killed', async () => {
    const length = 90;
    const { opening, schedule } = scheduleSoon();
    await apply(windows(schedule, length));
    await allReady();
    const [{ name: first } = { name: '' }, { name: second } = { name: '' }] = await servers();
    expect(await budget()).toEqual({ maxUnavailable: '0', start: null });
    expect(await mayEvict(first)).toEqual(FORBIDDEN);

    await waitFor(async () => (await budget()).start !== null, 'the window is open', (opening - seconds() + 60) * 1000);
    console.log(`opened ${(seconds() - opening).toFixed(1)} s after its minute`);
    expect(await budget()).toEqual({ maxUnavailable: '1', start: opening });
    await untilAllowed(first);
    expect(await evict(first, { dryRun: false })).toMatchObject({ status: 201 });
    expect(await mayEvict(second)).toEqual(FORBIDDEN);

    const since = new Date();
    const { outputs: again } = await apply(windows(schedule, length));
    expect(again.changed).toBe('false');
    if (hasAuditLog()) expect(await auditWrites(since, { userAgent: 'kube-nats-action/' })).toEqual([]);
    expect(await budget()).toEqual({ maxUnavailable: '1', start: opening });

    const closer = await waitingCloser();
    await kube.delete(`/api/v1/namespaces/${namespace}/pods/${closer}?gracePeriodSeconds=0`);
    const gone = async (): Promise<boolean> => (await windowPods()).every(({ name }) => name !== closer);
    await waitFor(gone, `${closer} is gone`, 20_000);
    expect(await budget()).toEqual({ maxUnavailable: '1', start: opening });
    const late = await closing(opening + length);
    console.log(`closed ${late.toFixed(1)} s after its end, its closing pod killed`);
    expect(late).toBeGreaterThanOrEqual(-CLOCKS);
    expect(late).toBeLessThanOrEqual(PROMISED + CLOCKS);
    await allReady();
    expect(await mayEvict(first)).toEqual(FORBIDDEN);
  });

  it('one that is opened by hand, as documented, closes at its end', async () => {
    await apply(quietWindows(60));
    const [enabler = ''] = (await cronJobs()).filter((name) => name.includes('-enabler-'));
    const [open = ''] = documented(/^kubectl .* create job .*$/m);
    expect(open).toContain('disruption-window-enabler-');
    const command = open.replace('messaging', namespace).replace(/disruption-window-enabler-\w+/, enabler);
    expect(shell(command.replace('kubectl', kubectlProgram))).toMatchObject({ exitCode: 0 });
    await waitFor(async () => (await budget()).start !== null, 'the window is open', 30_000);
    const { start, maxUnavailable } = await budget();
    expect(maxUnavailable).toBe('1');
    const late = await closing((start ?? 0) + 60);
    console.log(`closed ${late.toFixed(1)} s after its end`);
    expect(late).toBeGreaterThanOrEqual(-CLOCKS);
    expect(late).toBeLessThanOrEqual(PROMISED + CLOCKS);
  });

  it('one that another tool opened is closed at the next full minute when it is over, and then it is of this action alone', async () => {
    await apply(quietWindows(3600));
    const path = inNamespace('policy/v1', `poddisruptionbudgets/${outputs.name}`);
    await kube.patch(path, {
      spec: { maxUnavailable: 1 },
      metadata: { annotations: { [`${WINDOW}-start`]: `${Math.floor(seconds())}` } },
    });
    const [end = ''] = documented(/^kubectl .* annotate .*$/m);
    expect(end).toContain('nats-1a2b3c4d');
    const command = end.replace('messaging', namespace).replace('nats-1a2b3c4d', outputs.name ?? '');
    expect(shell(command.replace('kubectl', kubectlProgram))).toMatchObject({ exitCode: 0 });
    expect(await budget()).toEqual({ maxUnavailable: '1', start: 0 });
    await closing(seconds());
    expect((await apply(quietWindows(3600))).outputs.changed).toBe('false');
  });

  it('their account may read and patch this budget, and nothing else', async () => {
    await apply(quietWindows(60));
    const [account = ''] = (await kube.list(`/api/v1/namespaces/${namespace}/serviceaccounts`))
      .map(({ metadata }) => digText(metadata, 'name'))
      .filter((name) => name.startsWith('disruption-window-'));
    const may = async (verb: string, name: string, resource = 'poddisruptionbudgets', group = 'policy') => {
      const review = {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: {
          user: `system:serviceaccount:${namespace}:${account}`,
          groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
          resourceAttributes: { namespace, verb, group, resource, name },
        },
      };
      const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
      return dig(await kube.call({ method: 'POST', path, body: review }), 'status', 'allowed');
    };
    const own = outputs.name ?? '';
    for (const verb of ['get', 'patch']) expect([verb, await may(verb, own)]).toEqual([verb, true]);
    for (const verb of ['update', 'delete', 'create', 'list'])
      expect([verb, await may(verb, own)]).toEqual([verb, false]);
    expect(await may('patch', 'another')).toBe(false);
    expect(await may('get', own, 'statefulsets', 'apps')).toBe(false);
    expect(await may('get', 'any', 'secrets', '')).toBe(false);
  });

  it('switched off, nothing of them is left', async () => {
    await apply(quietWindows(60));
    expect(await cronJobs()).toHaveLength(2);
    await apply();
    for (const path of [
      inNamespace('batch/v1', 'cronjobs'),
      inNamespace('rbac.authorization.k8s.io/v1', 'roles'),
      inNamespace('rbac.authorization.k8s.io/v1', 'rolebindings'),
      `/api/v1/namespaces/${namespace}/serviceaccounts`,
    ]) {
      const names = (await kube.list(path)).map(({ metadata }) => digText(metadata, 'name'));
      expect(names.filter((name) => name.startsWith('disruption-window-'))).toEqual([]);
    }
    const { metadata, spec } = await kube.get(inNamespace('policy/v1', `poddisruptionbudgets/${outputs.name}`));
    expect(digText(spec, 'maxUnavailable')).toBe('1');
    expect(JSON.stringify([dig(metadata, 'labels'), dig(metadata, 'annotations')])).not.toContain(WINDOW);
    const [{ name } = { name: '' }] = await servers();
    await untilAllowed(name);
    const noPods = async (): Promise<boolean> => (await windowPods()).length === 0;
    await waitFor(noPods, 'the pods of the windows are gone', 60_000);
  });
});

/** The commands in the page about disruptions that match. */
function documented(pattern: RegExp): string[] {
  return readFileSync('docs/disruptions.md', 'utf8').match(pattern) ?? [];
}

describe('a budget of your own, by the steps of examples/maintenance.yml', () => {
  const directory = mkdtempSync(join(tmpdir(), 'maintenance-'));
  const environmentFile = join(directory, 'environment');
  beforeAll(() => writeFileSync(environmentFile, ''));
  afterAll(() => rmSync(directory, { recursive: true }));

  /** Runs a step's commands as a runner does, with the variables that earlier steps have set. */
  function runStep(job: Json, step: JsonObject): Execution {
    const context: Values = {
      'secrets.KUBECONFIG': readFileSync(kubeconfig, 'utf8'),
      'steps.nats.outputs.namespace': outputs.namespace ?? '',
      'steps.nats.outputs.match_labels': outputs.match_labels ?? '',
    };
    const given = [dig(job, 'env'), step.env].flatMap((variables) => Object.entries(variables ?? {}));
    const variables = given.map(([name, value]) => [
      name,
      String(value).replace(/\$\{\{ (.*?) \}\}/g, (_, expression: string) => context[expression] ?? ''),
    ]);
    const set = readFileSync(environmentFile, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split('='));
    return run('bash', ['-e', '-o', 'pipefail', '-c', digText(step, 'run')], {
      PATH: `${dirname(kubectlProgram)}:${process.env.PATH}`,
      KUBECONFIG: '/dev/null',
      RUNNER_TEMP: directory,
      GITHUB_ENV: environmentFile,
      ...Object.fromEntries(set),
      ...Object.fromEntries(variables),
    });
  }

  it('blocks every eviction while it stands', async () => {
    await apply();
    await allReady();
    const [{ name } = { name: '' }] = await servers();
    await untilAllowed(name);
    const workflow: Json = JSON.parse(JSON.stringify(load(readFileSync('examples/maintenance.yml', 'utf8'))));
    const job = dig(workflow, 'jobs', 'reindex') ?? null;
    const steps = digObjects(job, 'steps').filter((step) => step.run !== undefined);
    const task = steps.findIndex((step) => step.run === './reindex.sh');
    expect(task).toBe(2);

    for (const step of steps.slice(0, task)) expect(runStep(job, step)).toMatchObject({ exitCode: 0 });
    expect(await mayEvict(name)).toEqual({
      status: 500,
      message: expect.stringContaining('more than one PodDisruptionBudget'),
    });
    for (const step of steps.slice(task + 1)) expect(runStep(job, step)).toMatchObject({ exitCode: 0 });
    await untilAllowed(name);
  });
});

describe('schedules', () => {
  const EXPRESSIONS = [
    ...['0 4 * * *', '*/15 0-6 * * MON,TUE', '5/25 * * * *', '0 4 ? * ?', '0 0 29 2 *', '0 4 1,15 jan-mar fri'],
    ...['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly', '@every 1h30m', '@every 90s'],
    ...['+5 04 * * *', '1,,2 * * * *', '*/100 * * * *', '*-5 * * * *', '0 4 */2 * */1', '59 23 31 12 6', '@every 1.5h'],
    ...['0 4 * *', '0 0 4 * * *', '60 * * * *', '0 24 * * *', '0 4 0 * *', '0 4 32 * *', '0 4 * 0 *', '0 4 * 13 *'],
    ...['0 4 * * 7', '0 4 * * sunday', '0 4 L * *', '0 4 * * 5#2', '0 4 15W * *', '0 22-4 * * *', '0 4 * * fri-mon'],
    ...['*/0 * * * *', '*/-5 * * * *', '*/x * * * *', '1-2-3 * * * *', '*/5/5 * * * *', '-1 * * * *', '1.5 * * * *'],
    ...['@reboot', '@Daily', '@every', '@every 12', '@every 1d', '@every 1h 30m', 'every day', 'CRON_TZ=UTC 0 4 * * *'],
    ...['TZ=Europe/Berlin 0 4 * * *', '0 4 * * * UTC', 'H 4 * * *', '0,30-10 * * * *', '*/5, * * * *', '** * * * *'],
  ];
  /** Kubernetes takes them, and then no window opens, or one a second. */
  const IN_VAIN = ['0 0 30 2 *', '0 0 31 4,6,9,11 *', ', * * * *', '@every 59s', '@every -1h'];

  async function isTaken(schedule: string): Promise<boolean> {
    const template = { spec: { restartPolicy: 'Never', containers: [{ name: 'none', image: 'none:1' }] } };
    const { status, body } = await kube.send({
      method: 'POST',
      path: `${inNamespace('batch/v1', 'cronjobs')}?dryRun=All`,
      body: {
        apiVersion: 'batch/v1',
        kind: 'CronJob',
        metadata: { name: 'schedule', namespace },
        spec: { schedule, jobTemplate: { spec: { template } } },
      },
    });
    if (status !== 201) expect(body).toContain('spec.schedule');
    return status === 201;
  }

  it.each(EXPRESSIONS)('%s is taken or refused as Kubernetes does', async (expression) => {
    expect('schedule' in readCron(expression)).toBe(await isTaken(expression));
  });

  it('both happen', () => {
    const taken = EXPRESSIONS.filter((expression) => 'schedule' in readCron(expression)).length;
    expect(taken).toBeGreaterThan(15);
    expect(EXPRESSIONS.length - taken).toBeGreaterThan(15);
  });

  it.each(IN_VAIN)('%s is refused, although Kubernetes takes it', async (expression) => {
    expect(readCron(expression)).toHaveProperty('flaw');
    expect(await isTaken(expression)).toBe(true);
  });
});
