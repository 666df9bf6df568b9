import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Values } from '../simulator/runner.ts';
import type { Command } from './sandbox/process.ts';
import { tool } from './tools.ts';

/** The clients of examples/clients, as docs/connecting.md shows them. */
export const LANGUAGES = ['node', 'go', 'python'] as const;
export type Language = (typeof LANGUAGES)[number];

/** What a client calls itself to the server. */
export const LIBRARY: { [L in Language]: string } = { node: 'nats.js', go: 'go', python: 'python3' };

const source = join(import.meta.dirname, '../examples/clients');

interface Program {
  command: Command;
  environment: Values;
}

const PROGRAMS: { [L in Language]: () => Program } = {
  node: () => ({ command: [process.execPath, join(source, 'node/client.mjs')], environment: {} }),
  go: () => ({ command: [tool('client-go')], environment: {} }),
  python: () => ({
    command: ['python3', join(source, 'python/client.py')],
    environment: { PYTHONPATH: tool('client-python-packages') },
  }),
};

/** A client that runs. */
export interface RunningClient {
  /** The messages that it has printed. */
  received: Set<string>;
  /** What it has complained about, and whether it has ended. */
  state(): string;
  stop(): Promise<void>;
}

/** Starts a client with the environment that the page tells. */
export function startClient(language: Language, settings: Values): RunningClient {
  const { command, environment } = PROGRAMS[language]();
  const [program, ...args] = command;
  const child: ChildProcess = spawn(program, args, {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...environment, ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const received = new Set<string>();
  const ended = once(child, 'close');
  let rest = '';
  let errors = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) received.add(line);
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  return {
    received,
    state: () => `${child.exitCode === null ? 'runs' : `ended with ${child.exitCode}`}: ${errors.slice(-2000)}`,
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
