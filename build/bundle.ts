/**
 * Bundles src/main.ts and src/post.ts into dist/, as runners execute them. With --check it builds beside dist/ and fails
 * when a byte differs, so that the committed bundle is the sources' own.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';

const root = path.join(import.meta.dirname, '..');
const dist = path.join(root, 'dist');

async function bundle(outdir: string): Promise<void> {
  await build({
    absWorkingDir: root,
    entryPoints: ['src/main.ts', 'src/post.ts'],
    outdir,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    minify: true,
    keepNames: true,
    legalComments: 'linked',
    logLevel: 'warning',
  });
}

function differing(a: string, b: string): string[] {
  const names = new Set([...readdirSync(a), ...readdirSync(b)]);
  return [...names].filter((name) => read(a, name) !== read(b, name));
}

function read(directory: string, name: string): string | undefined {
  try {
    return readFileSync(path.join(directory, name), 'utf8');
  } catch {
    return undefined;
  }
}

if (process.argv.includes('--check')) {
  const fresh = mkdtempSync(path.join(tmpdir(), 'bundle-'));
  await bundle(fresh);
  const stale = differing(fresh, dist);
  rmSync(fresh, { recursive: true });
  if (stale.length > 0) {
    console.error(`Not what the sources build: ${stale.map((name) => `dist/${name}`).join(', ')}. Run npm run build.`);
    process.exit(1);
  }
} else {
  rmSync(dist, { recursive: true, force: true });
  await bundle(dist);
}
