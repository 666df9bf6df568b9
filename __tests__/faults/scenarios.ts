import type { Scenario } from './exhaustive.ts';

/** The runs that are disturbed. */
export const SCENARIOS: { [name: string]: Scenario } = {
  'a first apply': { before: [], inputs: {} },
  'an upgrade': {
    before: [{ nats_version: '2.12.7' }],
    inputs: { nats_version: '2.14.6', log_level: 'debug', network_policy_enabled: 'false' },
  },
  'a removal': { before: [{}], inputs: { mode: 'destroy', delete_data: 'true' } },
};
