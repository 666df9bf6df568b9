import type { Inputs } from '../inputs/table.ts';
import { desiredState } from './desired-state.ts';
import type { DesiredState, LiveObject, TargetFacts } from './state.ts';

/** What has to be known of a cluster to tell all that may be there of it. */
export interface Remembered {
  name: string;
  clusterUid: string;
  imageCaches: LiveObject[];
  pkiMount: string;
  authPath: string;
}

/**
 * All that inputs can ask for in a cluster of that name, for who has to find what is there of it: names and owners are
 * those of any inputs. The shares are empty, which takes back what was shared.
 */
export function everything(inputs: Inputs, remembered: Remembered): DesiredState {
  const { name, clusterUid, imageCaches, pkiMount, authPath } = remembered;
  const facts: TargetFacts = {
    name,
    clusterUid,
    imageCaches,
    storageClassName: '',
    priorityClassName: null,
    verticalPodAutoscaler: true,
    hasKarpenter: false,
    hasZones: true,
    immutable: null,
    claims: [],
    windowStart: null,
    running: null,
    downgradeFrom: null,
    volumeBytes: null,
    adopted: false,
  };
  return desiredState(
    {
      ...inputs,
      replicas: 3,
      vpa_enabled: true,
      monitoring_enabled: true,
      network_policy_enabled: true,
      voluntary_disruptions_enabled: true,
      voluntary_disruption_window_enabled: true,
      node_image_cached_enabled: false,
      certificate_issuer: null,
      vault_internal_pki_backend_mount_path: pkiMount,
      vault_kubernetes_auth_path: authPath,
    },
    facts,
  );
}
