import type { RecordedRequest } from './http.ts';

/** POSTs that ask something, or end the asker's own session, and change nothing that is managed. */
const QUESTIONS =
  /\/selfsubjectaccessreviews|\/v1\/sys\/capabilities-self|\/v1\/auth\/[^?]+\/login|\/v1\/auth\/token\/revoke-self/;

/** The requests that asked for a change of the cluster or of Vault: no reads, dry runs, logins or questions. */
export function writesIn(requests: RecordedRequest[]): RecordedRequest[] {
  return requests.filter(
    ({ method, path }) => method !== 'GET' && !path.includes('dryRun=All') && !QUESTIONS.test(path),
  );
}
