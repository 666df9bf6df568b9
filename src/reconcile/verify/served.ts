import type { X509Certificate } from 'node:crypto';
import { CLOCK_SKEW } from '../../clock.ts';
import { secretName } from '../../desired/names.ts';
import { dig, digObjects, digText } from '../../json.ts';
import type { KubeObject } from '../../kube/object.ts';
import { PORTS, SERVER_CONTAINER } from '../../nats/layout.ts';
import { Problem } from '../../problem.ts';
import type { RunContext } from '../context.ts';
import { asHolder } from '../lock/holder.ts';
import { podsOf } from '../servers/pods.ts';
import { touchPods } from '../servers/rollout.ts';
import { until } from '../until.ts';
import { certificatesIn, readPair } from '../write/secrets.ts';
import { servedCertificate } from './served-certificate.ts';

/**
 * Milliseconds that a kubelet may take to bring a changed Secret to its pods: it looks about once a minute, up to half a
 * minute late, and the server loads it seconds after.
 * https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod
 */
const KUBELET_DELAY = 120_000;

/** Milliseconds after which a server that shows no certificate is taken for one that cannot be looked at. */
const SILENCE = 30_000;

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
 * has had the time, and serves another one: a certificate that nobody loads is noticed else when the old one expires. A
 * server that shows none is told in a warning alone, as it may be healthy: at max_connections it takes nobody more.
 */
export async function verifyServed(context: RunContext): Promise<void> {
  const { clock, log, report, namespace, name } = context;
  const started = clock.now();
  const changed = report.changes.length > 0;
  const hastened = new Set<string>();
  await until(
    {
      ...context,
      every: 2_000,
      tried: `Verifying that the servers of ${name} serve their present certificates`,
      next: `Look at: kubectl -n ${namespace} get pods. A longer input timeout helps when nodes are slow.`,
    },
    async () => {
      const showings = await lookAtServers(context);
      const silent = showings.filter(({ shown }) => shown === null);
      const outdated = showings.filter(
        ({ shown, secret }) => shown && shown.fingerprint256 !== secret.leaf.fingerprint256,
      );
      const waited = clock.now() - started;
      const late = outdated.filter(({ secret }) =>
        changed ? waited > KUBELET_DELAY : clock.now() - secret.changed > KUBELET_DELAY + CLOCK_SKEW,
      );
      if (late.length > 0) throw await explainLate(context, late);
      const awaited = [...(waited < SILENCE ? silent : []), ...(changed ? outdated : [])];
      if (awaited.length === 0) {
        for (const showing of silent) log.warning(`${missing(showing)}: a server at max_connections shows none`);
        for (const showing of outdated) log.info(`${missing(showing)}; its kubelet brings it within two minutes`);
        return { done: true };
      }
      if (changed) await hasten(context, outdated, hastened);
      return { done: false, missing: awaited.map(missing).join('; ') };
    },
  );
}

/** Touches each pod once, and remembers which. */
async function hasten(context: RunContext, outdated: Showing[], hastened: Set<string>): Promise<void> {
  const showings = outdated.filter(({ pod }) => !hastened.has(pod));
  if (showings.length === 0) return;
  const pods = distinct(showings.map(({ pod }) => pod));
  for (const pod of pods) hastened.add(pod);
  await touchPods(asHolder(context, `hasten ${pods.join(', ')}`), pods, distinct(showings.map(serialNumber)).join('-'));
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

/** When its certificate was last written: the certificate itself is valid from before that, by its CA's choice. */
function lastChange({ metadata }: KubeObject): number {
  const writers = digObjects(metadata, 'managedFields').filter(
    ({ fieldsV1 }) => dig(fieldsV1, 'f:data', 'f:tls.crt') !== undefined,
  );
  return Math.max(0, ...writers.map(({ time }) => Date.parse(String(time))));
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

function distinct(texts: string[]): string[] {
  return [...new Set(texts)];
}

/** As an error, with each server's last words on reloading written to the log first. */
async function explainLate(context: RunContext, late: Showing[]): Promise<Problem> {
  const { log, clock, namespace, name } = context;
  const pods = distinct(late.map(({ pod }) => pod));
  const words = (await Promise.all(pods.map((pod) => wordsOnReloading(context, pod)))).flat();
  for (const line of words) log.info(`  ${line}`);
  return new Problem({
    kind: 'unhealthy',
    tried: `Verifying that the servers of ${name} serve their present certificates`,
    reason: 'They have had the time to load them, and serve older ones, as they would until those expire.',
    findings: late.map(({ pod, port, shown, secret }) => {
      const minutes = Math.round((clock.now() - secret.changed) / 60_000);
      return `${pod} serves ${certificateText(shown)} on port ${port}; Secret ${secret.name} has had ${certificateText(secret.leaf)} for ${minutes} min`;
    }),
    next:
      (words.length > 0
        ? 'The lines above are what the servers logged last about reloading: correct what they name. '
        : `The servers logged nothing about reloading: look at kubectl -n ${namespace} logs ${pods[0]} -c reloader. `) +
      `A server that is restarted loads what its Secret has: kubectl -n ${namespace} delete pod NAME, one after another.`,
  });
}

async function wordsOnReloading({ kube, namespace }: RunContext, pod: string): Promise<string[]> {
  const text = await kube.podLog(namespace, pod, SERVER_CONTAINER, { tailLines: 500, previous: false });
  const lines = text.split('\n').filter((line) => /reload/i.test(line));
  return lines.slice(-LOG_LINES).map((line) => `${pod}  ${line}`);
}

/** "certificate 3A4B, valid from 2026-11-22T22:00:00Z to 2026-12-22T22:00:00Z" */
function certificateText(certificate: X509Certificate | null): string {
  if (certificate === null) return 'no certificate';
  const time = (date: Date) => date.toISOString().replace(/\.\d+/, '');
  return `certificate ${certificate.serialNumber}, valid from ${time(certificate.validFromDate)} to ${time(certificate.validToDate)}`;
}
