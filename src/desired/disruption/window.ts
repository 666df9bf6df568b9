import { readCron } from '../../inputs/cron.ts';
import type { Inputs } from '../../inputs/table.ts';
import type { JsonObject } from '../../json.ts';
import type { KubeObject } from '../../kube/object.ts';
import { MANAGER } from '../../manager.ts';
import { commonLabels, type Labels, metadata } from '../labels.ts';
import type { Names } from '../names.ts';
import { quantity } from '../quantity.ts';
import { panfactumPodLabels, tolerations } from '../scheduling.ts';
import type { TargetFacts } from '../state.ts';
import { DISABLER_SCRIPT, ENABLER_SCRIPT } from './scripts.ts';

/** What the windows of one budget are like. */
export interface Window {
  /** Of the CronJobs, in their names: 16 hex digits. */
  id: string;
  /** The budget's annotations: when the open window opened, and how long each is open. */
  annotations: { start: string; seconds: string };
  /** The budget in a window that opened at `start` (seconds since the epoch), or outside of windows (null). */
  budget: (start: string | null) => KubeObject;
}

/** The user `nobody`: kubectl needs none of its own. */
const UID = 65534;

/** Seconds within which a Job of the disabler is done, or has been followed by others: two that wait, and a margin. */
const DISABLER_DEADLINE = 180;

/** One of the two CronJobs: what differs between them. */
interface Task {
  /** Of the CronJob. */
  name: string;
  /** Of the container. */
  container: string;
  spec: JsonObject;
  deadline: number;
  script: string;
  env: JsonObject[];
}

/**
 * The CronJob that opens windows, the one that closes them, and their right to change the budget and nothing else. They
 * apply it whole, as this action does and by the same manager: so a run and they never quarrel over a field.
 */
export function windowController(
  inputs: Inputs,
  names: Names,
  facts: TargetFacts,
  image: string,
  window: Window,
): KubeObject[] {
  const account = `disruption-window-${window.id}`;
  const cronJob = (task: Task): KubeObject => ({
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: metadata(inputs, names, task.name),
    spec: cronJobSpec(inputs, names, task, {
      serviceAccountName: account,
      ...podSpec(inputs, facts),
      containers: [container(task, image)],
    }),
  });
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: metadata(inputs, names, account) },
    role(inputs, names, account),
    roleBinding(inputs, names, account),
    cronJob(enabler(inputs, names, window)),
    cronJob(disabler(names, window)),
  ];
}

function role(inputs: Inputs, names: Names, name: string): KubeObject {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: metadata(inputs, names, name),
    rules: [
      {
        apiGroups: ['policy'],
        resources: ['poddisruptionbudgets'],
        resourceNames: [names.cluster],
        verbs: ['get', 'patch'],
      },
    ],
  };
}

function roleBinding(inputs: Inputs, names: Names, name: string): KubeObject {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: metadata(inputs, names, name),
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
    subjects: [{ kind: 'ServiceAccount', name, namespace: names.namespace }],
  };
}

/**
 * A window that could not open in time opens late, as long as it lasts: after that neither a Job nor its pod is of use.
 * A pod that is stuck makes way for the next window's.
 */
function enabler(inputs: Inputs, names: Names, window: Window): Task {
  const name = `disruption-window-enabler-${window.id}`;
  const seconds = inputs.voluntary_disruption_window_seconds;
  const schedule = inputs.voluntary_disruption_window_cron_schedule;
  return {
    name,
    container: 'enabler',
    spec: { schedule, concurrencyPolicy: 'Replace', startingDeadlineSeconds: seconds },
    deadline: seconds,
    script: ENABLER_SCRIPT,
    env: [
      ...budgetEnv(names, window, '@START@'),
      { name: 'CRON_JOB', value: name },
      { name: 'JOB_NAME', valueFrom: { fieldRef: { fieldPath: "metadata.labels['batch.kubernetes.io/job-name']" } } },
      { name: 'LENGTH', value: `${seconds}` },
      { name: 'SLACK', value: isOnTheMinute(schedule) ? '0' : '59' },
    ],
  };
}

/** An interval starts at any second, and the Job's name tells the minute only. */
function isOnTheMinute(schedule: string): boolean {
  const reading = readCron(schedule);
  return 'schedule' in reading && reading.schedule.kind === 'calendar';
}

/**
 * Each minute, as a window may end in any. Jobs may overlap: one that waits for the end is not killed by the next, and
 * one that is stuck does not keep the next from closing. What a later Job does anyway needs no late start.
 */
function disabler(names: Names, window: Window): Task {
  return {
    name: `disruption-window-disabler-${window.id}`,
    container: 'disabler',
    spec: { schedule: '* * * * *', concurrencyPolicy: 'Allow', startingDeadlineSeconds: 60 },
    deadline: DISABLER_DEADLINE,
    script: DISABLER_SCRIPT,
    env: [...budgetEnv(names, window, null), { name: 'START_ANNOTATION', value: window.annotations.start }],
  };
}

function budgetEnv(names: Names, { budget, annotations }: Window, start: string | null): JsonObject[] {
  const { metadata, ...rest } = budget(start);
  const manifest = { ...rest, metadata: { ...metadata, resourceVersion: '@VERSION@' } };
  const annotation = (key: string) => `{.metadata.annotations.${key.replaceAll('.', '\\.')}}`;
  const values = {
    BUDGET: names.cluster,
    NAMESPACE: names.namespace,
    MANIFEST: JSON.stringify(manifest),
    MANAGER,
    LOOK: `{.metadata.resourceVersion}|${annotation(annotations.seconds)}|${annotation(annotations.start)}`,
  };
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}

/** UTC is stated, or it would be the time zone of the cluster's controllers. */
function cronJobSpec(inputs: Inputs, names: Names, task: Task, pod: JsonObject): JsonObject {
  return {
    ...task.spec,
    timeZone: 'Etc/UTC',
    successfulJobsHistoryLimit: 1,
    failedJobsHistoryLimit: 1,
    jobTemplate: {
      metadata: { labels: podLabels(inputs, names, task.name) },
      spec: {
        activeDeadlineSeconds: task.deadline,
        backoffLimit: 6,
        // Of those made by hand.
        ttlSecondsAfterFinished: 3600,
        template: {
          metadata: {
            labels: podLabels(inputs, names, task.name),
            annotations: { 'linkerd.io/inject': 'disabled' },
          },
          spec: pod,
        },
      },
    },
  };
}

/** Not those of the servers' pods, or the budget and the Services would take these for servers. */
function podLabels(inputs: Inputs, names: Names, task: string): Labels {
  return {
    ...commonLabels(inputs, names.cluster),
    'app.kubernetes.io/name': 'disruption-window',
    ...panfactumPodLabels(inputs, task),
  };
}

function podSpec(inputs: Inputs, { priorityClassName }: TargetFacts): JsonObject {
  return {
    enableServiceLinks: false,
    restartPolicy: 'Never',
    // A shell that waits does not listen to signals.
    terminationGracePeriodSeconds: 5,
    ...(priorityClassName === null ? {} : { priorityClassName }),
    securityContext: {
      runAsNonRoot: true,
      runAsUser: UID,
      runAsGroup: UID,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    tolerations: tolerations(inputs),
  };
}

function container({ container: name, script, env }: Task, image: string): JsonObject {
  return {
    name,
    image,
    imagePullPolicy: 'IfNotPresent',
    command: ['/bin/sh', '-c', script],
    env,
    resources: { requests: { cpu: '5m', memory: quantity(64) }, limits: { memory: quantity(128) } },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
  };
}
