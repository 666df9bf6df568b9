import type { Inputs } from '../inputs/table.ts';
import { dialledNames, type Names, type Purpose, ROLES, userName } from './names.ts';

/** Who gets a certificate, and what it says; the Certificate, the Issuer and the Vault PKI role all follow from it. */
export interface Identity {
  purpose: Purpose;
  commonName: string;
  dnsNames: string[];
  /** Extended key usages. */
  usages: ('server auth' | 'client auth')[];
  lifetimeHours: number;
  /** The ClusterIssuer that signs it instead of this cluster's own Issuer and Vault PKI role. */
  clusterIssuer: string | null;
}

/** Of the servers' certificates, as in the module; those of the clients are an input. */
const SERVER_LIFETIME_HOURS = 720;

/** The clients' roles, the servers for their clients, and the servers among themselves where there are several. */
export function identities(inputs: Inputs, names: Names): Identity[] {
  const dialled = dialledNames(names, inputs.replicas);
  const servers = {
    // nats-server 2.10 takes no peer whose certificate has no subject (`authentication error - User ""`).
    commonName: names.cluster,
    lifetimeHours: SERVER_LIFETIME_HOURS,
    clusterIssuer: inputs.certificate_issuer,
  };
  const server: Identity = {
    ...servers,
    purpose: 'server',
    // localhost serves clients behind `kubectl port-forward`.
    dnsNames: [...dialled, 'localhost'],
    usages: ['server auth'],
  };
  const cluster: Identity = {
    ...servers,
    purpose: 'cluster',
    dnsNames: dialled,
    usages: ['server auth', 'client auth'],
  };
  return [...clients(inputs, names), server, ...(inputs.replicas > 1 ? [cluster] : [])];
}

/** The server maps a client by a DNS name; the common name is for people who read the certificate. */
function clients(inputs: Inputs, names: Names): Identity[] {
  return ROLES.map((role) => ({
    purpose: role,
    commonName: userName(names.cluster, role),
    dnsNames: [userName(names.cluster, role)],
    usages: ['client auth'],
    lifetimeHours: inputs.vault_credential_lifetime_hours,
    clusterIssuer: null,
  }));
}
