/** The kinds of failure a run can end with; the log and the summary lead with them. */
export type ProblemKind =
  | 'input'
  | 'connection'
  | 'permission'
  | 'target'
  | 'conflict'
  | 'vault'
  | 'timeout'
  | 'unhealthy'
  | 'cancelled';

export interface ProblemDetails {
  kind: ProblemKind;
  /** What was tried, on which object: "Reading Vault PKI role nats-admin-x at pki/internal". */
  tried: string;
  /** Why it failed, in the words of who refused it. */
  reason: string;
  /** The next step for the person who reads the log. */
  next: string;
}

/**
 * A failure that a user can act on. It is printed once, without a stack trace; every other Error that escapes a run is
 * a defect of this action.
 */
export class Problem extends Error {
  readonly details: ProblemDetails;

  constructor(details: ProblemDetails) {
    super(`${details.tried}: ${details.reason} ${details.next}`);
    this.name = 'Problem';
    this.details = details;
  }
}
