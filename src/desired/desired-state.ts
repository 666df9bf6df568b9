import type { Inputs } from '../inputs/table.ts';
import { clusterNames } from './names.ts';
import type { DesiredState, TargetFacts } from './state.ts';

/**
 * Everything that should exist for one NATS cluster: the same bytes for the same inputs and facts.
 *
 * @throws Problem of kind 'input' for a helm_version or nats_version that is not known
 */
export function desiredState(inputs: Inputs, facts: TargetFacts): DesiredState {
  const names = clusterNames(facts.name, inputs.namespace, facts.immutable?.serviceName);
  return {
    objects: [],
    vault: {
      pkiRoles: [],
      policy: { name: names.vaultPolicy, rules: '' },
      authRole: { path: [], parameters: {} },
    },
    notices: [],
  };
}
