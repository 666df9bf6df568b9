import type { JsonObject } from '../json.ts';
import type { KubeObject } from '../kube/object.ts';

/** What the desired state depends on besides the inputs: read from the target cluster before anything is computed. */
export interface TargetFacts {
  /** The cluster's name: every object is named after it. */
  name: string;
  /** The StorageClass for new data volumes: the input's, or the default class where adaptation chose it. */
  storageClassName: string;
  /** The PriorityClass for the pods; null where the target has none of the expected name. */
  priorityClassName: string | null;
  /** What a live StatefulSet does not allow to change; null before the first install. */
  immutable: ImmutableFields | null;
  /** Bytes of the smallest data volume as the PersistentVolumeClaims' status tells; null before one is bound. */
  volumeBytes: number | null;
  /** Who owns the Vault objects: uid of the target's kube-system namespace. */
  clusterUid: string;
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
  vault: DesiredVault;
  /** Sentences for the log and the summary: a default that was raised, a value that is too low for the version. */
  notices: Notice[];
}

export interface Notice {
  severity: 'notice' | 'warning';
  /** The input it is about. */
  input: string;
  message: string;
}

export interface DesiredVault {
  pkiRoles: VaultObject[];
  policy: { name: string; rules: string };
  authRole: VaultObject;
}

/** One Vault object: `path` below /v1/ in segments (each is escaped by the client), and the parameters this action manages. */
export interface VaultObject {
  path: string[];
  parameters: JsonObject;
}
