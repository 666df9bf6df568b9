import type { KubeClient } from '../../kube/client.ts';
import type { RunContext, WriteContext } from '../context.ts';

/** The context of a run that holds the lock: each of its writes is refused once another run may have taken that. */
export function whileHeld<Context extends RunContext>(
  context: Context,
  kube: KubeClient,
  assertHeld: () => void,
): Context & WriteContext {
  const { vault } = context;
  const checked =
    <Given extends unknown[], Result>(write: (...given: Given) => Promise<Result>) =>
    async (...given: Given): Promise<Result> => {
      assertHeld();
      return write(...given);
    };
  return {
    ...context,
    assertHeld,
    kube: {
      ...kube,
      apply: (object, options) => (options?.dryRun ? kube.apply : checked(kube.apply))(object, options),
      create: checked(kube.create),
      replace: checked(kube.replace),
      patch: checked(kube.patch),
      replaceManagers: checked(kube.replaceManagers),
      remove: checked(kube.remove),
      removeUnchanged: checked(kube.removeUnchanged),
    },
    vault: { ...vault, write: checked(vault.write), delete: checked(vault.delete) },
  };
}
