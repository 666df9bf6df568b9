import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { cached, digest } from './cache.ts';
import { run } from './process.ts';

export interface Image {
  tags: string[];
  entrypoint: string[];
  /** Path in the image to a file of the host. */
  files: { [path: string]: string };
  /** Path in the image to the target of a symbolic link. */
  links?: { [path: string]: string };
  /** The only node that needs it; every one by default. */
  node?: string;
}

export interface ImageArchive {
  archive: string;
  node?: string;
}

/** Builds an image of one layer as an archive in the form of `docker save`, which containerd imports. */
export async function buildImage(name: string, image: Image): Promise<ImageArchive> {
  const directory = await cached(`image-${name}`, digest(JSON.stringify(image)), (output) => write(image, output));
  const archive = join(directory, 'image.tar');
  return image.node === undefined ? { archive } : { archive, node: image.node };
}

async function write({ tags, entrypoint, files, links = {} }: Image, output: string): Promise<void> {
  const root = join(output, 'root');
  fillRoot(root, files, links);
  const layer = join(output, 'layer.tar');
  await tar(root, layer, ['.']);
  const layerDigest = createHash('sha256').update(readFileSync(layer)).digest('hex');
  const config = JSON.stringify({
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Env: ['PATH=/usr/local/bin:/usr/bin:/bin'], Entrypoint: entrypoint },
    rootfs: { type: 'layers', diff_ids: [`sha256:${layerDigest}`] },
  });
  const configFile = `${createHash('sha256').update(config).digest('hex')}.json`;
  const layerFile = `${layerDigest}.tar`;
  const manifest = JSON.stringify([{ Config: configFile, RepoTags: tags, Layers: [layerFile] }]);
  const contents = join(output, 'contents');
  mkdirSync(contents);
  writeFileSync(join(contents, configFile), config);
  writeFileSync(join(contents, 'manifest.json'), manifest);
  renameSync(layer, join(contents, layerFile));
  await tar(contents, join(output, 'image.tar'), ['manifest.json', configFile, layerFile]);
  for (const temporary of [root, contents]) rmSync(temporary, { recursive: true });
}

function fillRoot(root: string, files: { [path: string]: string }, links: { [path: string]: string }): void {
  mkdirSync(join(root, 'tmp'), { recursive: true });
  chmodSync(join(root, 'tmp'), 0o1777);
  for (const [path, source] of Object.entries(files)) {
    const target = join(root, path);
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(source, target);
    chmodSync(target, 0o755);
  }
  for (const [path, target] of Object.entries(links)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    symlinkSync(target, join(root, path));
  }
}

async function tar(directory: string, archive: string, members: string[]): Promise<void> {
  const reproducible = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--format=gnu'];
  await run(['tar', '--create', `--file=${archive}`, `--directory=${directory}`, ...reproducible, ...members]);
}
