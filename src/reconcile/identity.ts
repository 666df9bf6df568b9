import { createHash } from 'node:crypto';
import { Problem } from '../problem.ts';

/**
 * The cluster that a run is about, without any state outside the target: the name asked for, else the one cluster that
 * exists in the namespace, else a name that this target and namespace always yield again.
 *
 * @param wanted the input `name`, null when not set
 * @param existing names of the clusters whose inventory is in the namespace
 * @param clusterUid uid of the target's kube-system namespace
 */
export function chooseName(wanted: string | null, existing: string[], clusterUid: string, namespace: string): string {
  if (wanted !== null) return wanted;
  const derived = `nats-${createHash('sha256').update(`${clusterUid}/${namespace}`).digest('hex').slice(0, 8)}`;
  const [only, ...others] = existing;
  if (only === undefined || existing.includes(derived)) return derived;
  if (others.length === 0) return only;
  throw severalProblem(existing, namespace);
}

/**
 * The cluster to remove. Where there are several it has to be named, also where a name is derived: the next run, which may
 * be a repetition, would take another one.
 */
export function chooseRemoved(
  wanted: string | null,
  existing: string[],
  clusterUid: string,
  namespace: string,
): string {
  if (wanted === null && existing.length > 1) throw severalProblem(existing, namespace);
  return chooseName(wanted, existing, clusterUid, namespace);
}

function severalProblem(existing: string[], namespace: string): Problem {
  return new Problem({
    kind: 'input',
    tried: `Finding the NATS cluster in namespace ${namespace}`,
    reason: `There are several: ${existing.toSorted().join(', ')}.`,
    next: 'Set the input name to the one that this step is about.',
  });
}
