import { selectorLabels } from '../../desired/labels.ts';
import { isJsonObject, type JsonObject } from '../../json.ts';
import { labelSelector } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { MANAGER } from '../../manager.ts';
import { Problem } from '../../problem.ts';
import { together } from '../../together.ts';
import { checkHealth } from '../../vault/preflight.ts';
import type { RunContext } from '../context.ts';
import { asHolder } from '../lock/holder.ts';
import { type Progress, until } from '../until.ts';

/** Milliseconds in which certificates are issued else: a Vault that is sealed or gone by now is the likely cause. */
const ASK_VAULT_EVERY = 10_000;

/**
 * Waits until cert-manager has issued every Certificate of the cluster for its present spec. A refused request ends the
 * wait at once with the refusal's words, as cert-manager tries again only an hour later; a refused renewal does so too,
 * as it would else be noticed when the certificate expires. A Vault that was sealed meanwhile ends it too.
 */
export async function waitForCertificates(context: RunContext): Promise<void> {
  const { kube, vault, clock, namespace, name } = context;
  const labels = labelSelector(selectorLabels(name));
  let asked = clock.now();
  await until(
    {
      ...context,
      tried: `Waiting for the certificates of ${name}`,
      next: `Look at cert-manager's log, and at: kubectl -n ${namespace} describe issuers,certificates -l ${labels}`,
    },
    async () => {
      const [certificates, issuers] = await Promise.all([
        kube.list('Certificate', namespace, { labels }),
        kube.list('Issuer', namespace, { labels }),
      ]);
      failOnRefusal(certificates);
      const waiting = certificates.filter((certificate) => !isReady(certificate) || isIssuing(certificate));
      if (waiting.length > 0 && clock.now() - asked >= ASK_VAULT_EVERY) {
        await checkHealth(vault);
        asked = clock.now();
      }
      return progressOf(
        waiting,
        issuers.filter((issuer) => !isReady(issuer)),
      );
    },
  );
}

/**
 * Asks cert-manager for a new try of Certificates whose last request was refused: by itself it waits for an hour, then
 * longer (https://cert-manager.io/docs/usage/certificate/#reissuance-triggered-by-failures). The way of `cmctl renew`.
 */
export async function retryRefused(context: RunContext): Promise<void> {
  const { clock, log, namespace, name } = context;
  const certificates = await context.kube.list('Certificate', namespace, {
    labels: labelSelector(selectorLabels(name)),
  });
  const refused = certificates.filter(isRefused);
  if (refused.length === 0) return;
  const { kube } = asHolder(context, `ask for ${refused.map(({ metadata }) => metadata.name).join(', ')} again`);
  await together(
    refused.map(async (certificate) => {
      const conditions = conditionsOf(certificate).filter(({ type }) => type !== 'Issuing');
      const issuing = {
        type: 'Issuing',
        status: 'True',
        reason: 'ManuallyTriggered',
        message: `The last request was refused; ${MANAGER} asks again`,
        lastTransitionTime: new Date(clock.now()).toISOString().replace(/\.\d+Z/, 'Z'),
        observedGeneration: Number(certificate.metadata.generation),
      };
      const status = { conditions: [...conditions, issuing] };
      await kube.patch('Certificate', namespace, certificate.metadata.name, { status }, 'status');
      log.info(`Asked cert-manager to request Certificate ${certificate.metadata.name} again`);
    }),
  );
}

function progressOf(waiting: KubeObject[], issuers: KubeObject[]): Progress {
  if (waiting.length === 0) return { done: true };
  const names = waiting.map(({ metadata }) => metadata.name).join(', ');
  const [issuer] = issuers;
  const because =
    issuer === undefined
      ? ''
      : ` (Issuer ${issuer.metadata.name}: ${messageOf(issuer, 'Ready') || 'not looked at by cert-manager yet'})`;
  return { done: false, missing: `not issued yet: ${names}${because}` };
}

function failOnRefusal(certificates: KubeObject[]): void {
  const refused = certificates.find(isRefused);
  if (refused === undefined) return;
  throw new Problem({
    kind: 'vault',
    tried: `Issuing Certificate ${refused.metadata.namespace}/${refused.metadata.name}`,
    reason: `${messageOf(refused, 'Issuing') || 'cert-manager gives no reason'}.`,
    next: 'Correct what the message names and run again: the run asks cert-manager for a new try at once.',
  });
}

function isRefused(certificate: KubeObject): boolean {
  const issuing = conditionsOf(certificate).find(({ type }) => type === 'Issuing');
  return issuing?.status === 'False' && issuing.reason === 'Failed';
}

function isIssuing(certificate: KubeObject): boolean {
  return conditionsOf(certificate).some(({ type, status }) => type === 'Issuing' && status === 'True');
}

/** cert-manager keeps the observed generation per condition only. */
function isReady(object: KubeObject): boolean {
  const ready = conditionsOf(object).find(({ type }) => type === 'Ready');
  return ready?.status === 'True' && ready.observedGeneration === object.metadata.generation;
}

function messageOf(object: KubeObject, type: string): string {
  return String(conditionsOf(object).find((condition) => condition.type === type)?.message ?? '');
}

function conditionsOf(object: KubeObject): JsonObject[] {
  const status = isJsonObject(object.status) ? object.status : {};
  return Array.isArray(status.conditions) ? status.conditions.filter(isJsonObject) : [];
}
