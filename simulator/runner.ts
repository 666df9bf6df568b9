import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { load } from 'js-yaml';
import { isJsonObject, type Json } from '../src/json.ts';

const repository = join(import.meta.dirname, '..');

/** The bundle of the main step. */
export const MAIN = join(repository, 'dist/main.cjs');

/** Values by name: inputs, outputs, states, environment variables. */
export interface Values {
  [name: string]: string;
}

/** How one step of a job ended. */
export interface Ending {
  /** null: it was killed. */
  exitCode: number | null;
  /** What the runner shows: without debug lines and the commands that tell it what to mask. */
  log: string;
  /** All it printed, with the commands to the runner. */
  printed: string;
  /** The texts of its error annotations. */
  errors: string[];
  outputs: Values;
  state: Values;
  /** The job summary, Markdown. */
  summary: string;
  seconds: number;
}

/** A step that runs. */
export interface Step {
  process: ChildProcess;
  /** What it has printed so far. */
  printed(): string;
  ended: Promise<Ending>;
}

/** Starts the main step as a runner does: inputs over the defaults of action.yml, in an environment of its own. */
export function startMain(inputs: Values, environment: Values = {}): Step {
  return start(MAIN, inputs, environment);
}

/** Runs the main step to its end. */
export function runMain(inputs: Values, environment: Values = {}): Promise<Ending> {
  return startMain(inputs, environment).ended;
}

/** Runs another build of the main step: the absolute path of its bundle. */
export function runBundle(bundle: string, inputs: Values): Promise<Ending> {
  return start(bundle, inputs, {}).ended;
}

/** Runs the post step of a main step that left that state. */
export function runPost(inputs: Values, state: Values, environment: Values = {}): Promise<Ending> {
  const states = Object.entries(state).map(([name, value]) => [`STATE_${name}`, value]);
  return start(join(repository, 'dist/post.cjs'), inputs, { ...environment, ...Object.fromEntries(states) }).ended;
}

const files = { outputs: 'GITHUB_OUTPUT', state: 'GITHUB_STATE', summary: 'GITHUB_STEP_SUMMARY' };

function start(bundle: string, inputs: Values, environment: Values): Step {
  const directory = mkdtempSync(join(tmpdir(), 'kube-nats-action-'));
  const variables = Object.entries({ ...defaultInputs(), ...inputs }).map(([name, value]) => [
    `INPUT_${name.toUpperCase()}`,
    value,
  ]);
  for (const file of Object.keys(files)) writeFileSync(join(directory, file), '');
  const started = performance.now();
  const child = spawn(process.execPath, [bundle], {
    cwd: directory,
    env: {
      PATH: process.env.PATH,
      HOME: directory,
      GITHUB_REPOSITORY: 'acme/messaging',
      GITHUB_SHA: '4f2f1e7c9a4b6f0d8e3c5a7b9d1f3e5a7c9b1d3f',
      GITHUB_RUN_ID: '4711',
      ...Object.fromEntries(Object.entries(files).map(([file, variable]) => [variable, join(directory, file)])),
      ...Object.fromEntries(variables),
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  const print = (lines: string): void => {
    printed += lines;
  };
  readLines(child.stdout, print);
  // What was written to stdout before it, such as a mask, may be read after it.
  readLines(child.stderr, (lines) => setImmediate(print, lines));
  const ended = new Promise<Ending>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', async (exitCode) => {
      await new Promise(setImmediate);
      const seconds = (performance.now() - started) / 1000;
      const content = (file: keyof typeof files) => readFileSync(join(directory, file), 'utf8');
      const ending = {
        outputs: valuesOf(content('outputs')),
        state: valuesOf(content('state')),
        summary: content('summary'),
      };
      rmSync(directory, { recursive: true });
      resolve({ exitCode, log: visible(printed), printed, errors: errorsIn(printed), ...ending, seconds });
    });
  });
  return { process: child, printed: () => visible(printed), ended };
}

/** As a runner reads: line by line, so that those of two streams do not mix. */
function readLines(stream: Readable, take: (lines: string) => void): void {
  let rest = '';
  stream
    .setEncoding('utf8')
    .on('data', (text: string) => {
      const read = rest + text;
      const end = read.lastIndexOf('\n') + 1;
      rest = read.slice(end);
      take(read.slice(0, end));
    })
    .on('end', () => take(rest));
}

function defaultInputs(): Values {
  const action = load(readFileSync(join(repository, 'action.yml'), 'utf8')) as Json;
  const inputs = isJsonObject(action) && isJsonObject(action.inputs) ? action.inputs : {};
  const defaults = Object.entries(inputs).map(([name, input]) => [
    name,
    isJsonObject(input) ? String(input.default ?? '') : '',
  ]);
  return Object.fromEntries(defaults);
}

/** The form in which actions hand values to the runner: name<<delimiter, the lines of the value, delimiter. */
function valuesOf(text: string): Values {
  const entries = [...text.matchAll(/^([^<\n]+)<<(\S+)\n([\s\S]*?)\n\2$/gm)];
  return Object.fromEntries(entries.map(([, name, , value]) => [name, value]));
}

function visible(printed: string): string {
  return printed.replace(/^::(add-mask|debug)::.*\n?/gm, '');
}

/** Commands escape line breaks: https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts */
function errorsIn(printed: string): string[] {
  return [...printed.matchAll(/^::error.*?::(.*)$/gm)].map(([, text = '']) =>
    text.replaceAll('%0A', '\n').replaceAll('%0D', '\r').replaceAll('%25', '%'),
  );
}
