import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { Places } from './leaks.ts';

/** What the processes below one, and it itself, show to who lists processes; each text once. */
export interface ProcessSight {
  commandLines: Set<string>;
  /** The environments of the processes below it. */
  environments: Set<string>;
}

/** Milliseconds between two looks. */
const INTERVAL = 20;

/** Looks at a process and all that it starts, again and again until `stop`. Sees nothing where there is no /proc. */
export function watchProcesses(pid: number): ProcessSight & { stop(): void } {
  const sight: ProcessSight = { commandLines: new Set(), environments: new Set() };
  const look = (): void => {
    const own = read(pid, 'cmdline');
    sight.commandLines.add(own);
    for (const child of descendants(pid)) {
      const commandLine = read(child, 'cmdline');
      // Until it has begun another program it is a copy of the one above it.
      if (commandLine === own) continue;
      sight.commandLines.add(commandLine);
      sight.environments.add(read(child, 'environ'));
    }
  };
  const timer = setInterval(look, INTERVAL);
  look();
  return { ...sight, stop: () => clearInterval(timer) };
}

/** The same as places to look for secrets in, without the variables that a child has to get ("NAME=value"). */
export function sightsOf({ commandLines, environments }: ProcessSight, expected = /^$/): Places {
  const variables = [...environments].flatMap((environment) => environment.split('\0'));
  return {
    'command lines': [...commandLines].join('\n'),
    'environments of children': variables.filter((variable) => !expected.test(variable)).join('\n'),
  };
}

function descendants(pid: number): number[] {
  const directory = `/proc/${pid}/task`;
  const threads = existsSync(directory) ? readNames(directory) : [];
  const children = threads.flatMap((thread) =>
    read(pid, `task/${thread}/children`).split(' ').filter(Boolean).map(Number),
  );
  return [...children, ...children.flatMap(descendants)];
}

/** '' of a process that is gone. */
function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

function readNames(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
