import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { daemonsProcs } from './cgroups.ts';
import { paths } from './topology.ts';
import { waitFor } from './wait.ts';

export type Command = [string, ...string[]];

export interface RunOptions {
  directory?: string;
  environment?: { [name: string]: string };
}

/** Runs a command to its end and returns what it printed. Fails with the end of its error output. */
export async function run([program, ...args]: Command, options: RunOptions = {}): Promise<string> {
  const child = spawn(program, args, {
    cwd: options.directory,
    env: { ...process.env, ...options.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (status !== 0)
    throw new Error(`${[program, ...args].join(' ')} failed (${status}):\n${lastLines(errors || output)}`);
  return output;
}

/** A background process; it goes on after this one has ended, until `down`. */
export interface Daemon {
  name: string;
  pid: number;
  log: string;
}

/** Starts background processes, and notices when one ends that should not. */
export class Daemons {
  /** Rejects, with the end of its log, when the first of them ends. */
  readonly failed: Promise<never>;
  readonly #fail: (reason: Error) => void;

  constructor() {
    const { promise, reject } = Promise.withResolvers<never>();
    this.failed = promise;
    this.#fail = reject;
  }

  /** Starts one inside the sandbox's cgroup, by which `down` finds it and all that it starts. */
  start(name: string, command: Command): Daemon {
    const log = join(paths.log, `${name}.log`);
    const output = openSync(log, 'w');
    const child = spawn('sh', ['-c', 'echo $$ > "$0" && exec "$@"', daemonsProcs(), ...command], {
      cwd: paths.run,
      detached: true,
      stdio: ['ignore', output, output],
    });
    closeSync(output);
    child.on('error', this.#fail);
    child.on('exit', (code, signal) => this.#fail(new Error(`${name} ended (${signal ?? code})${endOf(log)}`)));
    child.unref();
    if (child.pid === undefined) throw new Error(`${name} could not be started: ${command.join(' ')}`);
    writeFileSync(join(paths.run, `${name}.pid`), `${child.pid}\n`);
    return { name, pid: child.pid, log };
  }
}

/** Waits for what a daemon should bring about; at the timeout (milliseconds), fails with the end of its log. */
export async function waitForDaemon(
  daemon: Daemon,
  condition: () => Promise<boolean>,
  description: string,
  timeout: number,
): Promise<void> {
  await waitFor(condition, description, timeout).catch((error: Error) => {
    throw new Error(`${error.message}${endOf(daemon.log)}`);
  });
}

const endOf = (log: string): string => `; the end of ${log}:\n${lastLines(readFileSync(log, 'utf8'))}`;

function lastLines(text: string): string {
  return text.trimEnd().split('\n').slice(-20).join('\n');
}
