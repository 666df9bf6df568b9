import { hasWindowsIn, WINDOW_START } from '../../desired/disruption.ts';
import { type ApplyOptions, describe } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { Problem } from '../../problem.ts';
import type { WriteContext } from '../context.ts';

const MOST_ATTEMPTS = 5;

/**
 * Applies the PodDisruptionBudget as it was read: a window that its CronJobs opened or closed since the comparison would
 * be undone otherwise, and the next may be a day away; where no windows are wanted any more, one that is open ends by that. Resolves to false, with nothing written, where one did: another
 * comparison has to settle it.
 */
export async function writeBudget(context: WriteContext, budget: KubeObject, options: ApplyOptions): Promise<boolean> {
  const { kube, log } = context;
  const { namespace, name } = budget.metadata;
  for (let attempt = 1; ; attempt++) {
    const live = await kube.get('PodDisruptionBudget', namespace, name);
    if (hasWindowsIn(budget) && startOf(live) !== startOf(budget)) {
      log.info('A disruption window opened or closed meanwhile: comparing the budget again');
      return false;
    }
    context.assertHeld();
    try {
      await kube.apply(live === null ? budget : readAs(budget, live), options);
      return true;
    } catch (error) {
      const isStale = error instanceof Problem && error.details.kind === 'conflict';
      if (!isStale || attempt === MOST_ATTEMPTS) throw error;
      log.info(`${describe(budget.kind, namespace, name)} changed meanwhile: reading it again`);
    }
  }
}

function startOf(budget: KubeObject | null): string | undefined {
  return budget?.metadata.annotations?.[WINDOW_START];
}

/** The budget for the version that was read alone. */
function readAs(budget: KubeObject, live: KubeObject): KubeObject {
  return { ...budget, metadata: { ...budget.metadata, resourceVersion: String(live.metadata.resourceVersion) } };
}
