import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NAME, natsConfIn, stateWith } from '../__tests__/desired/fixture.ts';
import { createAuthority } from '../__tests__/fakes/certificates.ts';
import { isJsonObject, type Json, type JsonObject } from '../src/json.ts';
import { PATHS } from '../src/nats/layout.ts';
import type { Credentials } from './nats.ts';
import { tool } from './tools.ts';

/** One nats-server on this machine with the configuration that the action writes, and a CA for its clients. */
export interface LocalNats {
  url: string;
  /** A certificate of the role admin, valid for so many seconds from now. */
  issueAdmin(seconds: number): Credentials;
  /** Ends the server and starts it again with the same data. */
  restart(): Promise<void>;
  /** A report of its monitoring port: "/connz?auth=true". */
  report(path: string): Promise<JsonObject>;
  log(): string;
  stop(): Promise<void>;
}

/** Starts a server of that version and waits until it is ready. */
export async function startLocalNats(version: string): Promise<LocalNats> {
  const root = mkdtempSync(join(tmpdir(), 'local-nats-'));
  const authority = createAuthority('local');
  const [port, monitoring] = await Promise.all([freePort(), freePort()]);
  writePair(join(root, PATHS.serverCerts), { ca: authority.certificate, ...issue(['localhost'], 86_400) });
  mkdirSync(join(root, PATHS.run), { recursive: true });
  const conf = natsConfIn(stateWith({ replicas: 1, nats_version: version }))
    .replaceAll(/"(?=\/(etc|data|var)\/)/g, `"${root}`)
    .replace(/^port: \d+/m, `port: ${port}`)
    .replace(/^http_port: \d+/m, `http_port: ${monitoring}`);
  writeFileSync(join(root, 'nats.conf'), conf);

  let server: ChildProcess;
  let log = '';

  function issue(names: string[], seconds: number): { cert: string; key: string } {
    const { certificate, key } = authority.issue(names, { to: Date.now() + seconds * 1000 });
    return { cert: certificate, key };
  }

  async function start(): Promise<void> {
    const before = log.length;
    server = spawn(tool(`nats-server-${version}`), ['-c', join(root, 'nats.conf')], {
      env: { POD_NAME: `${NAME}-0` },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    await new Promise<void>((resolve, reject) => {
      server.once('exit', () => reject(new Error(`nats-server ended:\n${log.slice(before)}`)));
      server.stderr?.setEncoding('utf8').on('data', (text: string) => {
        log += text;
        if (log.slice(before).includes('Server is ready')) resolve();
      });
    });
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const ended = once(server, 'exit');
    server.kill(signal);
    await ended;
  }

  await start();
  return {
    url: `tls://localhost:${port}`,
    issueAdmin: (seconds) => ({ ca: authority.certificate, ...issue([`admin-${NAME}`], seconds) }),
    async restart() {
      await end('SIGTERM');
      await start();
    },
    async report(path) {
      const answer: Json = JSON.parse(await (await fetch(`http://127.0.0.1:${monitoring}${path}`)).text());
      if (!isJsonObject(answer)) throw new Error(`${path} is no report`);
      return answer;
    },
    log: () => log,
    async stop() {
      await end('SIGKILL');
      rmSync(root, { recursive: true });
    },
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
