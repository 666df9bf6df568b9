import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { paths } from './sandbox/topology.ts';

/** The path of a program that the sandbox's build provides for tests: "promtool", "nats-server-2.10.12", "client-go". */
export function tool(name: string): string {
  const path = join(paths.tools, name);
  if (!existsSync(path)) throw new Error(`There is no ${path}: node e2e/sandbox/sandbox.ts build makes it`);
  return path;
}
