import { isInsistedOn } from '../inputs/insisted.ts';
import type { Inputs } from '../inputs/table.ts';
import type { KubeObject } from '../kube/object.ts';
import { Problem } from '../problem.ts';
import type { Adaptation } from '../report/run-report.ts';
import { PRIORITY_CLASS } from './preflight.ts';

/** What is used; with an adaptation where that is not what was asked for. */
export interface Choice<T> {
  name: T;
  adaptation: Adaptation | null;
}

/** The StorageClass for new volumes. Throws where the wanted one was insisted on, or nothing can take its place. */
export function chooseStorageClass(inputs: Inputs, classes: KubeObject[]): Choice<string> {
  const wanted = inputs.persistence_storage_class_name;
  const names = classes.map(({ metadata }) => metadata.name);
  if (names.includes(wanted)) return { name: wanted, adaptation: null };
  const standard = classes.find(
    ({ metadata }) => metadata.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true',
  )?.metadata.name;
  const insisted = isInsistedOn(inputs, 'persistence_storage_class_name');
  if (!insisted && standard !== undefined) {
    const adaptation = { wanted: `StorageClass ${wanted}`, instead: `the default class ${standard}` };
    return { name: standard, adaptation };
  }
  throw new Problem({
    kind: 'target',
    tried: `Looking for StorageClass ${wanted}`,
    reason: `It does not exist${insisted ? '' : ', and no class is marked as the default'}.`,
    next: `Set the input persistence_storage_class_name to one that exists: ${names.join(', ') || 'the cluster has none'}. It cannot be changed later.`,
  });
}

/** The PriorityClass of the pods, null for the cluster's default. Throws where adapt is false and it does not exist. */
export function choosePriorityClass(inputs: Inputs, existing: KubeObject | null): Choice<string | null> {
  if (existing !== null) return { name: PRIORITY_CLASS, adaptation: null };
  if (inputs.adapt) {
    return {
      name: null,
      adaptation: { wanted: `PriorityClass ${PRIORITY_CLASS}`, instead: "the cluster's default priority" },
    };
  }
  throw new Problem({
    kind: 'target',
    tried: `Looking for PriorityClass ${PRIORITY_CLASS}`,
    reason: 'It does not exist, and adapt is false.',
    next: `Create it (kubectl create priorityclass ${PRIORITY_CLASS} --value=100000), or set the input adapt: true.`,
  });
}
