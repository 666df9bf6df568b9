import { accessSync, constants, existsSync, readdirSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { cached, digest } from './cache.ts';
import { run } from './process.ts';
import { phase } from './wait.ts';

interface DebianPackage {
  name: string;
  /** The command or the absolute path by which to tell that it, or another that gives the same, is installed. */
  gives: string;
}

const packages: DebianPackage[] = [
  { name: 'containerd', gives: 'containerd' },
  { name: 'runc', gives: 'runc' },
  { name: 'containernetworking-plugins', gives: '/usr/lib/cni/bridge' },
  { name: 'iptables', gives: 'iptables' },
  { name: 'conntrack', gives: 'conntrack' },
  { name: 'ipset', gives: 'ipset' },
  { name: 'iproute2', gives: 'ip' },
  { name: 'procps', gives: 'sysctl' },
  { name: 'busybox-static', gives: '/usr/share/doc/busybox-static' },
  { name: 'openssl', gives: 'openssl' },
  { name: 'python3-pip', gives: 'pip3' },
];

/** Installs the Debian packages that are missing. Throws when there is no Go, as Debian's is too old to be installed here. */
export async function installPackages(): Promise<void> {
  if (!isInstalled('go'))
    throw new Error('There is no go on PATH: install Go 1.25.10 or later, the sandbox is built with it');
  const missing = packages.filter(({ gives }) => !isInstalled(gives)).map(({ name }) => name);
  if (missing.length === 0) return;
  const environment = { DEBIAN_FRONTEND: 'noninteractive' };
  await phase(`install ${missing.join(' ')}`, async () => {
    await run(['apt-get', 'update', '-qq'], { environment });
    await run(['apt-get', 'install', '-y', '-qq', '--no-install-recommends', ...missing], { environment });
  });
}

/** The directory of a Debian package's files: unpacked and not installed, so that no daemon of it is started. */
export function debianPackage(name: string): Promise<string> {
  return cached(`debian-${name}`, digest(name), async (output) => {
    await run(['apt-get', 'update', '-qq']);
    await run(['apt-get', 'download', '-qq', name], { directory: output });
    const archives = readdirSync(output).map((file) => join(output, file));
    for (const archive of archives) {
      await run(['dpkg-deb', '--extract', archive, output]);
      rmSync(archive);
    }
  });
}

function isInstalled(commandOrPath: string): boolean {
  if (commandOrPath.startsWith('/')) return existsSync(commandOrPath);
  return (process.env.PATH ?? '').split(delimiter).some((directory) => isExecutable(join(directory, commandOrPath)));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
