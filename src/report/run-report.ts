import type { Notice } from '../desired/state.ts';
import type { OutputName } from '../inputs/table.ts';

/** Step outputs that are known by now. */
export type Outputs = { [Name in OutputName]?: string };

/** What a default asks for and the target lacks, and what is used instead. */
export interface Adaptation {
  wanted: string;
  instead: string;
}

/** One thing that a run wrote. */
export interface Change {
  action: 'create' | 'update' | 'adopt' | 'delete';
  /** "StatefulSet demo/nats-1a2b3c4d", "Vault pki/internal/roles/nats-admin-nats-1a2b3c4d" */
  object: string;
  fields: string[];
}

/** What a plan came to; the diff itself is an output. */
export interface PlanOutcome {
  /** "2 to create, 1 to update" */
  counts: string;
  /** What stands in the way of an apply, a line each. */
  findings: string[];
}

/** What a run found and did. It grows while the run goes on, so that a failed one tells how far it came. */
export interface RunReport {
  adaptations: Adaptation[];
  notices: Notice[];
  changes: Change[];
  /** What the run has still to write: empty once it has. */
  unwritten: string[];
  outputs: Outputs;
  /** What an apply would change; null where this run is one, or did not come so far. */
  plan: PlanOutcome | null;
  /** Whether the cluster was waited for and found whole. */
  verified: boolean;
  /** JetStream's meta leader; '' before it is verified, and for a single server. */
  leader: string;
  /** How it ended, in a sentence, where that is not the cluster's health. */
  conclusion: string;
}

export function emptyReport(): RunReport {
  return {
    adaptations: [],
    notices: [],
    changes: [],
    unwritten: [],
    outputs: {},
    plan: null,
    verified: false,
    leader: '',
    conclusion: '',
  };
}
