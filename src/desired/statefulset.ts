import type { Inputs } from '../inputs/table.ts';
import { dig, digText, isJsonObject, type JsonObject } from '../json.ts';
import type { KubeObject } from '../kube/object.ts';
import { MANAGER } from '../manager.ts';
import { LAME_DUCK, PORTS } from '../nats/layout.ts';
import type { MemorySizes } from '../nats/memory.ts';
import { containers, volumes } from './containers.ts';
import type { Images } from './images.ts';
import { commonLabels, type Labels, metadata, selectorLabels } from './labels.ts';
import { clientHost, issuerName, type Names, ROLES } from './names.ts';
import { panfactumPodLabels, scheduling } from './scheduling.ts';
import type { ImmutableFields, TargetFacts } from './state.ts';
import { volumeClaimTemplates } from './storage.ts';

/** The pods' annotation that changes when a setting changed that needs a restart, and thereby restarts them. */
export const RESTART_HASH = `${MANAGER}/restart-hash`;

/** Seconds to leave in once lame duck mode is over: the shutdown itself, on a busy node. */
const SHUTDOWN_MARGIN = 35;

/** The user and group of the servers, as in the chart: it owns the files of a cluster that the chart made. */
const NATS_UID = 1001;

/** What the pods are made of, worked out from inputs and facts. */
export interface PodParts {
  images: Images;
  memory: MemorySizes;
  restartMark: string;
}

/** The servers. What a live StatefulSet does not allow to change stays as it is. */
export function statefulSet(inputs: Inputs, names: Names, facts: TargetFacts, parts: PodParts): KubeObject {
  const immutable = facts.immutable ?? newImmutable(inputs, names, facts);
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { ...metadata(inputs, names, names.cluster), annotations: panfactumAnnotations(names) },
    spec: {
      replicas: inputs.replicas,
      serviceName: immutable.serviceName,
      podManagementPolicy: immutable.podManagementPolicy,
      revisionHistoryLimit: 10,
      updateStrategy: { type: 'RollingUpdate' },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
      selector: immutable.selector,
      template: {
        metadata: {
          labels: {
            ...commonLabels(inputs, names.cluster),
            ...panfactumPodLabels(inputs, names.cluster),
            ...matchLabels(immutable.selector),
          },
          annotations: podAnnotations(parts.restartMark),
        },
        spec: podSpec(inputs, names, facts, parts),
      },
      volumeClaimTemplates: immutable.volumeClaimTemplates,
    },
  };
}

/** Parallel: a server becomes healthy only with a majority of the others. */
function newImmutable(inputs: Inputs, names: Names, facts: TargetFacts): ImmutableFields {
  return {
    podManagementPolicy: 'Parallel',
    serviceName: names.headless,
    selector: { matchLabels: selectorLabels(names.cluster) },
    volumeClaimTemplates: volumeClaimTemplates(inputs, names, facts.storageClassName),
  };
}

function podSpec(inputs: Inputs, names: Names, facts: TargetFacts, parts: PodParts): JsonObject {
  const { priorityClassName, immutable } = facts;
  const startsInOrder = immutable?.podManagementPolicy === 'OrderedReady';
  return {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    // The reloader sends signals to the server.
    shareProcessNamespace: true,
    terminationGracePeriodSeconds: LAME_DUCK.grace + LAME_DUCK.duration + SHUTDOWN_MARGIN,
    ...(priorityClassName === null ? {} : { priorityClassName }),
    securityContext: {
      runAsNonRoot: true,
      runAsUser: NATS_UID,
      runAsGroup: NATS_UID,
      fsGroup: NATS_UID,
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    },
    ...scheduling(inputs, facts),
    containers: containers(inputs, names, { ...parts, startsInOrder }),
    volumes: volumes(inputs, names),
  };
}

/** NATS speaks before its TLS handshake, which a service mesh would take for another protocol: linkerd stays out. */
function podAnnotations(restartMark: string): Labels {
  return {
    'kubectl.kubernetes.io/default-container': 'nats',
    'config.linkerd.io/opaque-ports': `${PORTS.client},${PORTS.cluster}`,
    'linkerd.io/inject': 'disabled',
    [RESTART_HASH]: restartMark,
  };
}

/** By these the tools of the Panfactum stack find databases. */
function panfactumAnnotations(names: Names): Labels {
  const roles = ROLES.map((role) => [`panfactum.com/${role}-role`, issuerName(names.cluster, role)]);
  return {
    'panfactum.com/db-type': 'NATS',
    'panfactum.com/service': clientHost(names),
    'panfactum.com/service-port': `${PORTS.client}`,
    ...Object.fromEntries(roles),
  };
}

function matchLabels(selector: JsonObject): Labels {
  const labels = dig(selector, 'matchLabels');
  return isJsonObject(labels) ? Object.fromEntries(Object.keys(labels).map((key) => [key, digText(labels, key)])) : {};
}
