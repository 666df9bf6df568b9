import type { Inputs } from '../inputs/table.ts';
import type { Versions } from '../nats/versions.ts';
import type { Notice, TargetFacts } from './state.ts';

/** Tells of an older release than the servers run: it was found to take over what is stored, at a price. */
export function downgrade(inputs: Inputs, { server }: Versions, { downgradeFrom }: TargetFacts): Notice[] {
  if (downgradeFrom === null) return [];
  const input = inputs.nats_version === null ? 'helm_version' : 'nats_version';
  const message = `The servers go back from ${downgradeFrom} to ${server}. No stream or consumer uses what ${server} does not know; each server rebuilds its indexes when it starts.`;
  return [{ severity: 'notice', input, message }];
}
