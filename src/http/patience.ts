/** How long answers are waited for; milliseconds. */
export interface Patience {
  kubernetes: ServerPatience;
  vault: ServerPatience;
  /** For reaching a pod, and again for its answer. */
  pod: number;
}

export interface ServerPatience {
  /** For the answer to one request. */
  request: number;
  /** From the first attempt on, as long as another may begin. */
  retries: number;
}

/** A dead server is told within 30 s. */
export const PATIENCE: Patience = {
  kubernetes: { request: 12_000, retries: 15_000 },
  vault: { request: 10_000, retries: 10_000 },
  pod: 5_000,
};

/** For what a cancelled run still gives back: all of it has to fit into seconds. */
export const LEAVING: Patience = {
  kubernetes: { request: 1_000, retries: 500 },
  vault: { request: 1_000, retries: 500 },
  pod: 0,
};
