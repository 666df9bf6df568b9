import { boolean, choice, cidrList, integer, labelMap, networkPeers, requiredText, text } from './kinds.ts';
import type { InputSpec } from './spec.ts';
import * as rules from './text-rules.ts';

/** Numbers of servers that have a majority when one fails, and the single one. */
export const REPLICAS = [1, 3, 5] as const;

/** Every input: action.yml, the README's tables, the parser and the Inputs type come from this table. */
export const INPUTS = {
  namespace: requiredText({
    group: 'Cluster',
    rule: rules.namespaceName,
    sentence: 'Namespace of the NATS cluster.',
  }),
  name: text({
    group: 'Cluster',
    rule: rules.clusterName,
    default: null,
    sentence:
      'Name of the cluster and prefix of its objects. Empty: the cluster that is already in the namespace, or a name derived from it.',
  }),
  create_namespace: boolean({
    group: 'Cluster',
    default: false,
    sentence: 'Create the namespace when it does not exist.',
  }),
  helm_version: text({
    group: 'Cluster',
    rule: rules.version,
    default: '8.5.1',
    sentence:
      'Release of the bitnami/nats chart (8.0.0 to 9.0.28) whose NATS and exporter versions are used. No chart is installed.',
  }),
  nats_version: text({
    group: 'Cluster',
    rule: rules.version,
    default: null,
    sentence: 'Version of nats-server, a release of 2.10, 2.11, 2.12, 2.14. Empty: the one that helm_version ships.',
  }),
  replicas: choice({
    group: 'Cluster',
    options: REPLICAS,
    default: 3,
    sentence: 'Number of servers. 1 has no redundancy.',
  }),
  log_level: choice({
    group: 'Cluster',
    options: ['info', 'debug', 'trace'],
    default: 'info',
    sentence: 'How much the servers log.',
  }),
  minimum_memory_mb: integer({
    group: 'Cluster',
    min: 50,
    max: 1_048_576,
    unit: 'MB',
    default: 50,
    sentence: 'Memory request of each server; its limit is a tenth more.',
  }),
  max_connections: integer({
    group: 'Cluster',
    min: 1,
    max: 1_000_000,
    default: 64_000,
    sentence: 'Most client connections to a server.',
  }),
  max_control_line_kb: integer({
    group: 'Cluster',
    min: 1,
    max: 1024,
    unit: 'KB',
    default: 4,
    sentence: 'Longest protocol line: subject and queue group together.',
  }),
  // nats-server does not start with a max_payload above its max_pending, which is 64 MB.
  max_payload_mb: integer({
    group: 'Cluster',
    min: 1,
    max: 64,
    unit: 'MB',
    default: 8,
    sentence: 'Largest message.',
  }),
  max_outstanding_catchup_mb: integer({
    group: 'Cluster',
    min: 128,
    max: 65_536,
    unit: 'MB',
    default: 128,
    sentence: 'Most data in flight while a stream replica catches up.',
  }),
  fsync_interval_seconds: integer({
    group: 'Cluster',
    min: 0,
    max: 600,
    unit: 'seconds',
    default: 10,
    sentence: 'How often data is synced to disk. 0 syncs after each message and is much slower.',
  }),
  ping_interval_seconds: integer({
    group: 'Cluster',
    min: 10,
    max: 30,
    unit: 'seconds',
    default: 20,
    sentence: 'How often clients and routes are pinged.',
  }),
  write_deadline_seconds: integer({
    group: 'Cluster',
    min: 1,
    max: 3600,
    unit: 'seconds',
    default: 55,
    sentence: 'How long a server blocks on a write to a slow client.',
  }),
  labels: labelMap({
    group: 'Cluster',
    sentence: 'Labels for every object, as YAML. Values stay as typed.',
  }),
  monitoring_enabled: boolean({
    group: 'Cluster',
    default: false,
    sentence: 'Export metrics to Prometheus.',
  }),
  network_policy_enabled: boolean({
    group: 'Cluster',
    default: true,
    sentence: 'Close the ports of the servers to other pods by a NetworkPolicy, but for clients and Prometheus.',
  }),
  network_policy_clients: networkPeers({
    group: 'Cluster',
    sentence:
      'Who may reach the client port, as a YAML list of NetworkPolicy peers (podSelector, namespaceSelector, ipBlock). Empty: everyone, as certificates decide.',
  }),
  vpa_enabled: boolean({
    group: 'Cluster',
    default: true,
    sentence: 'Let a VerticalPodAutoscaler size the servers.',
  }),

  persistence_initial_storage_gb: integer({
    group: 'Storage',
    min: 1,
    max: 65_536,
    unit: 'GB',
    default: 1,
    sentence: 'Size of each new data volume. Fixed once the cluster exists.',
  }),
  persistence_storage_class_name: text({
    group: 'Storage',
    rule: rules.objectName,
    default: 'ebs-standard-retained',
    sentence: 'StorageClass of the data volumes. Fixed once the cluster exists.',
  }),
  persistence_storage_limit_gb: integer({
    group: 'Storage',
    min: 1,
    max: 65_536,
    unit: 'GB',
    default: null,
    sentence: 'Size up to which a data volume may grow. Empty: ten times the initial size.',
  }),
  persistence_storage_increase_gb: integer({
    group: 'Storage',
    min: 1,
    max: 65_536,
    unit: 'GB',
    default: 1,
    sentence: 'By how much a data volume grows each time.',
  }),
  persistence_storage_increase_threshold_percent: integer({
    group: 'Storage',
    min: 1,
    max: 99,
    unit: 'percent',
    default: 20,
    sentence: 'Free space below which a data volume grows.',
  }),
  persistence_backups_enabled: boolean({
    group: 'Storage',
    default: true,
    sentence: 'Include the data volumes in backups.',
  }),

  sla_target: choice({
    group: 'Scheduling',
    options: [1, 2, 3],
    default: 2,
    sentence: 'Availability aimed at: from 2 on, instance_type_anti_affinity_required defaults to true.',
  }),
  instance_type_anti_affinity_required: boolean({
    group: 'Scheduling',
    default: null,
    sentence: 'Never run two servers on the same type of machine. Empty: true when sla_target is 2 or 3.',
  }),
  host_anti_affinity: choice({
    group: 'Scheduling',
    options: ['required', 'preferred', 'off'],
    default: 'required',
    sentence: 'Run each server on a node of its own.',
  }),
  zone_spread: choice({
    group: 'Scheduling',
    options: ['required', 'preferred', 'off'],
    default: 'required',
    sentence: 'Spread the servers over the zones.',
  }),
  arm_nodes_enabled: boolean({
    group: 'Scheduling',
    default: true,
    sentence: 'Allow arm64 nodes.',
  }),
  burstable_nodes_enabled: boolean({
    group: 'Scheduling',
    default: false,
    sentence: 'Allow burstable nodes.',
  }),
  spot_nodes_enabled: boolean({
    group: 'Scheduling',
    default: true,
    sentence: 'Allow spot nodes.',
  }),
  controller_nodes_enabled: boolean({
    group: 'Scheduling',
    default: false,
    sentence: 'Allow controller nodes (EKS node groups), and prefer them.',
  }),
  panfactum_scheduler_enabled: boolean({
    group: 'Scheduling',
    default: true,
    sentence: 'Use the Panfactum scheduler where the target has it.',
  }),
  voluntary_disruptions_enabled: boolean({
    group: 'Scheduling',
    default: true,
    sentence: 'Allow evictions, one server at a time. false blocks node maintenance.',
  }),
  voluntary_disruption_window_enabled: boolean({
    group: 'Scheduling',
    default: false,
    sentence: 'Allow evictions in time windows only.',
  }),
  voluntary_disruption_window_cron_schedule: text({
    group: 'Scheduling',
    rule: rules.cronSchedule,
    default: '0 4 * * *',
    sentence: 'When windows open, in UTC.',
  }),
  voluntary_disruption_window_seconds: integer({
    group: 'Scheduling',
    min: 60,
    max: 604_800,
    unit: 'seconds',
    default: 3600,
    sentence: 'How long a window stays open.',
  }),

  vault_credential_lifetime_hours: integer({
    group: 'Credentials and Vault',
    min: 2,
    max: 8760,
    unit: 'hours',
    default: 16,
    sentence: 'Lifetime of the client certificates. They are renewed at half of it.',
  }),
  reader_access: choice({
    group: 'Credentials and Vault',
    options: ['strict', 'consuming'],
    default: 'strict',
    sentence:
      'What the reader role may do: look at streams and get messages, or make consumers besides, for trusted applications only.',
  }),
  vault_internal_url: text({
    group: 'Credentials and Vault',
    rule: rules.serverUrl,
    default: 'http://vault-active.vault.svc.cluster.local:8200',
    sentence: 'Where cert-manager reaches Vault.',
  }),
  vault_internal_pki_backend_mount_path: text({
    group: 'Credentials and Vault',
    rule: rules.mountPath,
    default: 'pki/internal',
    sentence: 'Mount path of the PKI secrets engine.',
  }),
  vault_kubernetes_auth_path: text({
    group: 'Credentials and Vault',
    rule: rules.authPath,
    default: 'kubernetes',
    sentence: 'Path of the Kubernetes auth method that cert-manager logs in with.',
  }),
  vault_token_bound_cidrs: cidrList({
    group: 'Credentials and Vault',
    default: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'],
    sentence: 'Networks from which cert-manager may use its Vault token.',
  }),
  cert_manager_namespace: text({
    group: 'Credentials and Vault',
    rule: rules.namespaceName,
    default: 'cert-manager',
    sentence: 'Namespace of cert-manager.',
  }),
  certificate_issuer: text({
    group: 'Credentials and Vault',
    rule: rules.objectName,
    default: null,
    sentence: 'ClusterIssuer that signs the server certificates. Empty: Issuers of this cluster alone.',
  }),

  kubeconfig: text({
    group: 'Connection',
    rule: rules.kubeconfig,
    default: null,
    secret: true,
    sentence:
      'Kubeconfig: its content (plain or in base64) or its path. Empty: KUBECONFIG, ~/.kube/config, or the service account of the pod the job runs in.',
  }),
  context: text({
    group: 'Connection',
    rule: rules.oneLine,
    default: null,
    sentence: 'Context of the kubeconfig. Empty: its current one.',
  }),
  vault_url: text({
    group: 'Connection',
    rule: rules.serverUrl,
    default: null,
    sentence: 'Where this job reaches Vault. Empty: vault_internal_url, through the Kubernetes API server.',
  }),
  vault_namespace: text({
    group: 'Connection',
    rule: rules.mountPath,
    default: null,
    sentence: 'Namespace of Vault Enterprise or OpenBao.',
  }),
  vault_ca_certificate: text({
    group: 'Connection',
    rule: rules.pemCertificates,
    default: null,
    sentence: 'CA certificates (PEM) to trust for Vault. Empty: those of Node.js.',
  }),
  vault_auth_method: choice({
    group: 'Connection',
    options: ['jwt', 'token', 'approle', 'kubernetes'],
    default: 'jwt',
    sentence: 'How this job logs in to Vault. jwt uses the OIDC token of the job, which needs id-token: write.',
  }),
  vault_auth_path: text({
    group: 'Connection',
    rule: rules.authPath,
    default: null,
    sentence: 'Path of the auth method. Empty: the name of the method.',
  }),
  vault_role: text({
    group: 'Connection',
    rule: rules.vaultName,
    default: null,
    sentence: 'Role to log in as, for the methods jwt and kubernetes.',
  }),
  vault_jwt_audience: text({
    group: 'Connection',
    rule: rules.oneWord,
    default: null,
    sentence: 'Audience of the OIDC token, for the method jwt. Empty: the default of GitHub.',
  }),
  vault_token: text({
    group: 'Connection',
    rule: rules.oneWord,
    default: null,
    secret: true,
    sentence: 'Vault token, for the method token. It is not revoked.',
  }),
  vault_role_id: text({
    group: 'Connection',
    rule: rules.oneWord,
    default: null,
    // A role that binds no secret ID logs in whoever knows its role ID.
    secret: true,
    sentence: 'Role ID, for the method approle.',
  }),
  vault_secret_id: text({
    group: 'Connection',
    rule: rules.oneWord,
    default: null,
    secret: true,
    sentence: 'Secret ID, for the method approle.',
  }),
  vault_kubernetes_token_path: text({
    group: 'Connection',
    rule: rules.oneLine,
    default: '/var/run/secrets/kubernetes.io/serviceaccount/token',
    sentence: 'File with the service account token, for the method kubernetes.',
  }),

  mode: choice({
    group: 'Behaviour',
    options: ['apply', 'plan', 'destroy'],
    default: 'apply',
    sentence:
      'What to do: bring the cluster up or change it (apply), only tell what that would change (plan), or remove it (destroy).',
  }),
  delete_data: boolean({
    group: 'Behaviour',
    default: false,
    sentence: 'Whether mode destroy deletes the data volumes too. Kept, a cluster of the same name finds them again.',
  }),
  delete_namespace: boolean({
    group: 'Behaviour',
    default: false,
    sentence: 'Whether mode destroy deletes the namespace too, when nothing else is left in it.',
  }),
  fail_on_drift: boolean({
    group: 'Behaviour',
    default: false,
    sentence: 'Fail when the cluster is not as the inputs say. With mode plan only.',
  }),
  wait: boolean({
    group: 'Behaviour',
    default: true,
    sentence: 'Wait until every server is ready and JetStream has a leader.',
  }),
  failed_install: choice({
    group: 'Behaviour',
    options: ['keep', 'remove'],
    default: 'keep',
    sentence:
      'What becomes of a first install that fails: it is left for a look (keep), or all that it made is removed again, which needs the permissions of mode destroy (remove).',
  }),
  timeout: integer({
    group: 'Behaviour',
    min: 30,
    max: 7200,
    unit: 'seconds',
    default: 600,
    sentence:
      'How long a run may take, waiting included; a rollback, or the removal of a failed install, may take as long again.',
  }),
  remove_module_leftovers: boolean({
    group: 'Behaviour',
    default: false,
    sentence:
      'Remove what the Terraform module left of a cluster that was taken over, once all is well: its Helm releases, Kyverno policies and old configuration. false: it is named in a warning. Needs wait.',
  }),
  adapt: boolean({
    group: 'Behaviour',
    default: true,
    sentence: 'Do without what a default asks for and the target lacks, with a warning. false: an error.',
  }),

  nats_image: text({
    group: 'Images',
    rule: rules.image,
    default: null,
    sentence:
      'Image of nats-server, with its tag or digest; nats_version (or helm_version) then only tells which server it is. Empty: docker.io/library/nats at that version.',
  }),
  reloader_image: text({
    group: 'Images',
    rule: rules.image,
    default: null,
    sentence:
      'Image of the config reloader, with its tag or digest. Empty: docker.io/natsio/nats-server-config-reloader at a fixed version.',
  }),
  exporter_image: text({
    group: 'Images',
    rule: rules.image,
    default: null,
    sentence:
      'Image of the metrics exporter, with its tag or digest. Empty: docker.io/natsio/prometheus-nats-exporter at the version that goes with the server.',
  }),
  pull_through_cache_enabled: boolean({
    group: 'Images',
    default: false,
    sentence:
      'Pull the images through a cache: that of a Panfactum cluster, whose policies go by a label of the pods, or pull_through_registry.',
  }),
  pull_through_registry: text({
    group: 'Images',
    rule: rules.registry,
    default: null,
    sentence:
      'Registry of the pull-through cache, with its path: the images are named there, docker.io/X as REGISTRY/docker-hub/X. Needs pull_through_cache_enabled. Empty: the policies of a Panfactum cluster name them.',
  }),
  kubectl_image: text({
    group: 'Images',
    rule: rules.image,
    default: null,
    sentence:
      'Image with kubectl and a shell for the disruption windows, with its tag or digest. Empty: docker.io/alpine/kubectl at a fixed version.',
  }),
  node_image_cached_enabled: boolean({
    group: 'Images',
    default: true,
    sentence: 'Add the images to the node image cache.',
  }),
} satisfies { [name: string]: InputSpec<unknown> };

