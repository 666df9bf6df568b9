import { desiredState } from '../../src/desired/desired-state.ts';
import type { DesiredState, ImmutableFields, TargetFacts } from '../../src/desired/state.ts';
import type { Inputs } from '../../src/inputs/table.ts';
import { isJsonObject, type Json } from '../../src/json.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import { inputsWith } from '../inputs/inputs-with.ts';

export const NAME = 'nats-1a2b3c4d';

export const FRESH: TargetFacts = {
  name: NAME,
  storageClassName: 'ebs-standard-retained',
  priorityClassName: 'workload-important',
  verticalPodAutoscaler: false,
  hasKarpenter: false,
  hasZones: true,
  immutable: null,
  claims: [],
  imageCaches: [],
  windowStart: null,
  running: null,
  downgradeFrom: null,
  volumeBytes: null,
  adopted: false,
  clusterUid: '6f8bb0a5-7a0c-4d0a-9d86-1f6e5a3c9b11',
};

/** A StatefulSet as the chart bitnami/nats made it. */
export const CHART_MADE: ImmutableFields = {
  podManagementPolicy: 'OrderedReady',
  serviceName: `${NAME}-headless`,
  selector: { matchLabels: { 'app.kubernetes.io/instance': NAME, 'app.kubernetes.io/name': 'nats', tier: 'bus' } },
  volumeClaimTemplates: [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data' },
      spec: {
        accessModes: ['ReadWriteOnce'],
        resources: { requests: { storage: '5Gi' } },
        storageClassName: 'gp3',
        volumeMode: 'Filesystem',
      },
      status: { phase: 'Pending' },
    },
  ],
};

export function stateWith(overrides: Partial<Inputs> = {}, facts: Partial<TargetFacts> = {}): DesiredState {
  return desiredState(inputsWith(overrides), { ...FRESH, ...facts });
}

export function objectIn(state: DesiredState, kind: string, name = NAME): KubeObject {
  const found = state.objects.find((object) => object.kind === kind && object.metadata.name === name);
  if (!found) throw new Error(`There is no ${kind} ${name}`);
  return found;
}

export function natsConfIn(state: DesiredState): string {
  return String(valueAt(objectIn(state, 'ConfigMap'), 'data', 'nats.conf'));
}

/** The value at a path of keys and indexes; undefined where there is none. */
export function valueAt(value: Json | undefined, ...path: (string | number)[]): Json | undefined {
  return path.reduce<Json | undefined>((at, key) => {
    if (typeof key === 'number') return Array.isArray(at) ? at[key] : undefined;
    return isJsonObject(at) ? at[key] : undefined;
  }, value);
}

export function podTemplate(state: DesiredState): Json | undefined {
  return valueAt(objectIn(state, 'StatefulSet'), 'spec', 'template');
}

/** The container of that name in the pods of a state; undefined where there is none. */
export function containerIn(state: DesiredState, name: string): Json | undefined {
  const containers = valueAt(podTemplate(state), 'spec', 'containers');
  return Array.isArray(containers) ? containers.find((container) => valueAt(container, 'name') === name) : undefined;
}
