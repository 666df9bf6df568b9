/** The DNS domain of the cluster's Services; certificates and outputs carry it. */
const CLUSTER_DOMAIN = 'cluster.local';

/** Whom Vault issues client certificates to. */
export const ROLES = ['superuser', 'admin', 'reader'] as const;
export type Role = (typeof ROLES)[number];

/** What a certificate is for: one Certificate, Issuer and Vault PKI role each. */
export type Purpose = Role | 'server' | 'cluster';

export interface Names {
  /** Of the StatefulSet, client Service, ConfigMap, NetworkPolicy and PodDisruptionBudget. */
  cluster: string;
  namespace: string;
  /** The Service that gives each pod its DNS name. */
  headless: string;
  /** Of the ServiceAccount that cert-manager logs in to Vault as, and of its Role and RoleBinding. */
  issuerAccount: string;
  /** Of the Vault policy and the Vault auth role; Vault keeps them in lower case, as Kubernetes names are. */
  vaultPolicy: string;
  /** What a token of the issuerAccount must be meant for. */
  audience: string;
}

/** Every name of one cluster; `headless` only where a live StatefulSet insists on another Service. */
export function clusterNames(cluster: string, namespace: string, headless = `${cluster}-headless`): Names {
  return {
    cluster,
    namespace,
    headless,
    issuerAccount: `issuer-${cluster}`,
    vaultPolicy: `${namespace}-issuer-${cluster}`,
    audience: `vault://${namespace}/${cluster}`,
  };
}

/** Of the Issuer and of the Vault PKI role behind it. */
export function issuerName(cluster: string, purpose: Purpose): string {
  return `nats-${purpose}-${cluster}`;
}

/** Of the Certificate and of the Secret it fills. */
export function secretName(cluster: string, purpose: Purpose): string {
  return purpose === 'server' || purpose === 'cluster' ? `${cluster}-${purpose}-certs` : `${cluster}-${purpose}-creds`;
}

/** The NATS user of a role: the DNS name in its certificate, which the server maps. */
export function userName(cluster: string, role: Role): string {
  return `${role}-${cluster}`;
}

/** What clients dial. */
export function clientHost(names: Names): string {
  return fullName(names.cluster, names);
}

/** What the servers dial each other by, one a pod. */
export function podHosts(names: Names, replicas: number): string[] {
  return podServices(names, replicas).map((base) => fullName(base, names));
}

/** Every spelling a client or a peer may dial a server by, for the server's certificates. */
export function dialledNames(names: Names, replicas: number): string[] {
  return [names.cluster, ...podServices(names, replicas)].flatMap((base) => [
    base,
    `${base}.${names.namespace}`,
    `${base}.${names.namespace}.svc`,
    fullName(base, names),
  ]);
}

function podServices(names: Names, replicas: number): string[] {
  return Array.from({ length: replicas }, (_, ordinal) => `${names.cluster}-${ordinal}.${names.headless}`);
}

function fullName(base: string, names: Names): string {
  return `${base}.${names.namespace}.svc.${CLUSTER_DOMAIN}`;
}
