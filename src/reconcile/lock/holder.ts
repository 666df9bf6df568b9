import type { RunContext, WriteContext } from '../context.ts';

/** A run that only looks, as there was nothing to change, has found something to write all the same. */
export class LockNeeded extends Error {}

/**
 * The run as one that may write.
 *
 * @param doing what it is about to do: "restart nats-2"
 * @throws LockNeeded where it does not hold the lock. Others may be doing the same: what led here is to be looked at again
 *   under the lock, from the start
 */
export function asHolder(context: RunContext, doing: string): WriteContext {
  if (isHolder(context)) return context;
  throw new LockNeeded(doing);
}

/** A context that only looks cannot tell whether the lock is held. */
function isHolder(context: RunContext): context is WriteContext {
  return 'assertHeld' in context;
}
