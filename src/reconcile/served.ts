import type { X509Certificate } from 'node:crypto';
import { secretName } from '../desired/names.ts';
import { digObjects, digText } from '../json.ts';
import type { KubeObject } from '../kube/object.ts';
import { PORTS, SERVER_CONTAINER } from '../nats/layout.ts';
import { Problem } from '../problem.ts';
import type { RunContext } from './context.ts';
import { podsOf, touchPods } from './rollout.ts';
import { certificatesIn, readPair } from './secrets.ts';
import { servedCertificate } from './served-certificate.ts';
import { until } from './until.ts';

/**
 * Milliseconds that a kubelet may take to bring a changed Secret to its pods: it looks about once a minute, up to half a
 * minute late, and the server loads it seconds after.
 * https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod
 */
const KUBELET_DELAY = 120_000;

const LOG_LINES = 4;

/** Whose certificate is shown on a port, and by whose a connection is trusted there. */
const TO_CLIENTS = { port: PORTS.client, shows: 'server', trusts: 'reader' } as const;
const TO_SERVERS = { port: PORTS.cluster, shows: 'cluster', trusts: 'cluster' } as const;

/** What one server should show on one of its ports, and what it does show. */
interface Showing {
  pod: string;
  port: number;
  secret: IssuedSecret;
  /** Null where none was shown. */
  shown: X509Certificate | null;
}

interface IssuedSecret {
  name: string;
  leaf: X509Certificate;
  /** Milliseconds since the epoch. */
  changed: number;
}

/**
 * Checks by TLS handshakes that every server serves the certificates of its Secrets. A run that has changed something
 * hastens what the kubelets have not brought yet, and waits for it; one that has not only tells. Rejects where a server
 * has had the time, and serves another one: a certificate that nobody loads is noticed else when the old one expires.
 */
export async function verifyServed(context: RunContext): Promise<void> {
  const { clock, log, report, namespace, name } = context;
  let touched = false;
  await until(
    {
      ...context,
      every: 2_000,
      tried: `Verifying that the servers of ${name} serve their present certificates`,
      next: `Look at: kubectl -n ${namespace} get pods. A longer input timeout helps when nodes are slow.`,
    },
    async () => {
      const showings = await lookAtServers(context);
      const stale = showings.filter(({ shown, secret }) => shown?.fingerprint256 !== secret.leaf.fingerprint256);
      const late = stale.filter(({ shown, secret }) => shown !== null && clock.now() - secret.changed > KUBELET_DELAY);
      if (late.length > 0) throw await explainLate(context, late);
      if (stale.length === 0) return { done: true };
      const silent = stale.some(({ shown }) => shown === null);
      if (!silent && report.changes.length === 0) {
        for (const showing of stale) log.info(`${missing(showing)}; its kubelet brings it within two minutes`);
        return { done: true };
      }
      if (!silent && !touched) {
        touched = true;
        await touchPods(context, unique(stale.map(({ pod }) => pod)), unique(stale.map(serialNumber)).join('-'));
      }
      return { done: false, missing: stale.map(missing).join('; ') };
    },
  );
}

/** What every server shows on its ports, to who may connect there: it would log an error of anybody else. */
async function lookAtServers(context: RunContext): Promise<Showing[]> {
  const { kube, namespace, name, inputs } = context;
  const ports = inputs.replicas > 1 ? [TO_CLIENTS, TO_SERVERS] : [TO_CLIENTS];
  const [pods, ...expected] = await Promise.all([
    podsOf(context),
    ...ports.map(async ({ port, shows, trusts }) => {
      const [secret, client] = await Promise.all([
        issuedSecret(context, secretName(name, shows)),
        readPair(context, trusts),
      ]);
      return { port, secret, client: client ?? undefined };
    }),
  ]);
  const showings = pods.flatMap(({ metadata: { name: pod } }) =>
    expected.map(async ({ port, secret, client }) => {
      const shown = await servedCertificate(kube, namespace, pod, port, client);
      return { pod, port, secret, shown };
    }),
  );
  return Promise.all(showings);
}

async function issuedSecret({ kube, namespace }: RunContext, name: string): Promise<IssuedSecret> {
  const secret = await kube.get('Secret', namespace, name);
  const [leaf] = certificatesIn(Buffer.from(digText(secret?.data, 'tls.crt'), 'base64').toString('utf8'));
  if (secret === null || leaf === undefined) throw goneSecret(namespace, name);
  return { name, leaf, changed: lastChange(secret) };
}

/** When somebody last wrote a field of the object: cert-manager's validity begins before it signs, by its CA's choice. */
function lastChange({ metadata }: KubeObject): number {
  const times = digObjects(metadata, 'managedFields').map(({ time }) => Date.parse(String(time)));
  return Math.max(0, ...times.filter((time) => !Number.isNaN(time)));
}

function goneSecret(namespace: string, name: string): Problem {
  return new Problem({
    kind: 'unhealthy',
    tried: `Reading the certificate of Secret ${namespace}/${name}`,
    reason: 'Somebody deleted it during the run.',
    next: 'Run again: cert-manager issues it again within seconds.',
  });
}

function missing({ pod, port, secret, shown }: Showing): string {
  return shown === null
    ? `${pod} shows no certificate on port ${port}`
    : `${pod} has not loaded the new certificate of Secret ${secret.name} yet`;
}

function serialNumber({ secret: { leaf } }: Showing): string {
  return leaf.serialNumber;
}

function unique(texts: string[]): string[] {
  return [...new Set(texts)];
}

/** As an error, with each server's last words on reloading written to the log first. */
async function explainLate(context: RunContext, late: Showing[]): Promise<Problem> {
  const { kube, log, clock, namespace, name } = context;
  for (const pod of unique(late.map(({ pod }) => pod))) {
    const text = await kube.podLog(namespace, pod, SERVER_CONTAINER, { tailLines: 500, previous: false });
    const lines = text.split('\n').filter((line) => /reload/i.test(line));
    for (const line of lines.slice(-LOG_LINES)) log.info(`  ${pod}  ${line}`);
  }
  const [first] = late;
  return new Problem({
    kind: 'unhealthy',
    tried: `Verifying that the servers of ${name} serve their present certificates`,
    reason: 'They serve older ones, and would until those expire.',
    findings: late.map(({ pod, port, shown, secret }) => {
      const minutes = Math.round((clock.now() - secret.changed) / 60_000);
      return `${pod} serves ${describe(shown)} on port ${port}; Secret ${secret.name} has had ${describe(secret.leaf)} for ${minutes} min`;
    }),
    next:
      "What the servers' last words on reloading name is above: correct it. Without any, look at the reloader: " +
      `kubectl -n ${namespace} logs ${first?.pod ?? ''} -c reloader. A server that is restarted loads what its Secret ` +
      `has: kubectl -n ${namespace} delete pod NAME, one after another.`,
  });
}

/** "certificate 3A4B, valid from 2026-11-22T22:00:00Z to 2026-12-22T22:00:00Z" */
function describe(certificate: X509Certificate | null): string {
  if (certificate === null) return 'no certificate';
  const time = (date: Date) => date.toISOString().replace(/\.\d+/, '');
  return `certificate ${certificate.serialNumber}, valid from ${time(certificate.validFromDate)} to ${time(certificate.validToDate)}`;
}
