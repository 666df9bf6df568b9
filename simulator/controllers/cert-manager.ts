import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { digText, type JsonObject } from '../../src/json.ts';
import type { Behaviour } from '../behaviour.ts';
import { listAt, mapAt } from '../json-at.ts';
import type { Cluster, Target } from '../kubernetes/cluster.ts';
import { type StoredObject, timestamp } from '../kubernetes/object-store.ts';
import { resourceOf } from '../kubernetes/resources.ts';
import { secondsOf } from '../vault/parameters.ts';
import type { PkiEngine, SignedCertificate, SignRequest } from '../vault/pki.ts';
import { VaultError } from '../vault/responses.ts';
import type { Vault } from '../vault/vault.ts';
import { type Condition, conditionsOf, isTrue, withCondition, withoutCondition } from './conditions.ts';

const WRITE = { fieldManager: 'cert-manager-certificates-issuing', dryRun: false };
const DEFAULT_DURATION = '2160h';

/** The role that ClusterIssuers sign by. */
export const CLUSTER_ISSUER_ROLE = 'cluster-issuer';

export interface CertManagerPorts {
  cluster: Cluster;
  vault: Vault;
  behaviour: Behaviour;
  /** The CA behind each ClusterIssuer, by name. */
  clusterAuthorities: Map<string, PkiEngine>;
}

/** cert-manager's controllers (1.21.2) for Issuers of type vault and for Certificates. */
export function reconcileCertificates(ports: CertManagerPorts): void {
  for (const issuer of ports.cluster.store.list(resourceOf('Issuer'))) {
    verifyIssuer(ports, issuer);
  }
  for (const issuer of ports.cluster.store.list(resourceOf('ClusterIssuer'))) {
    setReady(ports.cluster, issuer, { status: 'True', reason: 'KeyPairVerified', message: 'Signing CA verified' });
  }
  for (const certificate of ports.cluster.store.list(resourceOf('Certificate'))) {
    reconcileCertificate(ports, certificate);
  }
}

interface Verdict {
  status: 'True' | 'False';
  reason: string;
  message: string;
}

/** Ready means that the login to Vault works; it does not prove that the token may sign. */
function verifyIssuer(ports: CertManagerPorts, issuer: StoredObject): void {
  const failure = loginFailure(ports, issuer);
  const ready: Verdict =
    failure === undefined
      ? { status: 'True', reason: 'VaultVerified', message: 'Vault verified' }
      : {
          status: 'False',
          reason: 'VaultError',
          message: `Failed to initialize Vault client: while requesting a Vault token using the Kubernetes auth: ${failure}`,
        };
  setReady(ports.cluster, issuer, ready);
}

