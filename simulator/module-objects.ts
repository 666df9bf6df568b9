import { ROLES } from '../src/desired/names.ts';
import type { JsonObject } from '../src/json.ts';
import type { KubeObject } from '../src/kube/object.ts';
import { pathOf, resourceOf } from '../src/kube/resources.ts';

/** A field manager, and how it writes. */
export interface Writer {
  manager: string;
  operation: 'Apply' | 'Update';
}

/** A cluster as the Terraform module makes it, with what differs between those that this project meets. */
export interface ModuleCluster {
  namespace: string;
  name: string;
  /** Helm 3 updates and Helm 4 applies; in Terraform's provider the manager is the provider's program. */
  helm: Writer;
  image: string;
  storageClassName: string;
  /** The ClusterIssuer that signs the servers' certificates. */
  clusterIssuer: string;
  /** Whether the Kubernetes cluster knows VerticalPodAutoscalers, which the module makes by default. */
  hasAutoscaler: boolean;
}

/** Of Terraform's provider for manifests, as the module configures it. */
export const KUBECTL: Writer = { manager: 'kubectl', operation: 'Apply' };
/** Of Terraform's provider for Kubernetes. */
export const TERRAFORM: Writer = { manager: 'HashiCorp', operation: 'Update' };
export const KYVERNO: Writer = { manager: 'kyverno', operation: 'Apply' };

const MATCH_LABELS = { id: 'nats-0123456789abcdef' };
const MOUNT = 'pki/internal';

const STACK_LABELS = {
  'panfactum.com/environment': 'production',
  'panfactum.com/region': 'us-east-2',
  'panfactum.com/stack-version': 'edge.24-05-23',
  'panfactum.com/module': 'kube_nats',
};

/** A request by which a writer makes or changes an object. */
export interface WriteRequest {
  method: 'POST' | 'PATCH';
  path: string;
  contentType: string;
  body: KubeObject;
}

/** The request that writes the object as its writer does. */
export function requestOf(object: KubeObject, { manager, operation }: Writer): WriteRequest {
  const resource = resourceOf(object);
  const { namespace, name } = object.metadata;
  const query = `fieldManager=${encodeURIComponent(manager)}`;
  return operation === 'Update'
    ? { method: 'POST', path: `${pathOf(resource, namespace)}?${query}`, contentType: 'application/json', body: object }
    : {
        method: 'PATCH',
        path: `${pathOf(resource, namespace, name)}?${query}&force=true`,
        contentType: 'application/apply-patch+yaml',
        body: object,
      };
}

/** All that the module makes in Kubernetes, in the order of its making. */
export function moduleRequests(cluster: ModuleCluster): WriteRequest[] {
  const { helm, hasAutoscaler } = cluster;
  return [
    ...issuerAccount(cluster).map((object) => requestOf(object, TERRAFORM)),
    ...ROLES.map((role) => requestOf(issuer(cluster, role), KUBECTL)),
    ...certificates(cluster).map((object) => requestOf(object, KUBECTL)),
    ...policies(cluster).map((object) => requestOf(object, KUBECTL)),
    ...chart(cluster).map((object) => requestOf(object, helm)),
    requestOf(release(cluster), helm),
    requestOf(databaseMarks(cluster), KYVERNO),
    requestOf(budget(cluster), KUBECTL),
    ...(hasAutoscaler ? [requestOf(autoscaler(cluster), KUBECTL)] : []),
  ];
}

const WINDOW = '0123456789abcdef';

/** What it makes besides for a disruption window; the budget is marked by it. */
export function moduleWindow(cluster: ModuleCluster): WriteRequest[] {
  const accountName = 'fedcba9876543210';
  const { metadata, ...rest } = budget(cluster);
  const marked = {
    ...rest,
    metadata: {
      ...metadata,
      labels: { ...metadata.labels, 'panfactum.com/voluntary-disruption-window-id': WINDOW },
      annotations: {
        'panfactum.com/voluntary-disruption-window-max-unavailable': '1',
        'panfactum.com/voluntary-disruption-window-seconds': '3600',
      },
    },
  };
  const rbac = 'rbac.authorization.k8s.io';
  return [
    requestOf(marked, KUBECTL),
    ...['enabler', 'disabler'].flatMap((part) => [
      requestOf(cronJob(cluster, `disruption-window-${part}-${WINDOW}`, accountName), KUBECTL),
      requestOf(
        {
          apiVersion: `${rbac}/v1`,
          kind: 'RoleBinding',
          metadata: ofStack(cluster, `${part}-${WINDOW}`),
          roleRef: { apiGroup: rbac, kind: 'Role', name: `controller-${WINDOW}` },
          subjects: [{ kind: 'ServiceAccount', name: accountName, namespace: cluster.namespace }],
        },
        TERRAFORM,
      ),
    ]),
    requestOf(
      {
        apiVersion: `${rbac}/v1`,
        kind: 'Role',
        metadata: ofStack(cluster, `controller-${WINDOW}`),
        rules: [
          { apiGroups: ['policy'], resources: ['poddisruptionbudgets'], verbs: ['get', 'update', 'list', 'patch'] },
        ],
      },
      TERRAFORM,
    ),
    requestOf({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: ofStack(cluster, accountName) }, TERRAFORM),
  ];
}

