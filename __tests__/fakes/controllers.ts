import { dig, digText, type JsonObject } from '../../src/json.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import { type Authority, createAuthority } from './certificates.ts';
import type { FakeKube } from './kube.ts';

/**
 * What a cluster's controllers do to what is written, at once and with success, with certificates by one CA.
 *
 * @param volume the size of the volumes that the cluster gives, whatever is asked for
 */
export function healthyControllers(kube: FakeKube, volume = '1Gi'): Authority {
  const authority = createAuthority('Vault');
  kube.controllers.push((written) => {
    if (written.kind === 'Certificate') issue(kube, authority, written);
    if (written.kind === 'Issuer') putStatus(kube, written, readyAt(written));
    if (written.kind === 'StatefulSet') runPods(kube, written, volume);
    if (written.kind === 'ConfigMap') reload(kube, written);
  });
  return authority;
}

function issue(kube: FakeKube, authority: Authority, certificate: KubeObject): void {
  const names = dig(certificate.spec, 'dnsNames');
  const { certificate: pem, key } = authority.issue(Array.isArray(names) ? names.map(String) : []);
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  kube.put({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: digText(certificate.spec, 'secretName'), namespace: certificate.metadata.namespace ?? '' },
    data: { 'tls.crt': base64(pem), 'tls.key': base64(key), 'ca.crt': base64(authority.certificate) },
  });
  putStatus(kube, certificate, readyAt(certificate));
}

function readyAt({ metadata }: KubeObject): JsonObject {
  return { conditions: [{ type: 'Ready', status: 'True', observedGeneration: metadata.generation }] };
}

function putStatus(kube: FakeKube, object: KubeObject, status: JsonObject): void {
  kube.put({ ...object, status });
}

/** Pods of the new revision, each with a bound volume, and healthy servers in them. */
function runPods(kube: FakeKube, statefulSet: KubeObject, volume: string): void {
  const { name, namespace = '' } = statefulSet.metadata;
  const replicas = Number(dig(statefulSet.spec, 'replicas'));
  const revision = `r${statefulSet.metadata.generation}`;
  const labels = Object.fromEntries(
    Object.entries(dig(statefulSet.spec, 'selector', 'matchLabels') ?? {}).map(([key, value]) => [key, String(value)]),
  );
  const pods = Array.from({ length: replicas }, (_, ordinal) => `${name}-${ordinal}`);
  for (const pod of pods) {
    kube.put({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: pod, namespace, labels: { ...labels, 'controller-revision-hash': revision } },
      status: { conditions: [{ type: 'Ready', status: 'True' }] },
    });
    kube.put({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: `data-${pod}`, namespace, labels },
      status: { capacity: { storage: volume } },
    });
    const peers = pods.filter((other) => other !== pod);
    const replicasSeen = peers.map((peer) => ({ name: peer, current: true }));
    kube.podAnswers.set(`${pod}/jsz`, { config: {}, meta_cluster: { leader: pods[0] ?? '', replicas: replicasSeen } });
    kube.podAnswers.set(`${pod}/routez`, { routes: peers.map((peer) => ({ remote_id: peer, remote_name: peer })) });
    kube.podAnswers.set(`${pod}/healthz`, { status: 'ok' });
    kube.podAnswers.set(`${pod}/varz`, { config_load_time: revision });
  }
  putStatus(kube, statefulSet, {
    observedGeneration: statefulSet.metadata.generation,
    replicas,
    readyReplicas: replicas,
    availableReplicas: replicas,
    updatedReplicas: replicas,
    currentRevision: revision,
    updateRevision: revision,
  });
}

/** The reloaders bring every server a changed nats.conf. */
function reload(kube: FakeKube, config: KubeObject): void {
  for (const pod of kube.all('Pod')) {
    kube.podAnswers.set(`${pod.metadata.name}/varz`, { config_load_time: `v${config.metadata.resourceVersion}` });
  }
}
