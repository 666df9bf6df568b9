import { spawn, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { natsConfIn, stateWith } from '../__tests__/desired/fixture.ts';
import type { Inputs } from '../src/inputs/table.ts';
import { PATHS, PORTS } from '../src/nats/layout.ts';
import { resolveVersions, unknownVersions } from '../src/nats/versions.ts';
import { servedCertificate } from '../src/reconcile/verify/served-certificate.ts';
import { run } from './sandbox/process.ts';
import { paths } from './sandbox/topology.ts';
import { waitFor } from './sandbox/wait.ts';
import { tool } from './tools.ts';

const prefix = 'nats-server-';
const versions = readdirSync(paths.tools)
  .filter((name) => name.startsWith(prefix))
  .map((name) => name.slice(prefix.length));

/** Every input that shows in nats.conf, at its largest and at its smallest. */
const settings: { [name: string]: Partial<Inputs> } = {
  'the defaults': {},
  'the largest values': {
    replicas: 5,
    log_level: 'trace',
    minimum_memory_mb: 1_048_576,
    max_connections: 1_000_000,
    max_control_line_kb: 1024,
    max_payload_mb: 64,
    max_outstanding_catchup_mb: 65_536,
    fsync_interval_seconds: 600,
    ping_interval_seconds: 30,
    write_deadline_seconds: 3600,
    reader_access: 'consuming',
    persistence_initial_storage_gb: 65_536,
  },
  'the smallest values': {
    replicas: 1,
    log_level: 'debug',
    minimum_memory_mb: 50,
    max_connections: 1,
    max_control_line_kb: 1,
    max_payload_mb: 1,
    fsync_interval_seconds: 0,
    ping_interval_seconds: 10,
    write_deadline_seconds: 1,
  },
};

/** Stands for the container's file system. */
let root: string;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'nats-conf-'));
  for (const directory of [PATHS.serverCerts, PATHS.clusterCerts]) await makeCertificate(join(root, directory));
  mkdirSync(join(root, PATHS.run), { recursive: true });
});

afterAll(() => rmSync(root, { recursive: true }));

it('there is a server of every minor release, and the oldest of all', () => {
  const [sentence = ''] = unknownVersions({ nats_version: '0.0.0' });
  const minors = sentence.slice(sentence.indexOf('release of')).match(/\d+\.\d+/g) ?? [];
  expect(new Set(versions.map((version) => version.replace(/\.\d+$/, '')))).toEqual(new Set(minors));
  expect(versions).toContain(resolveVersions({ helm_version: '8.0.0', nats_version: null }).server);
});

describe.each(versions)('nats-server %s', (version) => {
  it.each(Object.entries(settings))('accepts %s', (_, overrides) => {
    const conf = natsConfIn(stateWith({ ...overrides, nats_version: version }));
    expect(check(version, conf)).toEqual({ accepted: true, said: expect.stringContaining('is valid') });
  });

  it.each(Object.entries(settings))('starts with %s', async (_, overrides) => {
    const conf = natsConfIn(stateWith({ ...overrides, nats_version: version }));
    expect(await start(version, conf)).toContain('Server is ready');
  });

  it.each([
    ['clients', PORTS.client, PATHS.serverCerts],
    ['routes', PORTS.cluster, PATHS.clusterCerts],
  ] as const)(
    'shows its certificate on its port for %s, and logs an error only of who shows none',
    async (whose, port, directory) => {
      const conf = natsConfIn(stateWith({ nats_version: version }));
      const [certificate = '', key = ''] = ['tls.crt', 'tls.key'].map((name) =>
        readFileSync(join(root, directory, name), 'utf8'),
      );
      const listening = new RegExp(`Listening for ${whose.slice(0, -1)} connections on \\S+:(\\d+)`);
      const errors: string[][] = [];
      await start(version, conf, async (said) => {
        await waitFor(async () => listening.test(said()), `it listens for ${whose}`, 5_000);
        const at = Number(listening.exec(said())?.[1]);
        const kube = { dialPod: async () => createConnection(at, '127.0.0.1') };
        const probe = async (client?: { certificate: string; key: string }) => {
          const seen = await servedCertificate(kube, 'demo', 'nats-0', port, client);
          expect(seen?.raw).toEqual(new X509Certificate(certificate).raw);
        };
        await probe({ certificate, key });
        await probe();
        await waitFor(async () => said().includes('handshake error'), 'the second probe is logged', 5_000);
        errors.push(said().match(/TLS .*handshake error.*/g) ?? []);
      });
      expect(errors).toEqual([
        [expect.stringMatching(/^TLS (route )?handshake error: tls: client didn't provide a certificate$/)],
      ]);
    },
  );

  it.each([
    ['at the top', (conf: string) => `${conf}\nno_such_setting: true\n`],
    ['of JetStream', (conf: string) => conf.replace('sync_interval', 'no_such_setting')],
    ['of the cluster', (conf: string) => conf.replace('no_advertise', 'no_such_setting')],
  ])('refuses a setting %s that it does not know', (_, spoil) => {
    const conf = spoil(natsConfIn(stateWith({ nats_version: version })));
    expect(check(version, conf)).toEqual({ accepted: false, said: expect.stringContaining('no_such_setting') });
  });
});

/** The arguments by which a server reads the configuration, with the files of `root`. */
function configure(conf: string): string[] {
  const file = join(root, 'nats.conf');
  writeFileSync(file, conf.replaceAll(/"(?=\/(etc|data|var)\/)/g, `"${root}`));
  return ['-c', file];
}

const environment = { POD_NAME: 'nats-0' };

/** What the server says of a configuration: it reads the files that are named in it, and starts nothing. */
function check(version: string, conf: string): { accepted: boolean; said: string } {
  const { status, stdout, stderr } = spawnSync(tool(`${prefix}${version}`), ['-t', ...configure(conf)], {
    encoding: 'utf8',
    env: environment,
  });
  return { accepted: status === 0, said: `${stdout}${stderr}` };
}

/**
 * What the server says until it is ready, or until it ends: some settings it judges only at its start. Its ports are random.
 *
 * @param whileReady what to do with a server that is ready; `said` is what it has said by then
 */
async function start(
  version: string,
  conf: string,
  whileReady: (said: () => string) => Promise<void> = async () => {},
): Promise<string> {
  const server = spawn(tool(`${prefix}${version}`), configure(conf.replaceAll(/port: \d+/g, 'port: -1')), {
    env: environment,
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 20_000,
    killSignal: 'SIGKILL',
  });
  const ended = once(server, 'exit');
  let said = '';
  const ready = new Promise<boolean>((resolve) => {
    server.stderr.setEncoding('utf8').on('data', (text) => {
      said += text;
      if (said.includes('Server is ready')) resolve(true);
    });
  });
  try {
    if (await Promise.race([ready, ended.then(() => false)])) await whileReady(() => said);
  } finally {
    server.kill('SIGKILL');
    await ended;
    rmSync(join(root, PATHS.data), { recursive: true, force: true });
  }
  return said;
}

/** Files such as cert-manager's: the certificate signs itself and is its own CA. */
async function makeCertificate(directory: string): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'tls.key'];
  await run(['openssl', 'req', '-x509', '-subj', '/CN=nats', ...key, '-out', 'tls.crt'], { directory });
  await run(['cp', 'tls.crt', 'ca.crt'], { directory });
}
