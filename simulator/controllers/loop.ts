/** Runs once; what it does is seen in the store, and brings the next turn. */
export type Controller = () => void;

/** Turns of the controllers: one `step` after a change, and now and then without one. */
export interface ControlLoop {
  /** Something changed that no store tells of. */
  wake(): void;
  stop(): void;
}

const IDLE_STEPS = 10;

/** @param step milliseconds between a change and the turn that sees it */
export function startLoop(controllers: Controller[], step: number): ControlLoop {
  let pending: NodeJS.Timeout | undefined;
  const turn = (): void => {
    pending = undefined;
    for (const run of controllers) {
      run();
    }
  };
  const wake = (): void => {
    pending ??= setTimeout(turn, step);
  };
  const idle = setInterval(wake, step * IDLE_STEPS);
  return {
    wake,
    stop: () => {
      clearInterval(idle);
      clearTimeout(pending);
    },
  };
}
