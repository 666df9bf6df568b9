import { createHash } from 'node:crypto';
import type { Inputs } from '../inputs/table.ts';
import { isJsonObject } from '../json.ts';
import type { KubeObject } from '../kube/object.ts';
import { windowController } from './disruption/window.ts';
import type { Images } from './images.ts';
import { metadata, selectorLabels } from './labels.ts';
import type { Names } from './names.ts';
import type { TargetFacts } from './state.ts';

/** Label and annotations of the Panfactum module, whose tools find windows by them. */
const WINDOW = 'panfactum.com/voluntary-disruption-window';

/** On the budget of a cluster with windows: whose they are. */
export const WINDOW_ID = `${WINDOW}-id`;

/** On the budget while a window is open: when it opened, in seconds since the epoch. */
export const WINDOW_START = `${WINDOW}-start`;

/** On the budget of a cluster with windows: how long each is open, in seconds. */
const WINDOW_SECONDS = `${WINDOW}-seconds`;

/** Evictions at a time that the budget allows, where it allows any. */
const MAX_UNAVAILABLE = 1;

/** What confines evictions: the budget, and what opens and closes its windows. */
export function disruptions(inputs: Inputs, names: Names, facts: TargetFacts, images: Images): KubeObject[] {
  if (!hasWindows(inputs)) {
    return [disruptionBudget(inputs, names, inputs.voluntary_disruptions_enabled ? MAX_UNAVAILABLE : 0)];
  }
  const id = windowId(names);
  const budget = (start: string | null) => windowedBudget(inputs, names, id, start);
  const annotations = { start: WINDOW_START, seconds: WINDOW_SECONDS };
  return [
    budget(facts.windowStart),
    ...windowController(inputs, names, facts, images.kubectl, { id, annotations, budget }),
  ];
}

/** Whether evictions are allowed at times: always or never leaves no window to open. */
export function hasWindows(inputs: Inputs): boolean {
  return inputs.voluntary_disruptions_enabled && inputs.voluntary_disruption_window_enabled;
}

/** 16 hex digits, the same for the same cluster. */
function windowId({ namespace, cluster }: Names): string {
  return createHash('sha256').update(`${namespace}/${cluster}`).digest('hex').slice(0, 16);
}

/** A server that is not healthy never blocks the drain of its node. */
function disruptionBudget(inputs: Inputs, names: Names, maxUnavailable: number): KubeObject {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: metadata(inputs, names, names.cluster),
    spec: {
      maxUnavailable,
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
      selector: { matchLabels: selectorLabels(names.cluster) },
    },
  };
}

/** The budget in a window that opened at `start`, or outside of windows (null). */
function windowedBudget(inputs: Inputs, names: Names, id: string, start: string | null): KubeObject {
  const { metadata, ...budget } = disruptionBudget(inputs, names, 0);
  const windowed = {
    ...budget,
    metadata: {
      ...metadata,
      labels: { ...metadata.labels, [WINDOW_ID]: id },
      annotations: {
        [`${WINDOW}-max-unavailable`]: `${MAX_UNAVAILABLE}`,
        [WINDOW_SECONDS]: `${inputs.voluntary_disruption_window_seconds}`,
      },
    },
  };
  return inWindow(windowed, start);
}

/** Whether it is the budget of a cluster with windows: that of one without is the same at any time. */
export function hasWindowsIn({ metadata }: KubeObject): boolean {
  return metadata.annotations?.[WINDOW_SECONDS] !== undefined;
}

/**
 * The budget of a cluster with windows as it is in one that opened at `start`, or outside of windows (null). Any other
 * object is as it was.
 */
export function inWindow(object: KubeObject, start: string | null): KubeObject {
  const { [WINDOW_START]: _before, ...annotations } = object.metadata.annotations ?? {};
  if (!hasWindowsIn(object) || !isJsonObject(object.spec)) return object;
  return {
    ...object,
    metadata: { ...object.metadata, annotations: { ...annotations, ...(start ? { [WINDOW_START]: start } : {}) } },
    spec: { ...object.spec, maxUnavailable: start ? MAX_UNAVAILABLE : 0 },
  };
}
