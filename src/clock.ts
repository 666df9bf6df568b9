/** Time as the run sees it; tests bring their own. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Resolves after the milliseconds; rejects with the signal's reason when the run is cancelled. */
  sleep(milliseconds: number): Promise<void>;
}

export function systemClock(signal: AbortSignal): Clock {
  return {
    now: () => Date.now(),
    sleep: (milliseconds) =>
      new Promise((resolve, reject) => {
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
