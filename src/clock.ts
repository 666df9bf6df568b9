/** Time as the run sees it; tests bring their own. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Resolves after the milliseconds; rejects when the run is cancelled, or `needless` aborted, with the reason. */
  sleep(milliseconds: number, needless?: AbortSignal): Promise<void>;
}

export function systemClock(cancelled: AbortSignal): Clock {
  return {
    now: () => Date.now(),
    sleep: (milliseconds, needless) =>
      new Promise((resolve, reject) => {
        const signal = needless === undefined ? cancelled : AbortSignal.any([cancelled, needless]);
        signal.throwIfAborted();
        const cancel = () => {
          clearTimeout(timer);
          reject(signal.reason);
        };
        const timer = setTimeout(() => {
          signal.removeEventListener('abort', cancel);
          resolve();
        }, milliseconds);
        signal.addEventListener('abort', cancel, { once: true });
      }),
  };
}

/** Milliseconds by which this machine's clock may differ from those of the cluster and of Vault. */
export const CLOCK_SKEW = 60_000;
