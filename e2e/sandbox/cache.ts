import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { paths } from './topology.ts';
import { phase } from './wait.ts';

/** Identifies what something is built from: any text that changes when it does. */
export function digest(...sources: string[]): string {
  const hash = createHash('sha256');
  for (const source of sources) hash.update(`${source.length}:${source}`);
  return hash.digest('hex').slice(0, 16);
}

/** The digest of a directory's files (it has no subdirectories). */
export function digestOfDirectory(directory: string): string {
  return digest(...readdirSync(directory).flatMap((name) => [name, readFileSync(join(directory, name), 'utf8')]));
}

/**
 * The directory that holds the thing of that name built from the sources of that key, made by `build` if it is not there yet.
 * A build that was broken off leaves nothing that is taken for whole, and a new one replaces that of other sources.
 */
export async function cached(name: string, key: string, build: (directory: string) => Promise<void>): Promise<string> {
  const directory = join(paths.cache, `${name}@${key}`);
  if (existsSync(directory)) return directory;
  const unfinished = join(paths.cache, `${name}.unfinished`);
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  await phase(`build ${name}`, () => build(unfinished));
  for (const entry of readdirSync(paths.cache)) {
    if (entry.startsWith(`${name}@`)) rmSync(join(paths.cache, entry), { recursive: true });
  }
  renameSync(unfinished, directory);
  return directory;
}