function cronJob(cluster: ModuleCluster, name: string, serviceAccountName: string): KubeObject {
  const containers = [{ name: 'window', image: 'public.ecr.aws/panfactum/panfactum:1', command: ['pf'] }];
  return {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: ofStack(cluster, name),
    spec: {
      schedule: '0 4 * * *',
      jobTemplate: { spec: { template: { spec: { serviceAccountName, restartPolicy: 'OnFailure', containers } } } },
    },
  };
}

/** What it makes in Vault, by path. */
export function moduleVault({ namespace, name }: ModuleCluster): { path: string; body: JsonObject }[] {
  const rules = ROLES.map(
    (role) => `path "${MOUNT}/sign/nats-${role}-${name}" {\n  capabilities = ["create", "read", "update"]\n}\n`,
  );
  const login = `${namespace}-issuer-${name}`;
  return [
    ...ROLES.map((role) => ({
      path: `${MOUNT}/roles/nats-${role}-${name}`,
      body: {
        allow_any_name: false,
        allow_wildcard_certificates: false,
        enforce_hostnames: true,
        allow_ip_sans: false,
        require_cn: false,
        allow_bare_domains: true,
        client_flag: true,
        server_flag: false,
        allowed_domains: [`${role}-${name}`],
        key_type: 'ec',
        key_bits: 256,
        max_ttl: 57_600,
      },
    })),
    { path: `sys/policies/acl/${login}`, body: { policy: rules.join('\n') } },
    {
      path: `auth/kubernetes/role/${login}`,
      body: {
        bound_service_account_names: [`issuer-${name}`],
        bound_service_account_namespaces: [namespace],
        token_ttl: 120,
        token_max_ttl: 120,
        token_policies: [login],
        audience: `vault://${namespace}/${name}`,
        token_bound_cidrs: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'],
      },
    },
  ];
}

/** Every name that the servers' certificates have. */
export function moduleServerNames({ namespace, name }: ModuleCluster): string[] {
  const services = [name, ...[0, 1, 2].map((ordinal) => `${name}-${ordinal}.${name}-headless`)];
  return services.flatMap((service) => [
    service,
    `${service}.${namespace}`,
    `${service}.${namespace}.svc`,
    `${service}.${namespace}.svc.cluster.local`,
  ]);
}

function ofStack({ namespace }: ModuleCluster, name: string): KubeObject['metadata'] {
  return { name, namespace, labels: STACK_LABELS };
}

function podLabels({ name }: ModuleCluster) {
  return {
    ...STACK_LABELS,
    'panfactum.com/workload': name,
    'panfactum.com/prevent-lifetime-eviction': 'true',
    'panfactum.com/scheduler-enabled': 'true',
    'panfactum.com/pull-through-cache-enabled': 'false',
    'panfactum.com/arm64-enabled': 'true',
    'panfactum.com/burstable-enabled': 'false',
    'panfactum.com/spot-enabled': 'false',
    'panfactum.com/controller-enabled': 'false',
    ...MATCH_LABELS,
  };
}

function issuerAccount(cluster: ModuleCluster): KubeObject[] {
  const name = `issuer-${cluster.name}`;
  const rbac = 'rbac.authorization.k8s.io';
  const metadata = ofStack(cluster, name);
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata, automountServiceAccountToken: true },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'Role',
      metadata,
      rules: [{ apiGroups: [''], resources: ['serviceaccounts/token'], resourceNames: [name], verbs: ['create'] }],
    },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'RoleBinding',
      metadata,
      roleRef: { apiGroup: rbac, kind: 'Role', name },
      subjects: [{ kind: 'ServiceAccount', name: 'cert-manager', namespace: 'cert-manager' }],
    },
  ];
}