function loginFailure({ cluster, vault, behaviour }: CertManagerPorts, issuer: StoredObject): string | undefined {
  const kubernetes = mapAt(issuer, 'spec', 'vault', 'auth', 'kubernetes');
  const mount = digText(kubernetes, 'mountPath').replace(/^\/v1\/auth\//, '');
  const refused = (code: number, error: string): string =>
    `error calling Vault server: Error making API request.\n\nURL: POST ${digText(issuer, 'spec', 'vault', 'server')}/v1/auth/${mount}/login\nCode: ${code}. Errors:\n\n* ${error}`;
  if (behaviour.vaultSealed) {
    return refused(503, 'Vault is sealed');
  }
  const account = digText(kubernetes, 'serviceAccountRef', 'name');
  const namespace = issuer.metadata.namespace ?? '';
  if (cluster.find({ resource: resourceOf('ServiceAccount'), namespace, name: account }) === undefined) {
    return `failed to request token: serviceaccounts "${account}" not found`;
  }
  const roleName = digText(kubernetes, 'role');
  const auth = vault.namespace(digText(issuer, 'spec', 'vault', 'namespace')).auth.get(mount);
  const role = auth?.roles.get(roleName.toLowerCase());
  if (role === undefined) {
    return refused(
      auth === undefined ? 403 : 400,
      auth === undefined ? 'permission denied' : `invalid role name "${roleName}"`,
    );
  }
  if (!listAt(role, 'bound_service_account_names').includes(account)) {
    return refused(403, 'service account name not authorized');
  }
  if (!listAt(role, 'bound_service_account_namespaces').includes(namespace)) {
    return refused(403, 'namespace not authorized');
  }
  const audience = digText(role, 'audience');
  const isForVault = audience === '' || listAt(kubernetes, 'serviceAccountRef', 'audiences').includes(audience);
  return isForVault ? undefined : refused(403, 'invalid audience (aud) claim: audience claim does not match');
}

function setReady(cluster: Cluster, object: StoredObject, ready: Verdict): void {
  const observedGeneration = object.metadata.generation ?? 1;
  const conditions = withCondition(conditionsOf(object), { type: 'Ready', observedGeneration, ...ready });
  cluster.updateStatus(targetOf(object), 'cert-manager-issuers', { ...mapAt(object, 'status'), conditions });
}

/** One step a turn: first the need is seen (Issuing), then the certificate is requested. */
function reconcileCertificate(ports: CertManagerPorts, certificate: StoredObject): void {
  const need = whyIssue(ports.cluster, certificate);
  if (need === undefined) {
    confirm(ports.cluster, certificate);
    return;
  }
  if (isTrue(certificate, 'Issuing')) {
    issue(ports, certificate);
    return;
  }
  // After a refusal the next try is an hour away, unless the Certificate changes.
  const failed = conditionsOf(certificate).find((condition) => condition.type === 'Issuing');
  if (failed?.observedGeneration === certificate.metadata.generation) {
    return;
  }
  const observedGeneration = certificate.metadata.generation ?? 1;
  const ready = withCondition(conditionsOf(certificate), {
    type: 'Ready',
    status: 'False',
    observedGeneration,
    ...need,
  });
  const conditions = withCondition(ready, { type: 'Issuing', status: 'True', observedGeneration, ...need });
  setStatus(ports.cluster, certificate, { conditions });
}

/** A change that calls for no new certificate: the Secret gets the template's labels, the condition is of the new generation. */
function confirm(cluster: Cluster, certificate: StoredObject): void {
  const ready = conditionsOf(certificate).find(({ type, status }) => type === 'Ready' && status === 'True');
  const secret = cluster.find(secretTarget(certificate));
  if (ready === undefined || secret === undefined || ready.observedGeneration === certificate.metadata.generation) {
    return;
  }
  const labels = { ...secret.metadata.labels, ...mapAt(certificate, 'spec', 'secretTemplate', 'labels') };
  const labelled = { ...secret, metadata: { ...secret.metadata, labels } };
  cluster.update(secretTarget(certificate), labelled, WRITE);
  const confirmed = { ...READY, observedGeneration: certificate.metadata.generation ?? 1 };
  setStatus(cluster, certificate, { conditions: withCondition(conditionsOf(certificate), confirmed) });
}

/** Why a new certificate is due; undefined while the Secret holds the right one. */
function whyIssue(cluster: Cluster, certificate: StoredObject): { reason: string; message: string } | undefined {
  const secret = cluster.find(secretTarget(certificate));
  if (secret === undefined) {
    return { reason: 'DoesNotExist', message: 'Issuing certificate as Secret does not exist' };
  }
  if (isTrue(certificate, 'Issuing')) {
    return { reason: 'ManuallyTriggered', message: 'Certificate re-issuance manually triggered' };
  }
  if (secret.metadata.annotations?.[SPEC_HASH] !== specHash(certificate)) {
    const message = 'Issuing certificate as Existing issued Secret is not up to date for spec';
    return { reason: 'SecretMismatch', message };
  }
  const renewal = digText(certificate, 'status', 'renewalTime');
  return renewal !== '' && Date.parse(renewal) <= Date.now()
    ? { reason: 'Renewing', message: `Renewing certificate as renewal was scheduled at ${renewal}` }
    : undefined;
}

function issue(ports: CertManagerPorts, certificate: StoredObject): void {
  const { cluster } = ports;
  const issuerTarget = issuerOf(certificate);
  const issuer = cluster.find(issuerTarget);
  if (issuer === undefined || !isTrue(issuer, 'Ready')) {
    return;
  }
  const { privateKey, publicKey } = newKey(certificate);
  const refusal = ports.behaviour.refusedCertificates.get(certificate.metadata.name);
  try {
    if (refusal !== undefined) {
      throw new VaultError(400, refusal);
    }
    const signed = sign(ports, issuer, certificate, publicKey);
    store(cluster, certificate, signed.authority, privateKey, signed);
    succeed(cluster, certificate, signed);
  } catch (error) {
    if (!(error instanceof VaultError)) {
      throw error;
    }
    fail(cluster, certificate, issuer, error);
  }
}

function sign(
  ports: CertManagerPorts,
  issuer: StoredObject,
  certificate: StoredObject,
  publicKey: KeyObject,
): SignedCertificate & { authority: string } {
  const spec = mapAt(certificate, 'spec');
  const request: SignRequest = {
    role: '',
    commonName: digText(spec, 'commonName'),
    dnsNames: listAt(spec, 'dnsNames').map(String),
    publicKey,
    ttl: secondsOf(digText(spec, 'duration') || DEFAULT_DURATION),
  };
  if (issuer.kind === 'ClusterIssuer') {
    const engine = ports.clusterAuthorities.get(issuer.metadata.name);
    if (engine === undefined) throw new VaultError(404, `no CA behind ClusterIssuer ${issuer.metadata.name}`);
    return { ...engine.sign({ ...request, role: CLUSTER_ISSUER_ROLE }), authority: engine.authority.certificate };
  }
  const [mount = '', role = ''] = digText(issuer, 'spec', 'vault', 'path').split('/sign/');
  const engine = ports.vault.namespace(digText(issuer, 'spec', 'vault', 'namespace')).pki.get(mount);
  if (engine === undefined) {
    throw new VaultError(404, `no handler for route "${mount}/sign/${role}". route entry not found.`);
  }
  return { ...engine.sign({ ...request, role }), authority: engine.authority.certificate };
}

const SPEC_HASH = 'simulator/spec-hash';

/** What of a Certificate calls for a new certificate when it changes. */
function specHash(certificate: StoredObject): string {
  const { secretTemplate: _, revisionHistoryLimit: __, ...spec } = mapAt(certificate, 'spec');
  return createHash('sha256').update(JSON.stringify(spec)).digest('hex').slice(0, 16);
}

function store(
  cluster: Cluster,
  certificate: StoredObject,
  authority: string,
  key: string,
  signed: SignedCertificate,
): void {
  const target = secretTarget(certificate);
  const spec = mapAt(certificate, 'spec');
  const encode = (text: string): string => Buffer.from(text).toString('base64');
  const metadata = {
    labels: {
      'controller.cert-manager.io/fao': 'true',
      ...mapAt(spec, 'secretTemplate', 'labels'),
    },
    annotations: {
      ...mapAt(spec, 'secretTemplate', 'annotations'),
      'cert-manager.io/alt-names': listAt(spec, 'dnsNames').join(','),
      'cert-manager.io/certificate-name': certificate.metadata.name,
      'cert-manager.io/common-name': digText(spec, 'commonName'),
      'cert-manager.io/ip-sans': '',
      'cert-manager.io/issuer-group': digText(spec, 'issuerRef', 'group'),
      'cert-manager.io/issuer-kind': digText(spec, 'issuerRef', 'kind'),
      'cert-manager.io/issuer-name': digText(spec, 'issuerRef', 'name'),
      'cert-manager.io/uri-sans': '',
      [SPEC_HASH]: specHash(certificate),
    },
  };
  const data = { 'ca.crt': encode(authority), 'tls.crt': encode(signed.certificate), 'tls.key': encode(key) };
  const live = cluster.find(target);
  if (live === undefined) {
    cluster.create(target, { metadata, type: 'kubernetes.io/tls', data }, WRITE);
  } else {
    cluster.update(target, { ...live, metadata: { ...live.metadata, ...metadata }, data }, WRITE);
  }
}

const READY: Condition = {
  type: 'Ready',
  status: 'True',
  reason: 'Ready',
  message: 'Certificate is up to date and has not expired',
};

function succeed(cluster: Cluster, certificate: StoredObject, signed: SignedCertificate): void {
  const status = mapAt(certificate, 'status');
  const spec = mapAt(certificate, 'spec');
  const lifetime = signed.notAfter.getTime() - signed.notBefore.getTime();
  const before = Number(spec.renewBeforePercentage ?? 100 / 3) / 100;
  const ready = withCondition(withoutCondition(conditionsOf(certificate), 'Issuing'), {
    ...READY,
    observedGeneration: certificate.metadata.generation ?? 1,
  });
  setStatus(cluster, certificate, {
    conditions: ready,
    notBefore: timestamp(signed.notBefore),
    notAfter: timestamp(signed.notAfter),
    renewalTime: timestamp(new Date(signed.notAfter.getTime() - lifetime * before)),
    revision: Number(status.revision ?? 0) + 1,
  });
}

function fail(cluster: Cluster, certificate: StoredObject, issuer: StoredObject, error: VaultError): void {
  const path = digText(issuer, 'spec', 'vault', 'path');
  const url = `${digText(issuer, 'spec', 'vault', 'server')}/v1/${path}`;
  const cause = `Error making API request.\n\nURL: POST ${url}\nCode: ${error.status}. Errors:\n\n* ${error.message}`;
  const message = `The certificate request has failed to complete and will be retried: Vault failed to sign certificate: failed to sign certificate by vault: ${cause}`;
  const status = mapAt(certificate, 'status');
  const conditions = withCondition(conditionsOf(certificate), {
    type: 'Issuing',
    status: 'False',
    reason: 'Failed',
    message,
    observedGeneration: certificate.metadata.generation ?? 1,
  });
  const attempts = Number(status.failedIssuanceAttempts ?? 0) + 1;
  setStatus(cluster, certificate, {
    ...status,
    conditions,
    failedIssuanceAttempts: attempts,
    lastFailureTime: timestamp(),
  });
}

function setStatus(cluster: Cluster, certificate: StoredObject, status: JsonObject): void {
  cluster.updateStatus(targetOf(certificate), 'cert-manager-certificates-trigger', {
    ...mapAt(certificate, 'status'),
    ...status,
  });
}

function newKey(certificate: StoredObject): { privateKey: string; publicKey: KeyObject } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const isPkcs8 = digText(certificate, 'spec', 'privateKey', 'encoding') === 'PKCS8';
  const pem = privateKey.export({ type: isPkcs8 ? 'pkcs8' : 'sec1', format: 'pem' });
  return { privateKey: String(pem), publicKey };
}

function issuerOf(certificate: StoredObject): Target {
  const kind = digText(certificate, 'spec', 'issuerRef', 'kind') || 'Issuer';
  const name = digText(certificate, 'spec', 'issuerRef', 'name');
  const isClusterWide = kind === 'ClusterIssuer';
  return {
    resource: resourceOf(isClusterWide ? 'ClusterIssuer' : 'Issuer'),
    namespace: isClusterWide ? '' : (certificate.metadata.namespace ?? ''),
    name,
  };
}

function secretTarget(certificate: StoredObject): Target {
  const name = digText(certificate, 'spec', 'secretName');
  return { resource: resourceOf('Secret'), namespace: certificate.metadata.namespace ?? '', name };
}

function targetOf(object: StoredObject): Target {
  const { namespace = '', name } = object.metadata;
  return { resource: resourceOf(object.kind), namespace, name };
}
