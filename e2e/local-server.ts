import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority } from '../__tests__/fakes/certificates.ts';
import { isJsonObject, type Json, type JsonObject } from '../src/json.ts';
import { PATHS } from '../src/nats/layout.ts';
import type { Credentials } from './nats.ts';
import { waitFor } from './sandbox/wait.ts';
import { tool } from './tools.ts';

const DAY = 86_400;

/** The files that a client connects by, as it would find them in a pod: for its environment. */
export interface ClientFiles {
  NATS_URL: string;
  NATS_CA: string;
  NATS_CERT: string;
  NATS_KEY: string;
}

/** One nats-server on this machine, with a nats.conf as the action writes it and a CA of its own. */
export interface LocalServer {
  url: string;
  /** Credentials of the user of that name, valid for so many seconds from now. */
  issue(user: string, seconds: number): Credentials;
  /** What the user of that name connects by, for a day. */
  clientOf(user: string): ClientFiles;
  /** Has the running server take another configuration, and waits until it has. */
  reload(conf: string): Promise<void>;
  /** Ends the server and starts it again with the same data, once `whileDown` is done. */
  restart(whileDown?: () => Promise<void>): Promise<void>;
  /** A report of its monitoring port: "/connz?auth=true". */
  report(path: string): Promise<JsonObject>;
  log(): string;
  stop(): Promise<void>;
}

/**
 * Starts a server of that version on ports of its own, and waits until it is ready.
 *
 * @param conf nats.conf of a single server; its files are found below a temporary directory
 */
export async function startServer(version: string, conf: string): Promise<LocalServer> {
  const root = mkdtempSync(join(tmpdir(), 'nats-server-'));
  const authority = createAuthority('local');
  const [port, monitoring] = await Promise.all([freePort(), freePort()]);
  const file = join(root, 'nats.conf');
  const url = `tls://localhost:${port}`;
  let server: ChildProcess;
  let log = '';

  function issue(name: string, seconds: number): Credentials {
    const { certificate, key } = authority.issue([name], { to: Date.now() + seconds * 1000 });
    return { ca: authority.certificate, cert: certificate, key };
  }

  function configure(text: string): void {
    const local = text
      .replaceAll(/"(?=\/(etc|data|var)\/)/g, `"${root}`)
      .replace(/^port: \d+/m, `port: ${port}`)
      .replace(/^http_port: \d+/m, `http_port: ${monitoring}`);
    writeFileSync(file, local);
  }

  /** Waits until the server has logged these words since it was `before` characters long. */
  async function logs(words: string, before: number): Promise<void> {
    const said = (): string => log.slice(before);
    const ended = (): boolean => server.exitCode !== null || server.signalCode !== null;
    await waitFor(() => ended() || said().includes(words), `nats-server ${version} logs "${words}"`, 20_000);
    if (!said().includes(words)) throw new Error(`nats-server ${version} ended:\n${said()}`);
  }

  async function start(): Promise<void> {
    const before = log.length;
    server = spawn(tool(`nats-server-${version}`), ['-c', file], {
      env: { POD_NAME: 'nats-0' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    server.stderr?.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
    await logs('Server is ready', before);
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, 'exit');
    server.kill(signal);
    await ended;
  }

  async function stop(): Promise<void> {
    await end('SIGKILL');
    rmSync(root, { recursive: true });
  }

  mkdirSync(join(root, PATHS.run), { recursive: true });
  writePair(join(root, PATHS.serverCerts), issue('localhost', DAY));
  configure(conf);
  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url,
    issue,
    clientOf(user) {
      const directory = join(root, 'clients', user);
      writePair(directory, issue(user, DAY));
      return {
        NATS_URL: url,
        NATS_CA: join(directory, 'ca.crt'),
        NATS_CERT: join(directory, 'tls.crt'),
        NATS_KEY: join(directory, 'tls.key'),
      };
    },
    async reload(text) {
      const before = log.length;
      configure(text);
      server.kill('SIGHUP');
      await logs('Reloaded server configuration', before);
    },
    async restart(whileDown) {
      await end('SIGTERM');
      await whileDown?.();
      await start();
    },
    async report(path) {
      const answer: Json = JSON.parse(await (await fetch(`http://127.0.0.1:${monitoring}${path}`)).text());
      if (!isJsonObject(answer)) throw new Error(`${path} is no report`);
      return answer;
    },
    log: () => log,
    stop,
  };
}

function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close((error) => (error ? reject(error) : resolve(port)));
    });
  });
}

/** Writes credentials as the files of a Secret. */
export function writePair(directory: string, { ca, cert, key }: Credentials): void {
  mkdirSync(directory, { recursive: true });
  for (const [name, content] of Object.entries({ 'ca.crt': ca, 'tls.crt': cert, 'tls.key': key })) {
    writeFileSync(join(directory, name), content);
  }
}