function issuer(cluster: ModuleCluster, role: string): KubeObject {
  const { namespace, name } = cluster;
  return {
    apiVersion: 'cert-manager.io/v1',
    kind: 'Issuer',
    metadata: ofStack(cluster, `nats-${role}-${name}`),
    spec: {
      vault: {
        path: `${MOUNT}/sign/nats-${role}-${name}`,
        server: 'http://vault-active.vault.svc.cluster.local:8200',
        auth: {
          kubernetes: {
            role: `${namespace}-issuer-${name}`,
            mountPath: '/v1/auth/kubernetes',
            serviceAccountRef: { name: `issuer-${name}`, audiences: [`vault://${namespace}/${name}`] },
          },
        },
      },
    },
  };
}

function certificates(cluster: ModuleCluster): KubeObject[] {
  const { namespace, name, clusterIssuer } = cluster;
  const services = [name, ...[0, 1, 2].map((ordinal) => `${name}-${ordinal}.${name}-headless`)];
  const ofServers = {
    commonName: `${name}.${namespace}.svc`,
    subject: { organizations: services },
    duration: '720h0m0s',
    issuerRef: { group: 'cert-manager.io', kind: 'ClusterIssuer', name: clusterIssuer },
  };
  const dnsNames = moduleServerNames(cluster);
  return [
    certificate(cluster, `${name}-cluster-certs`, { ...ofServers, dnsNames }),
    certificate(cluster, `${name}-server-certs`, {
      ...ofServers,
      dnsNames: [...dnsNames, 'localhost'],
      ipAddresses: ['127.0.0.1'],
    }),
    ...ROLES.map((role) =>
      certificate(cluster, `${name}-${role}-creds`, {
        commonName: `${role}-${name}`,
        dnsNames: [`${role}-${name}`],
        subject: { organizations: ['default'] },
        duration: '16h0m0s',
        renewBefore: '8h0m0s',
        issuerRef: { group: 'cert-manager.io', kind: 'Issuer', name: `nats-${role}-${name}` },
      }),
    ),
  ];
}

function certificate(cluster: ModuleCluster, name: string, spec: JsonObject): KubeObject {
  return {
    apiVersion: 'cert-manager.io/v1',
    kind: 'Certificate',
    metadata: ofStack(cluster, name),
    spec: {
      secretName: name,
      secretTemplate: { annotations: { 'cert-manager.io/allow-direct-injection': 'true' }, labels: STACK_LABELS },
      usages: ['client auth', 'digital signature', 'key encipherment', 'server auth'],
      isCA: false,
      privateKey: { algorithm: 'ECDSA', size: 256, rotationPolicy: 'Always', encoding: 'PKCS8' },
      ...spec,
    },
  };
}

/** The policies that the module makes, as far as their names and labels tell. */
function policies(cluster: ModuleCluster): KubeObject[] {
  return [`${cluster.name}-fixup`, CLAIM_POLICIES[`${cluster.namespace}.${cluster.name}`] ?? 'unknown'].map((name) => ({
    apiVersion: 'kyverno.io/v1',
    kind: 'Policy',
    metadata: ofStack(cluster, name),
    spec: { rules: [] },
  }));
}

/** What Terraform makes of `lower(substr(base64encode(sha1("NAMESPACE.NAME")), 0, 6))`. */
const CLAIM_POLICIES: { [cluster: string]: string } = {
  'demo.nats-1a2b': 'update-pvc-metadata-n2m0zj',
  'e2e-adoption.nats-1a2b': 'update-pvc-metadata-otqzzt',
};

/** What the module's release of bitnami/nats 8.5.1 consists of. */
function chart(cluster: ModuleCluster): KubeObject[] {
  const { name } = cluster;
  const metadata = ofChart(cluster, name);
  const selector = selectorOf(cluster);
  const port = (service: string, number: number) => ({ name: `tcp-${service}`, port: number, targetPort: service });
  const ports = [port('client', 4222), port('cluster', 6222), port('monitoring', 8222)];
  return [
    {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata,
      automountServiceAccountToken: false,
    },
    { apiVersion: 'v1', kind: 'Secret', metadata, data: { 'nats-server.conf': base64(moduleConf(cluster)) } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { type: 'ClusterIP', sessionAffinity: 'None', ports, selector },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: ofChart(cluster, `${name}-headless`),
      spec: { type: 'ClusterIP', clusterIP: 'None', publishNotReadyAddresses: true, ports, selector },
    },
    statefulSet(cluster),
  ];
}

