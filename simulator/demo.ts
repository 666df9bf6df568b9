/**
 * The action on a laptop: runs dist/main.cjs and dist/post.cjs as a runner would, against the simulator. Three jobs: from
 * nothing, the same inputs again, one input changed.
 */

import { startProvider } from './github-oidc.ts';
import { type RecordedRequest, writesIn } from './requests.ts';
import { type Ending, runMain, runPost, type Values } from './runner.ts';
import { type Simulator, startSimulator } from './simulator.ts';

const VAULT_ROLE = 'nats-deployer';

const simulator = await startSimulator();
const provider = await startProvider();
try {
  await allowLogin(simulator);
  const inputs = {
    namespace: 'demo',
    create_namespace: 'true',
    kubeconfig: simulator.kubeconfig,
    vault_role: VAULT_ROLE,
  };
  await job('1. A cluster from nothing', inputs);
  await job('2. The same inputs again', inputs);
  await job('3. One input changed: log_level debug', { ...inputs, log_level: 'debug' });
} finally {
  provider.close();
  await simulator.close();
}

/** What an operator does once in Vault: docs/vault.md. */
async function allowLogin({ vaultUrl, vaultToken }: Simulator): Promise<void> {
  const role = {
    role_type: 'jwt',
    user_claim: 'repository',
    bound_audiences: ['https://github.com/acme'],
    token_policies: ['root'],
  };
  const answer = await fetch(`${vaultUrl}/v1/auth/jwt/role/${VAULT_ROLE}`, {
    method: 'POST',
    headers: { 'x-vault-token': vaultToken },
    body: JSON.stringify(role),
  });
  if (!answer.ok) throw new Error(`The simulator refused the role: ${answer.status} ${await answer.text()}`);
}

/** Runs the main and the post step, and shows what a workflow run would show of them. */
async function job(title: string, inputs: Values): Promise<void> {
  const before = simulator.requests.length;
  const main = await runMain(inputs, provider.environment);
  const post = await runPost(inputs, main.state);
  const requests = simulator.requests.slice(before);
  show(title, main, post);
  const writes = writesIn(requests);
  const toVault = writes.filter(isForVault).length;
  console.log(
    `${requests.length} requests, of these ${writes.length - toVault} writes to Kubernetes and ${toVault} to Vault; ` +
      `${main.seconds.toFixed(1)} s; exit code ${main.exitCode}\n`,
  );
  if (main.exitCode !== 0 || post.exitCode !== 0) process.exitCode = 1;
}

/** The API server's service proxy passes on to Vault. */
function isForVault({ path }: RecordedRequest): boolean {
  return path.includes('/proxy/v1/');
}

function show(title: string, main: Ending, post: Ending): void {
  const outputs = Object.entries(main.outputs).map(([name, value]) => `${name.padEnd(24)}${value}`);
  section(title, main.log);
  section('Outputs', outputs.join('\n'));
  section('Job summary', main.summary);
  section('Post step', post.log);
}

function section(title: string, text: string): void {
  console.log(`=== ${title} ${'='.repeat(Math.max(0, 90 - title.length))}\n\n${text.trim()}\n`);
}
