import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '../src/json.ts';
import { PATHS } from '../src/nats/layout.ts';
import { run } from './sandbox/process.ts';
import { waitFor } from './sandbox/wait.ts';
import { tool } from './tools.ts';

/** The files that a client connects by, as it would find them in a pod: for its environment. */
export interface ClientFiles {
  NATS_URL: string;
  NATS_CA: string;
  NATS_CERT: string;
  NATS_KEY: string;
}

/** One nats-server on this machine, with a nats.conf as the action writes it. */
export interface LocalServer {
  /** What the user of that name connects by. */
  clientOf(user: string): ClientFiles;
  /** Has the running server take another configuration, and waits until it has. */
  reload(conf: string): Promise<void>;
  /** What the monitoring port answers. */
  report(path: string): Promise<JsonObject>;
  stop(): Promise<void>;
}

/**
 * Starts a server of that version on ports of its own.
 *
 * @param conf nats.conf of a single server; its files are found below a temporary directory
 * @param users by their names in nats.conf
 */
export async function startServer(version: string, conf: string, users: string[]): Promise<LocalServer> {
  const root = mkdtempSync(join(tmpdir(), 'nats-server-'));
  const file = join(root, 'nats.conf');
  const certs = join(root, PATHS.serverCerts);
  for (const directory of [certs, join(root, PATHS.run)]) mkdirSync(directory, { recursive: true });
  await makeCertificates(certs, users);
  const configure = (text: string): void =>
    writeFileSync(file, text.replaceAll(/"(?=\/(etc|data|var)\/)/g, `"${root}`).replaceAll(/port: \d+/g, 'port: -1'));
  configure(conf);

  const server = spawn(tool(`nats-server-${version}`), ['-c', file], {
    env: { POD_NAME: 'nats-0' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(server, 'exit');
  let said = '';
  server.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const stop = async (): Promise<void> => {
    server.kill('SIGKILL');
    await ended;
    rmSync(root, { recursive: true });
  };
  const port = (of: RegExp): string => of.exec(said)?.[1] ?? '';
  await waitFor(() => said.includes('Server is ready'), `nats-server ${version} is ready`, 20_000).catch(
    async (error: Error) => {
      await stop();
      throw new Error(`${error.message}: ${said}`);
    },
  );

  return {
    clientOf: (user) => ({
      NATS_URL: `tls://localhost:${port(/client connections on \S+:(\d+)/)}`,
      NATS_CA: join(certs, 'ca.crt'),
      NATS_CERT: join(certs, `${user}.crt`),
      NATS_KEY: join(certs, `${user}.key`),
    }),
    async reload(text) {
      const before = said.length;
      configure(text);
      server.kill('SIGHUP');
      await waitFor(() => said.slice(before).includes('Reloaded server configuration'), 'the server reloads', 10_000);
    },
    report: async (path) =>
      JSON.parse(await (await fetch(`http://localhost:${port(/http monitor on \S+:(\d+)/)}${path}`)).text()),
    stop,
  };
}

/** Certificates that sign themselves, all of which make up the CA: one for the server, one for each user. */
async function makeCertificates(directory: string, users: string[]): Promise<void> {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const make = (name: string, dnsName: string): Promise<string> => {
    const names = ['-subj', `/CN=${dnsName}`, '-addext', `subjectAltName=DNS:${dnsName}`];
    const files = ['-keyout', `${name}.key`, '-out', `${name}.crt`];
    return run(['openssl', 'req', '-x509', ...key, ...names, ...files], { directory });
  };
  await make('tls', 'localhost');
  for (const user of users) await make(user, user);
  const all = ['tls', ...users].map((name) => readFileSync(join(directory, `${name}.crt`), 'utf8'));
  writeFileSync(join(directory, 'ca.crt'), all.join(''));
}
