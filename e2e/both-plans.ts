import type { Values } from '../simulator/runner.ts';
import { systemClock } from '../src/clock.ts';
import { openConnections } from '../src/connections.ts';
import { parseInputs } from '../src/inputs/parse.ts';
import type { Inputs } from '../src/inputs/table.ts';
import { open } from '../src/modes/opening.ts';
import type { Plan } from '../src/reconcile/plan/plan.ts';
import { emptyReport } from '../src/report/run-report.ts';

/** What a plan by reading alone and one by dry runs say, a line for each object with the fields that differ. */
export async function bothPlans(inputs: Values): Promise<{ reading: string[]; dryRun: string[] }> {
  const [reading, dryRun] = await Promise.all([compared('plan', inputs), compared('apply', inputs)]);
  return { reading: linesOf(reading), dryRun: linesOf(dryRun) };
}

/** The comparison that a run of the mode makes. */
async function compared(mode: Inputs['mode'], values: Values): Promise<Plan> {
  const named = Object.entries({ ...values, mode }).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]);
  const env = Object.fromEntries(named);
  const { inputs } = parseInputs(env);
  const clock = systemClock(new AbortController().signal);
  const connections = openConnections(inputs, env, { clock, userAgent: 'e2e', progress: () => {}, mask: () => {} });
  const ports = {
    ...connections,
    clock,
    loginPorts: { idToken: async () => '', readFile: async () => '' },
    onLogin: () => {},
    setOutputs: () => {},
    log: { info: () => {}, group: () => {}, notice: () => {}, warning: () => {} },
    redact: (text: string) => text,
    deployment: { actionVersion: '', repository: '', commit: '', runUrl: '' },
    holder: 'e2e',
  };
  try {
    return (await open(inputs, ports, emptyReport())).plan;
  } finally {
    connections.close();
  }
}

/** "update ConfigMap demo/nats data.nats.conf" */
function linesOf({ objects, prune, vault, inventory }: Plan): string[] {
  const changes = objects.map(({ action, object: { kind, metadata }, fields }) => {
    const paths = fields.map(({ path }) => path).sort();
    return [action, kind, `${metadata.namespace}/${metadata.name}`, ...paths].join(' ');
  });
  const removals = prune.map(({ kind, metadata }) => `delete ${kind} ${metadata.name}`);
  const ofVault = vault.map(({ action, path, fields }) =>
    [action, ...path, ...fields.map(({ name }) => name)].join(' '),
  );
  return [...changes, ...removals, ...ofVault, ...(inventory.current ? [] : ['update the inventory'])].sort();
}
