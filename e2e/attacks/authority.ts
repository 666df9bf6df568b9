import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Credentials } from '../nats.ts';
import { run } from '../sandbox/process.ts';

/** What a certificate says. */
export interface Request {
  commonName: string;
  /** Subject alternative names as OpenSSL writes them: "DNS:a", "IP:127.0.0.1". */
  names?: string[];
  usages: ('clientAuth' | 'serverAuth')[];
  /** Days from now; by default it is valid from yesterday to tomorrow. */
  from?: number;
  until?: number;
}

/** A certificate authority of these tests, by the openssl program: it signs whatever it is asked to, at any time. */
export class Authority {
  readonly #directory: string;
  /** Its own certificate and key; PEM. */
  readonly certificate: string;
  readonly key: string;
  /** What is shown with each of its certificates between it and the root, which is what peers trust. */
  readonly #chain: string;
  readonly #root: string;

  private constructor(directory: string, certificate: string, key: string, chain: string, root: string) {
    this.#directory = directory;
    this.certificate = certificate;
    this.key = key;
    this.#chain = chain;
    this.#root = root;
    writeFileSync(join(directory, 'ca.crt'), certificate);
    writeFileSync(join(directory, 'ca.key'), key, { mode: 0o600 });
    writeFileSync(join(directory, 'ca.conf'), CONFIGURATION);
  }

  /** A root of that name. */
  static async create(name: string): Promise<Authority> {
    const directory = mkdtempSync(join(tmpdir(), 'attacks-ca-'));
    const made = ['-x509', '-days', '3650', '-subj', `/CN=${name}`, '-addext', 'keyUsage=critical,keyCertSign,cRLSign'];
    await run(['openssl', 'req', ...made, ...newKey, '-keyout', 'root.key', '-out', 'root.crt'], { directory });
    const file = (extension: string): string => readFileSync(join(directory, `root.${extension}`), 'utf8');
    return new Authority(directory, file('crt'), file('key'), '', file('crt'));
  }

  /** One that signs with the key of an ordinary certificate, and shows that certificate as if it were an authority's. */
  static pretend({ ca, cert, key }: Credentials): Authority {
    return new Authority(mkdtempSync(join(tmpdir(), 'attacks-ca-')), cert, key, cert, ca);
  }

  /** Signs a certificate with a new key. */
  async issue({ commonName, names = [], usages, from = -1, until = 1 }: Request): Promise<Credentials> {
    const directory = mkdtempSync(join(this.#directory, 'certificate-'));
    const extensions = [
      'basicConstraints = critical, CA:FALSE',
      'keyUsage = critical, digitalSignature',
      `extendedKeyUsage = ${usages.join(', ')}`,
      ...(names.length === 0 ? [] : [`subjectAltName = ${names.join(', ')}`]),
    ];
    writeFileSync(join(directory, 'extensions'), extensions.join('\n'));
    // Its list of what it has issued is each certificate's own, so that several are signed side by side.
    writeFileSync(join(directory, 'index'), '');
    const subject = ['-subj', `/CN=${commonName}`];
    await run(['openssl', 'req', '-new', ...subject, ...newKey, '-keyout', 'key', '-out', 'csr'], { directory });
    const times = ['-startdate', time(from), '-enddate', time(until)];
    const files = ['-config', '../ca.conf', '-extfile', 'extensions', '-in', 'csr', '-out', 'cert'];
    await run(['openssl', 'ca', '-batch', '-notext', ...times, ...files], { directory });
    const file = (name: string): string => readFileSync(join(directory, name), 'utf8');
    return { ca: this.#root, cert: file('cert') + this.#chain, key: file('key') };
  }

  /** Removes its files. */
  forget(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** A certificate that signs itself. */
export async function selfSigned({ commonName, names = [], usages }: Request): Promise<Credentials> {
  const directory = mkdtempSync(join(tmpdir(), 'attacks-self-'));
  const alternatives = names.length === 0 ? [] : ['-addext', `subjectAltName=${names.join(',')}`];
  const made = ['-x509', '-days', '1', '-subj', `/CN=${commonName}`, '-addext', `extendedKeyUsage=${usages.join(',')}`];
  await run(['openssl', 'req', ...made, ...alternatives, ...newKey, '-keyout', 'key', '-out', 'cert'], { directory });
  const cert = readFileSync(join(directory, 'cert'), 'utf8');
  const key = readFileSync(join(directory, 'key'), 'utf8');
  rmSync(directory, { recursive: true });
  return { ca: cert, cert, key };
}

/** A certificate signing request for that key; PEM. */
export async function signingRequest(subject: string, names: string[]): Promise<{ csr: string; key: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'attacks-csr-'));
  const alternatives = names.length === 0 ? [] : ['-addext', `subjectAltName=${names.join(',')}`];
  const made = ['-new', '-subj', subject, ...alternatives, ...newKey, '-keyout', 'key', '-out', 'csr'];
  await run(['openssl', 'req', ...made], { directory });
  const csr = readFileSync(join(directory, 'csr'), 'utf8');
  const key = readFileSync(join(directory, 'key'), 'utf8');
  rmSync(directory, { recursive: true });
  return { csr, key };
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** As `openssl ca` takes it: 20261122223000Z. */
function time(days: number): string {
  const [moment = ''] = new Date(Date.now() + days * 86_400_000).toISOString().split('.');
  return `${moment.replaceAll(/\D/g, '')}Z`;
}

const CONFIGURATION = `[ca]
default_ca = authority
[authority]
database = index
new_certs_dir = .
certificate = ../ca.crt
private_key = ../ca.key
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = supplied
`;
