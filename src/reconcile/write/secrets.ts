import { createPrivateKey, X509Certificate } from 'node:crypto';
import { CLOCK_SKEW } from '../../clock.ts';
import { selectorLabels } from '../../desired/labels.ts';
import { type Purpose, ROLES, secretName } from '../../desired/names.ts';
import { dig, digText, textsIn } from '../../json.ts';
import { labelSelector } from '../../kube/client.ts';
import { Problem } from '../../problem.ts';
import { caCertificates } from '../../vault/authority.ts';
import type { RunContext } from '../context.ts';
import { until } from '../until.ts';

/** Milliseconds in which cert-manager has long replaced a pair that does not fit; measured: within 2 s. */
const REPAIR_TIME = 10_000;

/** A certificate with its chain, its key and the CA that verifies the other side; PEM. */
export interface Pair {
  certificate: string;
  key: string;
  authority: string;
}

interface Flaw {
  words: string;
  remedy: Remedy;
}

interface Finding extends Flaw {
  purpose: Purpose;
}

/** What is to be done about a flaw. */
type Remedy = 'reissue' | 'authority' | 'clock';

const REMEDIES: { [R in Remedy]: (context: RunContext) => string } = {
  reissue: ({ namespace, inputs }) =>
    `See that cert-manager runs (kubectl -n ${inputs.cert_manager_namespace} get pods): by itself it replaces what does not ` +
    `fit. What it leaves, delete (kubectl -n ${namespace} delete secret NAME): it issues it again within seconds.`,
  authority: ({ namespace, name }) =>
    'The CA is not the one that signed: where that was meant, have all certificates issued again, those of the servers ' +
    `(${secretName(name, 'server')}, ${secretName(name, 'cluster')}) as well (kubectl -n ${namespace} delete secret NAME), ` +
    'and clients load theirs anew. Else correct vault_internal_pki_backend_mount_path or certificate_issuer.',
  clock: () => 'Set the clock of the machine that this runs on.',
};

/**
 * Checks what the Secrets of the roles and of the servers hold: a certificate for all names of its Certificate that is
 * valid now, its key, and the CA that it needs; and that clients and servers trust each other. A flaw that cert-manager
 * repairs by itself is waited for; rejects with all others, and never quotes a key.
 */
export async function verifySecrets(context: RunContext): Promise<void> {
  const { clock, name, inputs, vault } = context;
  const authorities = await caCertificates(vault, inputs.vault_internal_pki_backend_mount_path);
  const patience = clock.now() + REPAIR_TIME;
  const tried = `Verifying the certificates of ${name}`;
  await until({ ...context, tried, next: REMEDIES.reissue(context) }, async () => {
    const findings = await findFlaws(context, authorities);
    if (findings.length === 0) return { done: true };
    if (clock.now() >= patience) throw problemOf(context, tried, findings);
    const missing = findings.map((finding) => sentence(context, finding)).join('; ');
    return { done: false, missing, next: nextStep(context, findings) };
  });
}

async function findFlaws(context: RunContext, authorities: string): Promise<Finding[]> {
  const { kube, namespace, name, inputs, clock } = context;
  const servers: Purpose[] = inputs.replicas > 1 ? ['server', 'cluster'] : ['server'];
  const [certificates, trusted] = await Promise.all([
    kube.list('Certificate', namespace, { labels: labelSelector(selectorLabels(name)) }),
    readPair(context, 'server'),
  ]);
  const findings = await Promise.all(
    [...ROLES, ...servers].map(async (purpose): Promise<Finding[]> => {
      const pair = purpose === 'server' ? trusted : await readPair(context, purpose);
      if (pair === null) return [{ purpose, words: 'it does not exist', remedy: 'reissue' }];
      const certificate = certificates.find(({ metadata }) => metadata.name === secretName(name, purpose));
      const dnsNames = textsIn(dig(certificate?.spec, 'dnsNames'));
      const flaw =
        pairFlaw(pair, dnsNames, clock.now()) ??
        (isServers(purpose) ? ownFlaw(pair) : clientFlaw(pair, authorities, trusted));
      return flaw === null ? [] : [{ purpose, ...flaw }];
    }),
  );
  return findings.flat();
}

/** What the Secret of a role or of the servers holds; null where it does not exist. */
export async function readPair({ kube, namespace, name }: RunContext, purpose: Purpose): Promise<Pair | null> {
  const found = await kube.get('Secret', namespace, secretName(name, purpose));
  if (found === null) return null;
  const pem = (key: string) => Buffer.from(digText(found.data, key), 'base64').toString('utf8');
  return { certificate: pem('tls.crt'), key: pem('tls.key'), authority: pem('ca.crt') };
}

