import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { userName } from '../../src/desired/names.ts';
import { digObjects, type JsonObject } from '../../src/json.ts';
import { type ConfBlock, renderConf } from '../../src/nats/conf-text.ts';
import { PORTS } from '../../src/nats/layout.ts';
import { waitFor } from '../cluster.ts';
import type { Credentials } from '../nats.ts';
import { tool } from '../tools.ts';
import { Authority } from './authority.ts';
import type { Target } from './target.ts';

/** Loopback addresses of its own, so that its ports never meet those of another program. */
const HOSTS = ['127.61.0.1', '127.61.0.2', '127.61.0.3'];

/** Three servers on this machine, configured as the Terraform module configures them, and certificates as it has them issued. */
export class ModuleCluster {
  readonly target: Target;
  readonly #directory: string;
  readonly #servers: ChildProcess[];

  private constructor(target: Target, directory: string, servers: ChildProcess[]) {
    this.target = target;
    this.#directory = directory;
    this.#servers = servers;
  }

  static async start(version: string): Promise<ModuleCluster> {
    const cluster = 'nats-0a1b';
    const authority = await Authority.create('internal');
    const secrets = await secretsOf(cluster, HOSTS, authority);
    const other = await secretsOf('nats-2c3d', ['127.62.0.1'], authority);
    const target: Target = {
      version,
      cluster,
      hosts: HOSTS,
      secrets,
      authority,
      // Its certificates come from the mount whose roles sign any name.
      anyName: (name, usage) => authority.issue({ commonName: name, names: [subjectName(name)], usages: [usage] }),
      neighbours: Object.fromEntries(
        Object.entries(other).map(([purpose, credentials]) => [`${purpose} of nats-2c3d`, credentials]),
      ),
    };
    const directory = mkdtempSync(join(tmpdir(), 'module-cluster-'));
    for (const purpose of ['server', 'cluster'] as const) write(join(directory, purpose), secrets[purpose]);
    const servers = HOSTS.map((_, ordinal) => startServer(target, directory, ordinal));
    const started = new ModuleCluster(target, directory, servers);
    await started.#ready(directory);
    return started;
  }

  async stop(): Promise<void> {
    for (const server of this.#servers) {
      if (server.exitCode !== null) continue;
      const ended = once(server, 'exit');
      server.kill('SIGKILL');
      await ended;
    }
    this.target.authority.forget();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #ready(directory: string): Promise<void> {
    const ready = async (): Promise<boolean> => {
      const reports = await Promise.all(HOSTS.map((host) => report(host)));
      return reports.some(
        (jsz) => digObjects(jsz, 'meta_cluster', 'replicas').filter(({ current }) => current === true).length === 2,
      );
    };
    try {
      await waitFor(ready, 'JetStream has a leader and two current peers', 60_000);
    } catch (error) {
      const log = readFileSync(join(directory, 'log-0'), 'utf8');
      await this.stop();
      throw new Error(`the servers do not start: ${log.slice(-2_000)}`, { cause: error });
    }
  }
}

async function report(host: string): Promise<JsonObject> {
  const response = await fetch(`http://${host}:${PORTS.monitoring}/jsz`);
  return JSON.parse(await response.text());
}

function startServer({ cluster, version }: Target, directory: string, ordinal: number): ChildProcess {
  const file = join(directory, `nats-${ordinal}.conf`);
  writeFileSync(file, renderConf(moduleConf(cluster, directory, ordinal)));
  const program = tool(`nats-server-${version}`);
  return spawn(program, ['-c', file, '-l', join(directory, `log-${ordinal}`)], { stdio: 'ignore' });
}

/** What the module's nats.conf says about who may do what; where and how much are this test's own. */
function moduleConf(cluster: string, directory: string, ordinal: number): ConfBlock {
  const host = HOSTS[ordinal] ?? '';
  const certificate = (purpose: string): ConfBlock => ({
    cert_file: join(directory, purpose, 'tls.crt'),
    key_file: join(directory, purpose, 'tls.key'),
    ca_file: join(directory, purpose, 'ca.crt'),
  });
  return {
    server_name: `${cluster}-${ordinal}`,
    listen: `${host}:${PORTS.client}`,
    http: `${host}:${PORTS.monitoring}`,
    tls: { ...certificate('server'), verify_and_map: true },
    system_account: 'SYS',
    accounts: {
      DEFAULT: {
        jetstream: 'enabled',
        users: [
          { user: userName(cluster, 'admin') },
          {
            user: userName(cluster, 'reader'),
            permissions: { publish: { deny: ['>'] }, subscribe: { allow: ['>'] } },
          },
        ],
      },
      SYS: { users: [{ user: userName(cluster, 'superuser') }] },
    },
    cluster: {
      name: cluster,
      listen: `${host}:${PORTS.cluster}`,
      routes: HOSTS.map((peer) => `tls://${peer}:${PORTS.cluster}`),
      connect_retries: 2,
      // All of them come from 127.0.0.1, where none listens.
      no_advertise: true,
      tls: certificate('cluster'),
    },
    jetstream: {
      store_dir: join(directory, `data-${ordinal}`),
      max_file_store: 1024 ** 3,
      max_memory_store: 1024 ** 2,
    },
  };
}

async function secretsOf(cluster: string, hosts: string[], authority: Authority): Promise<Target['secrets']> {
  const client = (role: 'superuser' | 'admin' | 'reader'): Promise<Credentials> => {
    const user = userName(cluster, role);
    return authority.issue({ commonName: user, names: [`DNS:${user}`], usages: ['clientAuth'] });
  };
  const names = [`DNS:${cluster}`, ...hosts.map(subjectName)];
  const [superuser, admin, reader, server, peer] = await Promise.all([
    client('superuser'),
    client('admin'),
    client('reader'),
    authority.issue({ commonName: cluster, names: [...names, 'DNS:localhost'], usages: ['serverAuth'] }),
    authority.issue({ commonName: cluster, names, usages: ['serverAuth', 'clientAuth'] }),
  ]);
  return { superuser, admin, reader, server, cluster: peer };
}

function subjectName(name: string): string {
  return /^[\d.]+$/.test(name) ? `IP:${name}` : `DNS:${name}`;
}

function write(directory: string, { ca, cert, key }: Credentials): void {
  mkdirSync(directory);
  writeFileSync(join(directory, 'ca.crt'), ca);
  writeFileSync(join(directory, 'tls.crt'), cert);
  writeFileSync(join(directory, 'tls.key'), key, { mode: 0o600 });
}
