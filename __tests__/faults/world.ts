import { type Simulator, type SimulatorOptions, startSimulator } from '../../simulator/simulator.ts';
import { type Outcome, startProcess } from './process.ts';
import { VirtualTime } from './virtual-time.ts';

export interface Values {
  [input: string]: string;
}

/** A Kubernetes without NATS and a Vault, in a time of their own. */
export interface World {
  simulator: Simulator;
  time: VirtualTime;
  /** What every run is given. */
  inputs: Values;
}

/** What a world has beside what a plain one has. */
export interface Furniture {
  options: SimulatorOptions;
  furnish: (simulator: Simulator) => void;
}

export async function startWorld(furniture?: Furniture): Promise<World> {
  VirtualTime.start();
  const simulator = await startSimulator({ speed: 0, ...furniture?.options });
  const time = new VirtualTime(simulator);
  furniture?.furnish(simulator);
  time.pass(60_000);
  const approle = simulator.vault.namespace().auth.get('approle');
  approle?.roles.set('deployer', { token_policies: ['root'], token_ttl: 3600 });
  approle?.roleIds.set('role-id', 'deployer');
  approle?.secretIds.add('secret-id');
  const inputs = {
    name: 'nats',
    kubeconfig: simulator.kubeconfig,
    create_namespace: 'true',
    vault_auth_method: 'approle',
    vault_role: '',
    vault_role_id: 'role-id',
    vault_secret_id: 'secret-id',
  };
  return { simulator, time, inputs };
}

/** A run that nothing disturbs, and that has to succeed. */
export async function undisturbed({ time, inputs }: World, values: Values): Promise<void> {
  const outcome = await time.during(startProcess(time, { ...inputs, ...values }).ended);
  if (outcome.end !== 'done') throw new Error(`the undisturbed run ${wordsOf(outcome)}`);
}

export function wordsOf(outcome: Outcome): string {
  return outcome.end === 'failed' ? `fails: ${outcome.error}` : outcome.end;
}
