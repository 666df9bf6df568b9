import { identities } from '../../src/desired/identities.ts';
import { clusterNames } from '../../src/desired/names.ts';
import type { DesiredVault } from '../../src/desired/state.ts';
import { OWNER_URI, vaultObjects } from '../../src/desired/vault-objects.ts';
import type { Inputs } from '../../src/inputs/table.ts';
import { inputsWith } from '../inputs/inputs-with.ts';

/** A NATS cluster that wants its objects in Vault. */
export interface Claimant {
  namespace: string;
  name: string;
  /** In a Kubernetes cluster of its own. */
  elsewhere?: boolean;
  /** Made by a version that did not mark its PKI roles. */
  unmarked?: boolean;
  inputs?: Partial<Inputs>;
}

/** Two clusters whose objects in Vault have names in common, and what the second one is told of the first one's. */
export interface Collision {
  title: string;
  first: Claimant;
  second: Claimant;
  /** The objects that they have in common. */
  objects: string[];
  /** What is said of each. */
  words: string;
}

const NAME = 'collider';
const A = 'e2e-vault-a';
const B = 'e2e-vault-b';
/** The uid of the other Kubernetes cluster. */
export const OTHER_UID = '0e7a4f1c-9d52-4c1e-8a67-3b1f5d2c6a90';

const roles = (...purposes: string[]) => purposes.map((purpose) => `pki/internal/roles/nats-${purpose}-${NAME}`);
const CLIENTS = ['superuser', 'admin', 'reader'];
const ALL = [...CLIENTS, 'server', 'cluster'];
const OURS = [`sys/policies/acl/${A}-issuer-${NAME}`, ...roles(...ALL)];
const belongsTo = (name: string, namespace: string) => `belongs to NATS cluster ${name} in namespace ${namespace} of`;
const external = { certificate_issuer: 'e2e-vault' };
const otherMount = { vault_kubernetes_auth_path: 'kubernetes-b' };

export const COLLISIONS: Collision[] = [
  {
    title: 'two namespaces, one name',
    first: { namespace: A, name: NAME },
    second: { namespace: B, name: NAME },
    objects: roles(...ALL),
    words: `${belongsTo(NAME, A)} this Kubernetes cluster`,
  },
  {
    title: 'two namespaces, one name, servers that another issuer signs',
    first: { namespace: A, name: NAME, inputs: external },
    second: { namespace: B, name: NAME, inputs: external },
    objects: roles(...CLIENTS),
    words: `${belongsTo(NAME, A)} this Kubernetes cluster`,
  },
  {
    title: 'the same, the first one made by a version that marked the policy alone',
    first: { namespace: A, name: NAME, inputs: external, unmarked: true },
    second: { namespace: B, name: NAME, inputs: external },
    objects: roles(...CLIENTS),
    words: 'has no mark of an owner',
  },
  {
    title: 'names that join to the same with their namespaces',
    first: { namespace: 'e2e-vault', name: 'b-issuer-c' },
    second: { namespace: 'e2e-vault-issuer-b', name: 'c' },
    objects: ['sys/policies/acl/e2e-vault-issuer-b-issuer-c'],
    words: `${belongsTo('b-issuer-c', 'e2e-vault')} this Kubernetes cluster`,
  },
  {
    title: 'another Kubernetes cluster with the same namespace and name',
    first: { namespace: A, name: NAME, elsewhere: true },
    second: { namespace: A, name: NAME },
    objects: OURS,
    words: `${belongsTo(NAME, A)} another Kubernetes cluster (its kube-system namespace has uid ${OTHER_UID})`,
  },
  {
    title: 'the same, which logs in by another auth method',
    first: { namespace: A, name: NAME, elsewhere: true, inputs: otherMount },
    second: { namespace: A, name: NAME },
    objects: OURS,
    words: `${belongsTo(NAME, A)} another Kubernetes cluster (its kube-system namespace has uid ${OTHER_UID})`,
  },
  {
    title: 'another Kubernetes cluster with another namespace and the same name',
    first: { namespace: A, name: NAME, elsewhere: true, inputs: otherMount },
    second: { namespace: B, name: NAME },
    objects: roles(...ALL),
    words: `${belongsTo(NAME, A)} another Kubernetes cluster (its kube-system namespace has uid ${OTHER_UID})`,
  },
];

/** What the claimant wants; `uid` is that of the Kubernetes cluster it is in, unless it is elsewhere. */
export function claim({ namespace, name, elsewhere = false, unmarked = false, inputs = {} }: Claimant, uid: string) {
  const names = clusterNames(name, namespace);
  const all = inputsWith({ namespace, name, ...inputs });
  const desired = vaultObjects(all, names, identities(all, names), elsewhere ? OTHER_UID : uid);
  return unmarked ? withoutMarks(desired) : desired;
}

function withoutMarks(desired: DesiredVault): DesiredVault {
  const pkiRoles = desired.pkiRoles.map(({ path, parameters }) => {
    const uris = [parameters.allowed_uri_sans].flat().filter((uri) => !String(uri).startsWith(OWNER_URI));
    return { path, parameters: { ...parameters, allowed_uri_sans: uris.map(String) } };
  });
  return { ...desired, pkiRoles };
}
