import type { Inputs } from './inputs/table.ts';
import { apply } from './modes/apply.ts';
import { destroy } from './modes/destroy.ts';
import type { Mode, RunPorts } from './modes/mode.ts';
import { plan } from './modes/plan.ts';
import type { RunReport } from './report/run-report.ts';

const MODES: { [mode in Inputs['mode']]: Mode } = { apply, plan, destroy };

/** Does what the inputs ask for. Rejects with a Problem; `report` tells how far it came. */
export async function run(inputs: Inputs, ports: RunPorts, report: RunReport): Promise<void> {
  await MODES[inputs.mode](inputs, ports, report);
}
