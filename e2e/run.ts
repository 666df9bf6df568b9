/**
 * Runs the end-to-end tests: on the cluster of E2E_KUBECONFIG, else in the sandbox, which is built, brought up and taken down.
 *
 *     npm run e2e -- [--keep] [--reuse] [arguments of jest]
 *
 * --keep leaves the sandbox up afterwards, --reuse takes one that is up and healthy.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Command } from './sandbox/process.ts';
import { paths } from './sandbox/topology.ts';
import { isHealthy } from './sandbox/up.ts';
import { phase } from './sandbox/wait.ts';

interface StepOptions {
  environment?: { [name: string]: string };
  /** Goes on to its end whatever the terminal's keys say. */
  uninterruptible?: boolean;
}

const repository = join(import.meta.dirname, '..');
const sandbox = join(import.meta.dirname, 'sandbox/sandbox.ts');

let running: ChildProcess | undefined;
let interrupted = false;

/** Runs one step as a process of its own, which a signal can end at any time; resolves to its exit code. */
function step(
  [program, ...args]: Command,
  { environment = {}, uninterruptible = false }: StepOptions = {},
): Promise<number> {
  if (interrupted && !uninterruptible) return Promise.resolve(130);
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: repository,
      stdio: 'inherit',
      env: { ...process.env, ...environment },
      detached: uninterruptible,
    });
    running = uninterruptible ? undefined : child;
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 130));
  });
}

const jest: Command = [
  process.execPath,
  '--experimental-vm-modules',
  'node_modules/jest/bin/jest.js',
  '--config=e2e/jest.config.js',
  '--runInBand',
];

/** Tests of the sandbox itself, of programs that it builds, or that want its network and images. */
const OF_THE_SANDBOX = [
  'e2e/sandbox.test.ts',
  'e2e/nats-conf.test.ts',
  'e2e/logins.test.ts',
  'e2e/reader.test.ts',
  'e2e/network-policy.test.ts',
  'e2e/attacks.test.ts',
  'e2e/attacks-module.test.ts',
  'e2e/client-rotation.test.ts',
  'e2e/upgrade.test.ts',
  'e2e/disturbances.test.ts',
];

function testInOtherCluster(jestArguments: string[]): Promise<number> {
  return phase('tests', () => step([...jest, ...jestArguments, '--testPathIgnorePatterns', OF_THE_SANDBOX.join('|')]));
}

/** Brings the sandbox up, unless a healthy one may be used again; resolves to an exit code. */
async function provide(reuse: boolean): Promise<number> {
  if (reuse && (await isHealthy())) {
    console.log('sandbox: using the one that is up');
    return 0;
  }
  const built = await phase('build', () => step([process.execPath, sandbox, 'build']));
  return built === 0 ? phase('up', () => step([process.execPath, sandbox, 'up'])) : built;
}

/** Runs what follows with the cluster's DNS as its resolver, so that tests dial Services and pods by the names in certificates. */
const withClusterDns: Command = [
  'unshare',
  '--mount',
  '--propagation=private',
  ...['sh', '-c', 'mount --no-mtab --bind "$0" /etc/resolv.conf && exec "$@"', paths.resolvConf],
];

async function testInSandbox(jestArguments: string[], keep: boolean, reuse: boolean): Promise<number> {
  try {
    const provided = await provide(reuse);
    if (provided !== 0) return provided;
    const environment = {
      E2E_KUBECONFIG: paths.kubeconfig,
      E2E_AUDIT_LOG: paths.auditLog,
      E2E_VAULT_TOKEN_FILE: paths.vaultToken,
      E2E_VAULT_UNSEAL_KEY_FILE: paths.vaultUnsealKey,
    };
    return await phase('tests', () => step([...withClusterDns, ...jest, ...jestArguments], { environment }));
  } finally {
    if (keep) console.log(`sandbox: kept; export KUBECONFIG=${paths.kubeconfig}`);
    else await step([process.execPath, sandbox, 'down'], { uninterruptible: true });
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    interrupted = true;
    running?.kill(signal);
  });
}
const given = process.argv.slice(2);
const jestArguments = given.filter((argument) => argument !== '--keep' && argument !== '--reuse');
const exitCode = process.env.E2E_KUBECONFIG
  ? await testInOtherCluster(jestArguments)
  : await testInSandbox(jestArguments, given.includes('--keep'), given.includes('--reuse'));
process.exitCode = interrupted ? 130 : exitCode;
