import type { Inputs } from '../inputs/table.ts';
import type { JsonObject } from '../json.ts';
import { CONFIG_FILE, PATHS, PID_FILE, PORTS, SERVER_CONTAINER } from '../nats/layout.ts';
import type { MemorySizes } from '../nats/memory.ts';
import type { Images } from './images.ts';
import { type Names, secretName } from './names.ts';
import { quantity } from './quantity.ts';
import { DATA_VOLUME } from './storage.ts';

/** Mode 0440: secret files are for the group of the servers only. YAML and JSON carry it as a decimal number. */
const GROUP_READABLE = 0o440;

export interface ContainerParts {
  images: Images;
  memory: MemorySizes;
  /** Whether each pod is made only once those before it are Ready. */
  startsInOrder: boolean;
}

interface CertificateMount {
  name: string;
  secret: string;
  path: string;
}

/** The server, the reloader that passes changed files on to it, and the metrics exporter where it is wanted. */
export function containers(
  inputs: Inputs,
  names: Names,
  { images, memory, startsInOrder }: ContainerParts,
): JsonObject[] {
  const certificates = certificateMounts(inputs, names);
  return [
    server(inputs, images.nats, memory, certificates, startsInOrder),
    reloader(images.reloader, certificates),
    ...(inputs.monitoring_enabled ? [exporter(images.exporter)] : []),
  ];
}

/** The volumes those containers mount, besides the data. */
export function volumes(inputs: Inputs, names: Names): JsonObject[] {
  return [
    { name: 'config', configMap: { name: names.cluster, defaultMode: GROUP_READABLE } },
    ...certificateMounts(inputs, names).map(({ name, secret }) => ({
      name,
      secret: { secretName: secret, defaultMode: GROUP_READABLE },
    })),
    { name: 'run', emptyDir: { medium: 'Memory', sizeLimit: quantity(1) } },
  ];
}

function certificateMounts(inputs: Inputs, names: Names): CertificateMount[] {
  const server = {
    name: 'server-certs',
    secret: secretName(names.cluster, 'server'),
    path: PATHS.serverCerts,
  };
  const cluster = {
    name: 'cluster-certs',
    secret: secretName(names.cluster, 'cluster'),
    path: PATHS.clusterCerts,
  };
  return inputs.replicas > 1 ? [server, cluster] : [server];
}

/**
 * GOMEMLIMIT, in bytes, makes Go collect garbage more eagerly as the server nears its limit. It is the request, which the
 * limit is a tenth above: an autoscaler moves both, and a fixed number would keep the server at its first size.
 */
function server(
  inputs: Inputs,
  image: string,
  memory: MemorySizes,
  certificates: CertificateMount[],
  startsInOrder: boolean,
): JsonObject {
  return {
    name: SERVER_CONTAINER,
    image,
    imagePullPolicy: 'IfNotPresent',
    command: ['nats-server'],
    args: ['--config', `${PATHS.config}/${CONFIG_FILE}`],
    env: [
      { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      {
        name: 'GOMEMLIMIT',
        valueFrom: { resourceFieldRef: { containerName: SERVER_CONTAINER, resource: 'requests.memory' } },
      },
    ],
    ports: [
      containerPort('client'),
      ...(inputs.replicas > 1 ? [containerPort('cluster')] : []),
      containerPort('monitoring'),
    ],
    resources: {
      requests: { cpu: '100m', memory: quantity(memory.request) },
      limits: { memory: quantity(memory.limit) },
    },
    securityContext: containerSecurity(),
    ...probes(startsInOrder),
    lifecycle: { preStop: { exec: { command: ['nats-server', `-sl=ldm=${PID_FILE}`] } } },
    volumeMounts: [
      ...fileMounts(certificates),
      { name: 'run', mountPath: PATHS.run },
      { name: DATA_VOLUME, mountPath: PATHS.data },
    ],
  };
}

/**
 * The startup probe is the gate between the pods of a roll-out: /healthz is whole only once every stream has caught
 * up. Ready and alive ask for less, so that one broken stream or consumer neither takes a server from its clients nor
 * restarts it. Before 2.11 js-server-only includes the meta group: a server that has lost it leaves the Service, which
 * is right, as it could answer no JetStream request. Where pods start in order, the first must be Ready without the others:
 * they would wait for each other for ever once all of them are gone.
 */
function probes(startsInOrder: boolean): JsonObject {
  const health = (query: string) => ({ path: `/healthz${query}`, port: 'monitoring' });
  return {
    startupProbe: {
      httpGet: health(startsInOrder ? '?js-enabled-only=true' : ''),
      periodSeconds: 2,
      timeoutSeconds: 5,
      failureThreshold: 450,
    },
    readinessProbe: {
      httpGet: health(startsInOrder ? '?js-enabled-only=true' : '?js-server-only=true'),
      periodSeconds: 5,
      timeoutSeconds: 5,
      failureThreshold: 3,
    },
    livenessProbe: {
      httpGet: health('?js-enabled-only=true'),
      periodSeconds: 30,
      timeoutSeconds: 5,
      failureThreshold: 3,
    },
  };
}

function reloader(image: string, certificates: CertificateMount[]): JsonObject {
  const files = certificates.flatMap(({ path }) => ['tls.crt', 'tls.key', 'ca.crt'].map((file) => `${path}/${file}`));
  return {
    name: 'reloader',
    image,
    imagePullPolicy: 'IfNotPresent',
    args: [`-pid=${PID_FILE}`, ...[`${PATHS.config}/${CONFIG_FILE}`, ...files].map((file) => `-config=${file}`)],
    resources: { requests: { cpu: '5m', memory: quantity(16) }, limits: { memory: quantity(32) } },
    securityContext: containerSecurity(),
    volumeMounts: [...fileMounts(certificates), { name: 'run', mountPath: PATHS.run, readOnly: true }],
  };
}

/**
 * The label server_id holds the server's name: its id changes with every restart, and the exporter reads it only once.
 * An exporter that is up before its server asks again after 5 seconds; by default it is away for half a minute.
 */
function exporter(image: string): JsonObject {
  return {
    name: 'exporter',
    image,
    imagePullPolicy: 'IfNotPresent',
    args: [
      `-port=${PORTS.metrics}`,
      '-connz',
      '-routez',
      '-subz',
      '-varz',
      '-healthz',
      '-jsz=all',
      '-prefix=nats',
      '-use_internal_server_name',
      '-ri=5',
      `http://localhost:${PORTS.monitoring}`,
    ],
    env: [{ name: 'GOMEMLIMIT', value: '40MiB' }],
    ports: [containerPort('metrics')],
    resources: { requests: { cpu: '10m', memory: quantity(32) }, limits: { memory: quantity(64) } },
    securityContext: containerSecurity(),
  };
}

function fileMounts(certificates: CertificateMount[]): JsonObject[] {
  return [
    { name: 'config', mountPath: PATHS.config, readOnly: true },
    ...certificates.map(({ name, path }) => ({ name, mountPath: path, readOnly: true })),
  ];
}

function containerPort(name: keyof typeof PORTS): JsonObject {
  return { name, containerPort: PORTS[name], protocol: 'TCP' };
}

function containerSecurity(): JsonObject {
  return {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  };
}
