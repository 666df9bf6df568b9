import { isJsonObject, type Json, type JsonObject } from '../../src/json.ts';
import { canonicalQuantity } from './quantity.ts';

/**
 * What the API server (1.34.4) adds to an object and how it spells it: the fields that objects of this project can have.
 * Custom resources are kept as they were sent. Unknown fields are not refused here, unlike with fieldValidation=Strict.
 */
export function withDefaults(object: JsonObject): JsonObject {
  const kind = String(object.kind);
  if (CUSTOM_KINDS.has(kind)) {
    return withoutNull(object);
  }
  const decoded = decode(object, '');
  const result = isJsonObject(decoded) ? decoded : {};
  DEFAULTS[kind]?.(result);
  return result;
}

const CUSTOM_KINDS = new Set([
  'Issuer',
  'ClusterIssuer',
  'Certificate',
  'CertificateRequest',
  'VerticalPodAutoscaler',
  'PodMonitor',
  'PrometheusRule',
]);

const DEFAULTS: { [kind: string]: (object: JsonObject) => void } = {
  Namespace: (namespace) => {
    const metadata = child(namespace, 'metadata');
    child(metadata, 'labels')['kubernetes.io/metadata.name'] = metadata.name;
    fill(child(namespace, 'spec'), { finalizers: ['kubernetes'] });
    fill(child(namespace, 'status'), { phase: 'Active' });
  },
  CronJob: (cronJob) => {
    const spec = child(cronJob, 'spec');
    fill(spec, {
      concurrencyPolicy: 'Allow',
      suspend: false,
      successfulJobsHistoryLimit: 3,
      failedJobsHistoryLimit: 1,
    });
    const jobTemplate = child(spec, 'jobTemplate');
    const podTemplate = child(child(jobTemplate, 'spec'), 'template');
    for (const template of [jobTemplate, podTemplate]) {
      fill(child(template, 'metadata'), {});
    }
    podSpecDefaults(child(podTemplate, 'spec'));
    child(cronJob, 'status');
  },
  NetworkPolicy: (policy) => {
    const spec = child(policy, 'spec');
    fill(spec, { podSelector: {}, policyTypes: 'egress' in spec ? ['Ingress', 'Egress'] : ['Ingress'] });
    for (const rule of [...maps(spec.ingress), ...maps(spec.egress)]) {
      maps(rule.ports).forEach((port) => {
        fill(port, { protocol: 'TCP' });
      });
    }
  },
  PersistentVolumeClaim: claimDefaults,
  Pod: (pod) => {
    podSpecDefaults(child(pod, 'spec'));
    fill(child(pod, 'spec'), { enableServiceLinks: true });
    fill(child(pod, 'status'), { phase: 'Pending' });
  },
  PodDisruptionBudget: (budget) => {
    fill(child(budget, 'status'), { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 });
  },
  PriorityClass: (priority) => {
    fill(priority, { preemptionPolicy: 'PreemptLowerPriority' });
  },
  RoleBinding: (binding) => {
    fill(child(binding, 'roleRef'), { apiGroup: 'rbac.authorization.k8s.io' });
    for (const subject of maps(binding.subjects)) {
      if (subject.kind !== 'ServiceAccount') {
        fill(subject, { apiGroup: 'rbac.authorization.k8s.io' });
      }
    }
  },
  Role: (role) => {
    fill(role, { rules: null });
  },
  Secret: (secret) => {
    const { stringData } = secret;
    if (isJsonObject(stringData)) {
      for (const [key, value] of Object.entries(stringData)) {
        child(secret, 'data')[key] = Buffer.from(String(value)).toString('base64');
      }
      delete secret.stringData;
    }
    fill(secret, { type: 'Opaque' });
  },
  Service: (service) => {
    const spec = child(service, 'spec');
    fill(spec, { type: 'ClusterIP', sessionAffinity: 'None', internalTrafficPolicy: 'Cluster' });
    for (const port of maps(spec.ports)) {
      fill(port, { protocol: 'TCP', targetPort: port.port });
    }
    fill(spec, { clusterIP: clusterAddress(child(service, 'metadata')) });
    fill(spec, { clusterIPs: [spec.clusterIP ?? ''], ipFamilies: ['IPv4'], ipFamilyPolicy: 'SingleStack' });
    fill(child(service, 'status'), { loadBalancer: {} });
  },
  StatefulSet: (statefulSet) => {
    const spec = child(statefulSet, 'spec');
    const strategy = child(spec, 'updateStrategy');
    if (strategy.type === undefined) {
      fill(strategy, { type: 'RollingUpdate', rollingUpdate: {} });
    }
    if (isJsonObject(strategy.rollingUpdate)) {
      fill(strategy.rollingUpdate, { partition: 0 });
    }
    fill(spec, { podManagementPolicy: 'OrderedReady', replicas: 1, revisionHistoryLimit: 10 });
    fill(child(spec, 'persistentVolumeClaimRetentionPolicy'), { whenDeleted: 'Retain', whenScaled: 'Retain' });
    podSpecDefaults(child(child(spec, 'template'), 'spec'));
    for (const template of maps(spec.volumeClaimTemplates)) {
      fill(template, { apiVersion: 'v1', kind: 'PersistentVolumeClaim' });
      claimDefaults(template);
    }
    fill(child(statefulSet, 'status'), { replicas: 0, availableReplicas: 0 });
  },
  StorageClass: (storageClass) => {
    fill(storageClass, { reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' });
  },
};

function claimDefaults(claim: JsonObject): void {
  fill(child(claim, 'spec'), { volumeMode: 'Filesystem' });
  fill(child(claim, 'status'), { phase: 'Pending' });
}

function podSpecDefaults(spec: JsonObject): void {
  fill(spec, {
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    securityContext: {},
    schedulerName: 'default-scheduler',
  });
  if (spec.serviceAccountName !== undefined) {
    fill(spec, { serviceAccount: spec.serviceAccountName });
  }
  for (const container of [...maps(spec.initContainers), ...maps(spec.containers)]) {
    containerDefaults(container);
  }
  for (const volume of maps(spec.volumes)) {
    for (const source of ['configMap', 'secret', 'projected', 'downwardAPI']) {
      const value = volume[source];
      if (isJsonObject(value)) {
        fill(value, { defaultMode: 420 });
      }
    }
  }
}

function containerDefaults(container: JsonObject): void {
  const image = String(container.image);
  const isLatest = image.endsWith(':latest') || !/:[^/]+$/.test(image);
  fill(container, {
    resources: {},
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: isLatest ? 'Always' : 'IfNotPresent',
  });
  for (const port of maps(container.ports)) {
    fill(port, { protocol: 'TCP' });
  }
  for (const variable of maps(container.env)) {
    const source = variable.valueFrom;
    if (isJsonObject(source) && isJsonObject(source.fieldRef)) {
      fill(source.fieldRef, { apiVersion: 'v1' });
    }
    if (isJsonObject(source) && isJsonObject(source.resourceFieldRef)) {
      fill(source.resourceFieldRef, { divisor: '0' });
    }
  }
  for (const name of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
    const probe = container[name];
    if (isJsonObject(probe)) {
      fill(probe, { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 });
      httpGetDefaults(probe);
    }
  }
  const { lifecycle } = container;
  if (isJsonObject(lifecycle)) {
    [lifecycle.postStart, lifecycle.preStop].filter(isJsonObject).forEach(httpGetDefaults);
  }
}

function httpGetDefaults(handler: JsonObject): void {
  if (isJsonObject(handler.httpGet)) {
    fill(handler.httpGet, { path: '/', scheme: 'HTTP' });
  }
}

/** An address in 10.96.0.0/16 that is the same for the same Service. */
function clusterAddress(metadata: JsonObject): string {
  const text = `${metadata.namespace}/${metadata.name}`;
  const sum = [...text].reduce((total, character) => (total * 31 + character.charCodeAt(0)) % 65_000, 7);
  return `10.96.${Math.floor(sum / 254)}.${(sum % 254) + 1}`;
}

/** Fields that hold quantities, directly or by resource name. */
const QUANTITY_MAPS = new Set(['limits', 'requests', 'capacity']);
const QUANTITIES = new Set(['sizeLimit']);
/** Fields without `omitempty`, or pointers: their empty value is kept. */
const KEPT_EMPTY = new Set([
  'holderIdentity',
  'emptyDir',
  'podSelector',
  'namespaceSelector',
  'securityContext',
  'resources',
  'loadBalancer',
  'storageClassName',
  'rollingUpdate',
  'spec',
  'status',
]);
/** Booleans with `omitempty`: false is dropped. */
const DROPPED_FALSE = new Set([
  'hostIPC',
  'hostNetwork',
  'hostPID',
  'publishNotReadyAddresses',
  'readOnly',
  'stdin',
  'stdinOnce',
  'tty',
]);
/** Maps whose keys are the user's, and whose values are kept whatever they are. */
const USER_KEYED = new Set([
  'labels',
  'annotations',
  'data',
  'stringData',
  'matchLabels',
  'nodeSelector',
  'parameters',
]);

/** What decoding into the API server's types and encoding again does to a value. */
function decode(value: Json, name: string): Json | undefined {
  if (value === null || value === '') {
    return KEPT_EMPTY.has(name) && value === '' ? value : undefined;
  }
  if (value === false && DROPPED_FALSE.has(name)) {
    return undefined;
  }
  if (Array.isArray(value)) {
    const items = value.map((item) => (isJsonObject(item) ? (decode(item, '') ?? {}) : item));
    return items.length === 0 ? undefined : items;
  }
  if (isJsonObject(value)) {
    return decodeMap(value, name);
  }
  return QUANTITIES.has(name) ? canonicalQuantity(String(value)) : value;
}

function decodeMap(value: JsonObject, name: string): JsonObject | undefined {
  const isUserKeyed = USER_KEYED.has(name);
  const result: JsonObject = {};
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined || item === null) {
      continue;
    }
    const decoded = isUserKeyed ? item : QUANTITY_MAPS.has(name) ? canonicalQuantity(String(item)) : decode(item, key);
    if (decoded !== undefined) {
      result[key] = decoded;
    }
  }
  const isDropped = Object.keys(result).length === 0 && name !== '' && !KEPT_EMPTY.has(name);
  return isDropped ? undefined : result;
}

function withoutNull(object: JsonObject): JsonObject {
  const result: JsonObject = {};
  for (const [key, value] of Object.entries(object)) {
    if (value !== null && value !== undefined) {
      result[key] = isJsonObject(value) ? withoutNull(value) : value;
    }
  }
  return result;
}

/** Sets the fields that are missing. */
function fill(object: JsonObject, values: JsonObject): void {
  for (const [key, value] of Object.entries(values)) {
    object[key] ??= value;
  }
}

/** The map in a field, made where it is missing. */
function child(object: JsonObject, field: string): JsonObject {
  const value = object[field];
  if (isJsonObject(value)) {
    return value;
  }
  const made: JsonObject = {};
  object[field] = made;
  return made;
}

function maps(list: Json | undefined): JsonObject[] {
  return Array.isArray(list) ? list.filter(isJsonObject) : [];
}
