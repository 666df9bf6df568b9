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
  | 'drift'
  | 'cancelled';

export interface ProblemDetails {
  kind: ProblemKind;
  /** What was tried, on which object: "Reading Vault PKI role nats-admin-x at pki/internal". */
  tried: string;
  /** Why it failed, in the words of who refused it. */
  reason: string;
  /** Each thing that is wrong, a sentence of one line, where there can be several. */
  findings?: string[];
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
    const tidied = { ...details, reason: oneSentence(details.reason) };
    super(messageOf(tidied));
    this.name = 'Problem';
    this.details = tidied;
  }
}

/** Whether somebody ended the run, rather than something that failed. */
export function isCancelled(error: unknown): boolean {
  return error instanceof Problem && error.details.kind === 'cancelled';
}

/** What others said may bring line breaks, and a full stop of its own before ours. */
function oneSentence(words: string): string {
  return words
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/ \.$/, '.')
    .replace(/([.!?])\.$/, '$1');
}

function messageOf({ tried, reason, findings = [], next }: ProblemDetails): string {
  if (findings.length === 0) return `${tried}: ${reason} ${next}`;
  return [`${tried}: ${reason}`, ...findings.map((finding) => `  - ${finding}`), next].join('\n');
}

/** The words of whatever was thrown. */
export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
