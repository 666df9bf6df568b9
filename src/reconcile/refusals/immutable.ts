import { selectorLabels } from '../../desired/labels.ts';
import type { ImmutableFields } from '../../desired/state.ts';
import { dataTemplate } from '../../desired/storage.ts';
import { isInsistedOn } from '../../inputs/insisted.ts';
import type { Inputs } from '../../inputs/table.ts';
import { digText } from '../../json.ts';
import { Problem } from '../../problem.ts';

/** A field of a StatefulSet that Kubernetes lets nobody change. */
interface FixedField {
  /** What is wrong with the live value; null: it can stay. */
  flaw: (live: ImmutableFields, inputs: Inputs, name: string) => string | null;
  next: (name: string, namespace: string) => string;
}

const MOVE =
  'Set the input back, or make a cluster of another name and move the data (nats stream backup, nats stream restore): see docs/storage.md.';

const MAKE_ANEW = (name: string, namespace: string) =>
  `Somebody made the StatefulSet anew: have this action make it again (kubectl -n ${namespace} delete statefulset ${name} --cascade=orphan, run again, then delete its old pods one at a time); the volumes stay.`;

const FIXED_FIELDS: FixedField[] = [
  {
    flaw(live, inputs) {
      const actual = digText(dataTemplate(live), 'spec', 'storageClassName');
      const wanted = inputs.persistence_storage_class_name;
      if (actual === '' || actual === wanted || !isInsistedOn(inputs, 'persistence_storage_class_name')) return null;
      return `persistence_storage_class_name is ${wanted}, and the volumes were made with ${actual}`;
    },
    next: () => MOVE,
  },
  {
    flaw({ selector }, _, name) {
      const wanted = Object.entries(selectorLabels(name));
      const [other] = wanted.filter(([key, value]) => ![value, ''].includes(digText(selector, 'matchLabels', key)));
      if (other === undefined) return null;
      const [key, value] = other;
      return `spec.selector selects ${key}=${digText(selector, 'matchLabels', key)}, and the Services of the cluster ${key}=${value}`;
    },
    next: MAKE_ANEW,
  },
  {
    flaw: ({ serviceName }, _, name) =>
      serviceName === '' || serviceName === name
        ? `spec.serviceName is ${JSON.stringify(serviceName)}, and the servers need a headless Service of their own`
        : null,
    next: MAKE_ANEW,
  },
];

/** Refuses what a live StatefulSet would have to be made anew for, before anything is written. */
export function checkImmutable(inputs: Inputs, name: string, live: ImmutableFields): void {
  const flaws = FIXED_FIELDS.flatMap(({ flaw, next }) => {
    const words = flaw(live, inputs, name);
    return words === null ? [] : [{ words, next: next(name, inputs.namespace) }];
  });
  if (flaws.length === 0) return;
  throw new Problem({
    kind: 'target',
    tried: `Comparing StatefulSet ${inputs.namespace}/${name} with what it should be`,
    reason: 'Kubernetes lets nobody change this of a StatefulSet that exists; nothing was written.',
    findings: flaws.map(({ words }) => words),
    next: [...new Set(flaws.map((flaw) => flaw.next))].join(' '),
  });
}
