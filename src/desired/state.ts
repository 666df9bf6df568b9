import type { JsonObject } from '../json.ts';
import type { KubeObject } from '../kube/object.ts';
import type { RunningServers } from '../nats/restart.ts';

/** What the desired state depends on besides the inputs: read from the target cluster before anything is computed. */
export interface TargetFacts {
  /** The cluster's name: every object is named after it. */
  name: string;
  /** The StorageClass for new data volumes: the input's, or the default class where adaptation chose it. */
  storageClassName: string;
  /** The PriorityClass for the pods; null where the target has none of the expected name. */
  priorityClassName: string | null;
  /** Whether the target runs VerticalPodAutoscalers. */
  verticalPodAutoscaler: boolean;
  /** Whether Karpenter makes the target's nodes, of whatever instance type the pods ask for. */
  hasKarpenter: boolean;
  /** Whether any node is in a zone: those of clouds are, those of kind and the like are not. */
  hasZones: boolean;
  /** What a live StatefulSet does not allow to change; null before the first install. */
  immutable: ImmutableFields | null;
  /** The claims of the data volumes that exist. */
  claims: LiveObject[];
  /** The lists of images that the target's nodes hold in advance; none where it has no such cache. */
  imageCaches: LiveObject[];
  /** When the disruption window opened that is open now, as its annotation tells (seconds since the epoch); null: none is. */
  windowStart: string | null;
  /** The servers that run now; null before the first install. */
  running: RunningServers | null;
  /** The release of nats-server that the servers go back from; null where they do not. */
  downgradeFrom: string | null;
  /** Bytes of the smallest data volume as the PersistentVolumeClaims' status tells; null before one is bound. */
  volumeBytes: number | null;
  /** Whether the Terraform module made the cluster, and this action takes it over or has done so. */
  adopted: boolean;
  /** Who owns the Vault objects: uid of the target's kube-system namespace. */
  clusterUid: string;
}

/** An object that exists: the uid tells it from a successor of the same name. */
export interface LiveObject {
  name: string;
  uid: string;
}

export function liveObject({ metadata }: KubeObject): LiveObject {
  return { name: metadata.name, uid: String(metadata.uid) };
}

export interface ImmutableFields {
  podManagementPolicy: string;
  serviceName: string;
  selector: JsonObject;
  volumeClaimTemplates: JsonObject[];
}

export interface DesiredState {
  /** In no particular order; src/reconcile sorts them into waves by kind. */
  objects: KubeObject[];
  /** Fields of objects that others made. */
  shares: Share[];
  /** The data volumes' claims that are not there yet: the StatefulSet's controller makes them. */
  comingClaims: KubeObject[];
  vault: DesiredVault;
  /** Sentences for the log and the summary: a default that was raised, a value that is too low for the version. */
  notices: Notice[];
}

/**
 * Fields of an object that somebody else made and keeps. They come and go; the object itself is never created (its uid
 * is stated) and never deleted.
 */
export interface Share {
  object: KubeObject;
  /** The field manager that the fields are applied as. */
  manager: string;
  /** Managers whose fields are taken over where their values differ. */
  takesFrom: string[];
}

export interface Notice {
  severity: 'notice' | 'warning';
  /** The input it is about. */
  input: string;
  message: string;
}

export interface DesiredVault {
  /** "clusterUid/namespace/name" */
  owner: string;
  /** Whether the module's objects of these names, which tell no owner, are taken over. */
  adopted: boolean;
  /** Where the PKI secrets engine is mounted, in segments. */
  pkiMount: string[];
  /** Where the Kubernetes auth method is enabled, in segments below auth/. */
  authPath: string[];
  /** What a client certificate has to name for the servers to take its holder for a user, or for another server. */
  clients: { users: string[]; hosts: string[] };
  pkiRoles: VaultObject[];
  policy: { name: string; rules: string };
  authRole: VaultObject;
}

/** One Vault object: `path` below /v1/ in segments (each is escaped by the client), and the parameters this action manages. */
export interface VaultObject {
  path: string[];
  parameters: JsonObject;
}