function isServers(purpose: Purpose): boolean {
  return purpose === 'server' || purpose === 'cluster';
}

function problemOf(context: RunContext, tried: string, findings: Finding[]): Problem {
  const servers = findings.some(({ purpose }) => isServers(purpose));
  const clients = findings.some(({ purpose }) => !isServers(purpose));
  return new Problem({
    kind: 'unhealthy',
    tried,
    reason: [
      ...(clients ? ['Clients could not log in with them.'] : []),
      ...(servers
        ? [
            'The servers keep the certificates that they have loaded and refuse every change of their configuration, and one that restarts does not come up.',
          ]
        : []),
    ].join(' '),
    findings: findings.map((finding) => sentence(context, finding)),
    next: nextStep(context, findings),
  });
}

function sentence({ name }: RunContext, { purpose, words }: Finding): string {
  return `Secret ${secretName(name, purpose)}: ${words}`;
}

function nextStep(context: RunContext, findings: Finding[]): string {
  const remedies = new Set(findings.map(({ remedy }) => remedy));
  return [...[...remedies].map((remedy) => REMEDIES[remedy](context)), 'Then run again.'].join(' ');
}

/**
 * What is wrong with a certificate and its key; null when they are good at `now` (milliseconds). A CA that does not
 * backdate what it signs must not fail who looks at it from a machine whose clock is a little behind.
 */
export function pairFlaw({ certificate, key }: Omit<Pair, 'authority'>, names: string[], now: number): Flaw | null {
  const [leaf] = certificatesIn(certificate);
  if (leaf === undefined) return reissue('tls.crt holds no certificate');
  if (!matchesKey(leaf, key)) return reissue('tls.key is not the key of tls.crt');
  const missing = names.filter((name) => leaf.checkHost(name) === undefined);
  if (missing.length > 0) return reissue(`the certificate is not for ${missing.join(', ')}`);
  if (now + CLOCK_SKEW < leaf.validFromDate.getTime()) {
    const here = new Date(now).toISOString();
    return { words: `the certificate is not valid before ${leaf.validFrom}, and here it is ${here}`, remedy: 'clock' };
  }
  if (now > leaf.validToDate.getTime()) return reissue(`the certificate has expired: ${leaf.validTo}`);
  return null;
}

function clientFlaw(client: Pair, authorities: string, servers: Pair | null): Flaw | null {
  if (!verifies(client.certificate, authorities)) return distrusted("the CA of Vault's PKI mount did not sign it");
  if (servers === null) return reissue('the servers have no certificate');
  if (!verifies(client.certificate, servers.authority)) {
    return distrusted('the servers do not trust the CA that signed it');
  }
  if (!verifies(servers.certificate, client.authority)) {
    return distrusted("its ca.crt does not verify the servers' certificate");
  }
  return null;
}

/** The servers among themselves trust by their own ca.crt, which is why the CA of a ClusterIssuer has to be that of Vault's mount. */
function ownFlaw({ certificate, authority }: Pair): Flaw | null {
  return verifies(certificate, authority) ? null : distrusted('its ca.crt does not verify its tls.crt');
}

function reissue(words: string): Flaw {
  return { words, remedy: 'reissue' };
}

function distrusted(words: string): Flaw {
  return { words, remedy: 'authority' };
}

function matchesKey(leaf: X509Certificate, key: string): boolean {
  try {
    return leaf.checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

/** Whether the first of the certificates, over the others, leads to one of the authorities; PEM. */
export function verifies(certificates: string, authorities: string): boolean {
  const [leaf, ...intermediates] = certificatesIn(certificates);
  return leaf !== undefined && isSigned(leaf, intermediates, certificatesIn(authorities));
}

/** Whether the certificate, over intermediates, leads to one of the authorities. */
function isSigned(leaf: X509Certificate, intermediates: X509Certificate[], authorities: X509Certificate[]): boolean {
  const signedBy = (issuer: X509Certificate) => leaf.checkIssued(issuer) && leaf.verify(issuer.publicKey);
  if (authorities.some(signedBy)) return true;
  return intermediates.filter(signedBy).some((issuer) => {
    const others = intermediates.filter((other) => other !== issuer);
    return isSigned(issuer, others, authorities);
  });
}

/** The certificates of a PEM text; none where one of them cannot be read. */
export function certificatesIn(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    return [];
  }
}
