import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { isJsonObject, type Json } from '../../src/json.ts';
import { paths } from './topology.ts';

/** Settings of the whole machine that the kubelet changes (setupKernelTunables of its container manager). */
const changedByKubelet = [
  'vm/overcommit_memory',
  'vm/panic_on_oom',
  'kernel/panic',
  'kernel/panic_on_oops',
  'kernel/keys/root_maxkeys',
  'kernel/keys/root_maxbytes',
];

const file = (name: string): string => `/proc/sys/${name}`;

/** Notes the machine's settings, for restoreSysctls. */
export function recordSysctls(): void {
  const values = changedByKubelet.map((name) => [name, readFileSync(file(name), 'utf8').trim()]);
  writeFileSync(paths.sysctls, JSON.stringify(Object.fromEntries(values)));
}

/** Sets them back to what recordSysctls noted, if it did. */
export function restoreSysctls(): void {
  if (!existsSync(paths.sysctls)) return;
  const recorded: Json = JSON.parse(readFileSync(paths.sysctls, 'utf8'));
  if (!isJsonObject(recorded)) throw new Error(`${paths.sysctls} is not an object`);
  for (const [name, value] of Object.entries(recorded)) {
    if (readFileSync(file(name), 'utf8').trim() !== value) writeFileSync(file(name), String(value));
  }
}