function selectorOf({ name }: ModuleCluster) {
  return { 'app.kubernetes.io/instance': name, 'app.kubernetes.io/name': 'nats' };
}

function chartLabels(cluster: ModuleCluster) {
  return {
    ...selectorOf(cluster),
    'app.kubernetes.io/managed-by': 'Helm',
    'app.kubernetes.io/version': '2.10.22',
    'helm.sh/chart': 'nats-8.5.1',
  };
}

function ofChart(cluster: ModuleCluster, name: string): KubeObject['metadata'] {
  const { namespace } = cluster;
  return {
    name,
    namespace,
    labels: { ...chartLabels(cluster), ...STACK_LABELS },
    annotations: { 'meta.helm.sh/release-name': cluster.name, 'meta.helm.sh/release-namespace': namespace },
  };
}

function statefulSet(cluster: ModuleCluster): KubeObject {
  const { namespace, name, storageClassName } = cluster;
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: ofChart(cluster, name),
    spec: {
      replicas: 3,
      podManagementPolicy: 'OrderedReady',
      selector: { matchLabels: selectorOf(cluster) },
      serviceName: `${name}-headless`,
      updateStrategy: { rollingUpdate: {}, type: 'RollingUpdate' },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Delete' },
      template: {
        metadata: {
          labels: { ...chartLabels(cluster), ...podLabels(cluster) },
          annotations: {
            'checksum/secret': 'c0ffee',
            'config.linkerd.io/opaque-ports': '4222,6222',
            'linkerd.io/inject': 'disabled',
          },
        },
        spec: podSpec(cluster),
      },
      volumeClaimTemplates: [
        {
          metadata: {
            name: 'data',
            annotations: { 'resize.topolvm.io/initial-resize-group-by': 'panfactum.com/pvc-group' },
            labels: { 'panfactum.com/pvc-group': `${namespace}.${name}` },
          },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, storageClassName },
        },
      ],
    },
  };
}

function podSpec(cluster: ModuleCluster): JsonObject {
  const { name, image } = cluster;
  const secret = (volume: string) => ({
    name: volume,
    secret: { secretName: `${name}-${volume}`, defaultMode: 288, optional: false },
  });
  const probe = {
    failureThreshold: 6,
    initialDelaySeconds: 5,
    periodSeconds: 10,
    successThreshold: 1,
    timeoutSeconds: 5,
  };
  return {
    serviceAccountName: name,
    automountServiceAccountToken: false,
    priorityClassName: 'workload-important',
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: MATCH_LABELS } },
        ],
      },
    },
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: 'topology.kubernetes.io/zone',
        whenUnsatisfiable: 'DoNotSchedule',
        labelSelector: { matchLabels: MATCH_LABELS },
      },
    ],
    securityContext: { fsGroup: 1001, fsGroupChangePolicy: 'Always' },
    containers: [
      {
        name: 'nats',
        image,
        imagePullPolicy: 'IfNotPresent',
        securityContext: {
          allowPrivilegeEscalation: false,
          capabilities: { drop: ['ALL'] },
          privileged: false,
          readOnlyRootFilesystem: true,
          runAsGroup: 1001,
          runAsNonRoot: true,
          runAsUser: 1001,
          seccompProfile: { type: 'RuntimeDefault' },
        },
        args: ['-c', '/bitnami/nats/conf/nats-server.conf'],
        env: [
          { name: 'BITNAMI_DEBUG', value: 'false' },
          { name: 'NATS_FILENAME', value: 'nats-server' },
          { name: 'NATS_SERVER_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        ],
        ports: [
          { name: 'client', containerPort: 4222 },
          { name: 'cluster', containerPort: 6222 },
          { name: 'monitoring', containerPort: 8222 },
        ],
        livenessProbe: { ...probe, initialDelaySeconds: 30, httpGet: { path: '/', port: 'monitoring' } },
        readinessProbe: { ...probe, httpGet: { path: '/', port: 'monitoring' } },
        resources: { requests: { cpu: '100m', memory: '50Mi' }, limits: { memory: '55Mi' } },
        volumeMounts: [
          { name: 'config', mountPath: '/bitnami/nats/conf/nats-server.conf', subPath: 'nats-server.conf' },
          { name: 'empty-dir', mountPath: '/opt/bitnami/nats/tmp', subPath: 'app-tmp-dir' },
          { name: 'data', mountPath: '/data' },
          { name: 'cluster-certs', mountPath: '/etc/cluster-certs', readOnly: true },
          { name: 'server-certs', mountPath: '/etc/server-certs', readOnly: true },
        ],
      },
    ],
    volumes: [
      { name: 'config', secret: { secretName: name } },
      { name: 'empty-dir', emptyDir: {} },
      secret('cluster-certs'),
      secret('server-certs'),
    ],
  };
}

