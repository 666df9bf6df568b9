/** Whether a process goes on: what comes to it while it does not is not seen by it, or only later. */
export class Life {
  #gate: Promise<void> | null = null;

  /** Nothing of the process goes on any more. */
  end(): void {
    this.#gate = new Promise(() => {});
  }

  /** The machine sleeps. To call what it returns wakes it. */
  suspend(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gate = promise;
    return () => {
      this.#gate = null;
      resolve();
    };
  }

  /** Resolves at once for a process that runs, later for one that sleeps, never for one that is dead. */
  async goesOn(): Promise<void> {
    while (this.#gate !== null) await this.#gate;
  }

  /** The client, as who lives this life sees it. */
  livedWith<T extends object>(client: T): T {
    return new Proxy(client, {
      get: (target, property) => {
        const method: unknown = Reflect.get(target, property);
        if (typeof method !== 'function') return method;
        return (...given: unknown[]) => {
          const answer: unknown = Reflect.apply(method, target, given);
          if (!(answer instanceof Promise)) return answer;
          return answer.finally(() => this.goesOn());
        };
      },
    });
  }
}
