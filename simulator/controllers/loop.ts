/** Runs once; what it does is seen in the store, and brings the next turn. */
export type Controller = () => void;

/** Turns of the controllers: one `step` after a change, and now and then without one. */
export interface ControlLoop {
  /** Takes a turn at once. */
  turn(): void;
  /** Something changed that no store tells of. */
  wake(): void;
  stop(): void;
}

const IDLE_STEPS = 10;

/** @param step milliseconds between a change and the turn that sees it; Infinity: there are no turns but those that `turn` takes */
export function startLoop(controllers: Controller[], step: number): ControlLoop {
  let pending: NodeJS.Timeout | undefined;
  const turn = (): void => {
    pending = undefined;
    for (const run of controllers) {
      run();
    }
  };
  const wake = (): void => {
    if (step === Number.POSITIVE_INFINITY) return;
    pending ??= setTimeout(turn, step);
  };
  const idle = step === Number.POSITIVE_INFINITY ? undefined : setInterval(wake, step * IDLE_STEPS);
  return {
    turn,
    wake,
    stop: () => {
      clearInterval(idle);
      clearTimeout(pending);
    },
  };
}
