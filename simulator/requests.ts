import type { Json } from '../src/json.ts';

/** One line of the request log. */
export interface RecordedRequest {
  server: ServerName;
  method: string;
  /** Path with query, as it was sent. */
  path: string;
  userAgent: string;
  body: Json | undefined;
  /** Answered status; 0 for a connection that was reset, hung or is not answered yet. */
  status: number;
}

export type ServerName = 'kubernetes' | 'vault';

/** POSTs that ask something, or end the asker's own session, and change nothing that is managed. */
const QUESTIONS =
  /\/selfsubject(access)?reviews|\/v1\/sys\/capabilities-self|\/v1\/auth\/[^?]+\/login|\/v1\/auth\/token\/revoke-self/;

/** The requests that asked for a change of the cluster or of Vault: no reads, dry runs, logins or questions. */
export function writesIn(requests: RecordedRequest[]): RecordedRequest[] {
  return requests.filter(
    ({ method, path }) => method !== 'GET' && !path.includes('dryRun=All') && !QUESTIONS.test(path),
  );
}
