/**
 * The action on a laptop: runs dist/main.cjs and dist/post.cjs as a runner would, against the simulator. Three runs: from
 * nothing, the same again, and with one input changed.
 */
import { runMain, runPost, type Values } from '../e2e/action.ts';
import { isWrite } from './http.ts';
import { type Simulator, startSimulator } from './simulator.ts';

const DEMO_INPUTS = { namespace: 'demo', name: 'demo', create_namespace: 'true' };

async function demo(): Promise<void> {
  const simulator = await startSimulator();
  try {
    const inputs = { ...DEMO_INPUTS, ...connection(simulator) };
    await show(simulator, 'A cluster from nothing', inputs);
    await show(simulator, 'The same inputs again', inputs);
    await show(simulator, 'One input changed: log_level debug', { ...inputs, log_level: 'debug' });
  } finally {
    await simulator.close();
  }
}

function connection({ kubeconfig, vaultToken }: Simulator): Values {
  return { kubeconfig, vault_auth_method: 'token', vault_token: vaultToken };
}

/** Runs the action once, and prints what a workflow's page would show of it. */
async function show(simulator: Simulator, title: string, inputs: Values): Promise<void> {
  const before = simulator.requests.length;
  const main = await runMain(inputs);
  const post = await runPost(inputs, main.state);
  const requests = simulator.requests.slice(before);
  const outputs = Object.entries(main.outputs).map(([name, value]) => `  ${name}=${value}`);
  section(title, main.log);
  section('Outputs', outputs.join('\n'));
  section('Job summary', main.summary);
  section('Post step', post.log);
  const writes = requests.filter(isWrite).length;
  console.log(
    `${requests.length} requests, ${writes} of them writes, ${main.seconds.toFixed(1)} s, exit code ${main.exitCode}`,
  );
  if (main.exitCode !== 0 || post.exitCode !== 0) {
    process.exitCode = 1;
  }
}

function section(title: string, text: string): void {
  if (text.trim() !== '') {
    console.log(`\n=== ${title} ${'='.repeat(Math.max(0, 90 - title.length))}\n${text.trimEnd()}`);
  }
}

await demo();