export type InputName = keyof typeof INPUTS;

/** The values of a run, named as in action.yml. null: left empty, where empty has a meaning of its own. */
export type Inputs = {
  [Name in InputName]: (typeof INPUTS)[Name] extends InputSpec<infer Value> ? Value : never;
};

function isInputName(name: string): name is InputName {
  return Object.hasOwn(INPUTS, name);
}

export const INPUT_NAMES: readonly InputName[] = Object.keys(INPUTS).filter(isInputName);

/** Every output, with its sentence for action.yml and the README. */
export const OUTPUTS = {
  superuser_creds_secret:
    'Secret with the certificate of the superuser role: watches and commands the servers, no data.',
  admin_creds_secret: 'Secret with the certificate of the admin role: reads and writes data.',
  reader_creds_secret: 'Secret with the certificate of the reader role: reads data.',
  host: 'Host name that clients in the Kubernetes cluster connect to.',
  client_port: 'Port that clients connect to.',
  cluster_port: 'Port that the servers use among themselves.',
  metrics_port:
    'Port of the Prometheus metrics with monitoring_enabled, else of the JSON monitoring of NATS, which Prometheus cannot read and the NetworkPolicy keeps from pods.',
  nats_url: 'URL that clients connect to: tls://host:client_port.',
  name: 'Name of the NATS cluster.',
  namespace: 'Namespace of the NATS cluster.',
  match_labels: 'Labels that select the pods, as JSON, for a PodDisruptionBudget of your own.',
  changed: 'true when this run changed anything, else false.',
  rolled_back: 'true when this run failed and took the cluster back to its last good state, else false.',
  drift: 'With mode plan: true when an apply would change anything, else false.',
  plan: 'With mode plan: what an apply would change, as a diff; cut where it is longer than 200,000 characters.',
  plan_json: 'With mode plan: the same as JSON (docs/life-cycle.md); with fewer details where it is longer.',
} as const;

export type OutputName = keyof typeof OUTPUTS;