/** What the module has Kyverno add to the StatefulSet. */
function databaseMarks({ namespace, name }: ModuleCluster): KubeObject {
  const roles = ROLES.map((role): [string, string] => [`panfactum.com/${role}-role`, `nats-${role}-${name}`]);
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: {
      name,
      namespace,
      annotations: {
        'panfactum.com/db-type': 'NATS',
        'panfactum.com/service': `${name}.${namespace}.svc.cluster.local`,
        'panfactum.com/service-port': '4222',
        ...Object.fromEntries(roles),
      },
    },
  };
}

function release({ namespace, name }: ModuleCluster): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'helm.sh/release.v1',
    metadata: {
      name: `sh.helm.release.v1.${name}.v1`,
      namespace,
      labels: { name, owner: 'helm', status: 'deployed', version: '1' },
    },
    data: { release: base64('H4sIAAAA') },
  };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

function budget(cluster: ModuleCluster): KubeObject {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { ...ofStack(cluster, cluster.name), labels: podLabels(cluster) },
    spec: { unhealthyPodEvictionPolicy: 'AlwaysAllow', selector: { matchLabels: MATCH_LABELS }, maxUnavailable: 1 },
  };
}

function autoscaler(cluster: ModuleCluster): KubeObject {
  const { name } = cluster;
  return {
    apiVersion: 'autoscaling.k8s.io/v1',
    kind: 'VerticalPodAutoscaler',
    metadata: { ...ofStack(cluster, name), labels: podLabels(cluster) },
    spec: {
      targetRef: { apiVersion: 'apps/v1', kind: 'StatefulSet', name },
      updatePolicy: {
        updateMode: 'Auto',
        evictionRequirements: [{ resources: ['cpu', 'memory'], changeRequirement: 'TargetHigherThanRequests' }],
      },
      resourcePolicy: { containerPolicies: [{ containerName: 'nats', minAllowed: { memory: '50Mi' } }] },
    },
  };
}

const FILES = { cert: 'tls.crt', key: 'tls.key', ca: 'ca.crt' };

/** Its nats.conf, in NATS' own notation. */
function moduleConf({ namespace, name }: ModuleCluster): string {
  const files = (directory: string) =>
    Object.entries(FILES)
      .map(([field, file]) => `${field}_file: "/etc/${directory}/${file}"`)
      .join('\n  ');
  const routes = [0, 1, 2].map(
    (ordinal) => `tls://${name}-${ordinal}.${name}-headless.${namespace}.svc.cluster.local:6222`,
  );
  return `server_name: $NATS_SERVER_NAME
listen: 0.0.0.0:4222
http: 0.0.0.0:8222
tls {
  ${files('server-certs')}
  verify_and_map: true
}
accounts: {
  DEFAULT: {
    users: [
      { user: "admin-${name}", permissions: { publish: { allow: ">" }, subscribe: { allow: ">" } } },
      { user: "reader-${name}", permissions: { publish: { deny: ">" }, subscribe: { allow: ">" } } }
    ]
    jetstream: enabled
  },
  SYS: {
    users: [{ user: "superuser-${name}", permissions: { publish: { allow: ">" }, subscribe: { allow: ">" } } }]
  }
}
system_account: "SYS"
ping_interval: "20s"
write_deadline: "55s"
max_connections: 64000
max_control_line: 4096
max_payload: 8388608
debug: false
trace: false
pid_file: "/opt/bitnami/nats/tmp/nats-server.pid"
cluster {
  name: "${name}"
  listen: 0.0.0.0:6222
  tls {
  ${files('cluster-certs')}
  }
  routes: [
    ${routes.join('\n    ')}
  ]
  connect_retries: 2
}
jetstream: enabled
jetstream {
  store_dir: "/data/jetstream"
  max_file_store: 10737418240
  max_outstanding_catchup: 134217728
  sync_interval: "10s"
}
`;
}
