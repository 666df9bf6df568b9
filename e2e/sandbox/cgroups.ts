import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodes } from './topology.ts';
import { waitFor } from './wait.ts';

const root = '/sys/fs/cgroup';
const name = 'knats';
/** What the kubelet needs of cgroup v2. */
const controllers = '+cpu +cpuset +memory +pids +io';

const isVersion2 = (): boolean => existsSync(join(root, 'cgroup.controllers'));

/** One directory for cgroup v2, one for each hierarchy of cgroup v1 (aliases such as cpu -> cpu,cpuacct left out). */
function hierarchies(): string[] {
  if (isVersion2()) return [root];
  return readdirSync(root)
    .map((controller) => join(root, controller))
    .filter((path) => lstatSync(path).isDirectory() && existsSync(join(path, 'cgroup.procs')));
}

/** The cgroup of a node's pods, as the kubelet's cgroupRoot names it. */
export const cgroupOfNode = (node: string): string => `/${name}/${node}`;

/** The file that takes a process into the sandbox: every process of it is in this cgroup or in that of a node. */
export const daemonsProcs = (): string => join(root, isVersion2() ? '' : 'pids', name, 'daemons/cgroup.procs');

/** Makes the sandbox's cgroups: the kubelet wants its root to exist in every hierarchy. */
export function createCgroups(): void {
  for (const hierarchy of hierarchies()) {
    const own = join(hierarchy, name);
    mkdirSync(own, { recursive: true });
    if (isVersion2()) {
      for (const parent of [root, own]) writeFileSync(join(parent, 'cgroup.subtree_control'), controllers);
    }
    if (existsSync(join(own, 'cgroup.clone_children'))) inheritCpuset(hierarchy, own);
    for (const child of ['daemons', ...nodes.map((node) => node.name)])
      mkdirSync(join(own, child), { recursive: true });
  }
}

/** A v1 cpuset is born without processors and memory, and takes no process until it has some. */
function inheritCpuset(parent: string, own: string): void {
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    if (existsSync(join(parent, file))) writeFileSync(join(own, file), readFileSync(join(parent, file), 'utf8'));
  }
  writeFileSync(join(own, 'cgroup.clone_children'), '1');
}

/** Kills every process of the sandbox: its daemons, the containers' shims and the containers. */
export async function killProcesses(): Promise<void> {
  const everyone = (): number[] => hierarchies().flatMap((hierarchy) => processesBelow(join(hierarchy, name)));
  await waitFor(
    () => {
      const pids = everyone();
      for (const pid of pids) kill(pid);
      return pids.length === 0;
    },
    'the processes of the sandbox end',
    20_000,
  );
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

function processesBelow(cgroup: string): number[] {
  if (!existsSync(cgroup)) return [];
  const children = readdirSync(cgroup, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const own = readFileSync(join(cgroup, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
  return [...own, ...children.flatMap((child) => processesBelow(join(cgroup, child.name)))];
}

/** Removes the cgroups, from the leaves up; one stays busy for a moment after its last process. */
export async function removeCgroups(): Promise<void> {
  const remove = (): boolean => {
    for (const hierarchy of hierarchies()) removeTree(join(hierarchy, name));
    return true;
  };
  await waitFor(remove, 'the cgroups of the sandbox are removed', 10_000);
}

function removeTree(cgroup: string): void {
  if (!existsSync(cgroup)) return;
  for (const child of readdirSync(cgroup, { withFileTypes: true })) {
    if (child.isDirectory()) removeTree(join(cgroup, child.name));
  }
  rmdirSync(cgroup);
}
