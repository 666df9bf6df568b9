import { createPrivateKey, X509Certificate } from 'node:crypto';
import { ROLES, type Role, secretName, userName } from '../desired/names.ts';
import { digText } from '../json.ts';
import { metaLeader, REPORT_PATHS, type ServerReport, whatIsMissing } from '../nats/health.ts';
import { PORTS } from '../nats/layout.ts';
import { Problem } from '../problem.ts';
import type { RunContext } from './context.ts';
import { outsiderRestarts } from './outsiders.ts';
import { podSelector, podsOf } from './rollout.ts';
import { until } from './until.ts';

/** Waits until the servers themselves tell that the cluster is whole. Resolves to the meta leader's name, '' for one server. */
export async function verifyServers(context: RunContext): Promise<string> {
  const { namespace, name, inputs } = context;
  const restartOutsiders = outsiderRestarts(context);
  let leader = '';
  await until(
    {
      ...context,
      tried: `Verifying that JetStream of ${name} is whole`,
      next: `Look at: kubectl -n ${namespace} logs -l ${podSelector(name)} -c nats --tail=50`,
    },
    async () => {
      const reports = await serverReports(context);
      await restartOutsiders(reports);
      const missing = whatIsMissing(reports, inputs.replicas);
      leader = metaLeader(reports);
      return missing === null ? { done: true } : { done: false, missing };
    },
  );
  return leader;
}

async function serverReports(context: RunContext): Promise<ServerReport[]> {
  const { kube, namespace } = context;
  const pods = await podsOf(context);
  return Promise.all(
    pods.map(async ({ metadata: { name: server } }) => {
      const [jsz, routez] = await Promise.all([
        kube.getFromPod(namespace, server, PORTS.monitoring, REPORT_PATHS.jsz),
        kube.getFromPod(namespace, server, PORTS.monitoring, REPORT_PATHS.routez),
      ]);
      return { server, jsz, routez };
    }),
  );
}

/** A certificate with its chain, its key and the CA that verifies the other side; PEM. */
interface Pair {
  certificate: string;
  key: string;
  authority: string;
}

/**
 * Checks that each role's Secret holds what a client needs: a certificate for the role's user that is valid now and that
 * the CA of Vault's PKI mount signed, and its key; and that clients and servers trust each other.
 *
 * @param authorities PEM of the certificates at the PKI mount
 */
export async function verifyCredentials(context: RunContext, authorities: string): Promise<void> {
  const servers = await readPair(context, secretName(context.name, 'server'));
  const findings = await Promise.all(ROLES.map((role) => credentialsFinding(context, role, authorities, servers)));
  const wrong = findings.filter((finding) => finding !== null);
  if (wrong.length === 0) return;
  const { namespace, name } = context;
  throw new Problem({
    kind: 'unhealthy',
    tried: `Verifying the credentials of ${name}`,
    reason: 'Clients could not log in with them.',
    findings: wrong,
    next:
      `Delete the Secrets that are named (kubectl -n ${namespace} delete secret NAME): cert-manager issues them again ` +
      'within seconds. Where the CA has changed delete those of the servers as well ' +
      `(${secretName(name, 'server')}, ${secretName(name, 'cluster')}), and have clients load theirs again. Then run again.`,
  });
}

async function credentialsFinding(
  context: RunContext,
  role: Role,
  authorities: string,
  servers: Pair | null,
): Promise<string | null> {
  const { name, clock } = context;
  const secret = secretName(name, role);
  const pair = await readPair(context, secret);
  if (pair === null) return `Secret ${secret} does not exist`;
  const flaw =
    credentialsFlaw(pair.certificate, pair.key, authorities, userName(name, role), clock.now()) ??
    trustFlaw(pair, servers);
  return flaw === null ? null : `Secret ${secret}: ${flaw}`;
}

async function readPair({ kube, namespace }: RunContext, secret: string): Promise<Pair | null> {
  const found = await kube.get('Secret', namespace, secret);
  if (found === null) return null;
  const pem = (key: string) => Buffer.from(digText(found.data, key), 'base64').toString('utf8');
  return { certificate: pem('tls.crt'), key: pem('tls.key'), authority: pem('ca.crt') };
}

/** Why client and servers refuse each other though each certificate is good; null when they do not. */
function trustFlaw(client: Pair, servers: Pair | null): string | null {
  if (servers === null) return 'the servers have no certificate';
  if (!verifies(client.certificate, servers.authority)) return 'the servers do not trust the CA that signed it';
  if (!verifies(servers.certificate, client.authority)) return "its ca.crt does not verify the servers' certificate";
  return null;
}

/** What is wrong with a client certificate; null when it is good at `now` (milliseconds). Never quotes a key. */
export function credentialsFlaw(
  certificate: string,
  key: string,
  authorities: string,
  user: string,
  now: number,
): string | null {
  const [leaf] = certificatesIn(certificate);
  if (leaf === undefined) return 'tls.crt holds no certificate';
  if (!matchesKey(leaf, key)) return 'tls.key is not the key of tls.crt';
  if (leaf.checkHost(user) === undefined) return `the certificate is not for the NATS user ${user}`;
  if (now < leaf.validFromDate.getTime()) return `the certificate is not valid before ${leaf.validFrom}`;
  if (now > leaf.validToDate.getTime()) return `the certificate has expired: ${leaf.validTo}`;
  if (!verifies(certificate, authorities)) return "the CA of Vault's PKI mount did not sign it";
  return null;
}

function matchesKey(leaf: X509Certificate, key: string): boolean {
  try {
    return leaf.checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

/** Whether the first of the certificates, over the others, leads to one of the authorities; PEM. */
function verifies(certificates: string, authorities: string): boolean {
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
function certificatesIn(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    return [];
  }
}
