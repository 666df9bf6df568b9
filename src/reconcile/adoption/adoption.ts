import { isDeepStrictEqual } from 'node:util';
import { ID_LABEL, MEMBER_LABEL } from '../../desired/apply-set.ts';
import { MANAGED_BY, selectorLabels } from '../../desired/labels.ts';
import { dig, digObjects, isJsonObject, type Json, type JsonObject } from '../../json.ts';
import { type ApplyOptions, describe, type KubeReader } from '../../kube/client.ts';
import { ApplyConflict, type FieldConflict } from '../../kube/errors.ts';
import type { KubeObject } from '../../kube/object.ts';
import { kindOf } from '../../kube/resources.ts';
import { MANAGER } from '../../manager.ts';
import { Problem } from '../../problem.ts';
import type { WriteContext } from '../context.ts';

/**
 * Taking over what the Terraform module kube_nats made: its objects stay, and their fields are handed to this action. What
 * the tools it works by call themselves as field managers: Helm by its own name, or by that of the provider's program;
 * the providers for Kubernetes by that of Terraform's maker; the provider for manifests as kubectl.
 */
const MODULE_MANAGERS = /^(helm|terraform-provider-.+|HashiCorp|Terraform|kubectl|kubectl-client-side-apply)$/i;

const RELEASE_NAME = 'meta.helm.sh/release-name';
const RELEASE_NAMESPACE = 'meta.helm.sh/release-namespace';
const CHART = 'helm.sh/chart';

/** Begins the labels that the stack gives all it makes. */
const STACK = 'panfactum.com/';
const DATABASE = 'panfactum.com/db-type';

/** What is known of a cluster's beginnings, where the Terraform module made it. */
export interface Adoption {
  /** Whether no run has begun to take it over. */
  begins: boolean;
  /** What the inventory tells, or will, of what is left of the module's. */
  recorded: string[];
  /** What is there of that. */
  leftovers: KubeObject[];
  /**
   * Whether they are removed. Not where nobody waits for the roll-out: a server of the module's that restarts meanwhile
   * needs its configuration.
   */
  removes: boolean;
}

/** Whether the field manager is one of the tools that the module works by. */
export function isModuleManager(manager: Json | undefined): boolean {
  return typeof manager === 'string' && MODULE_MANAGERS.test(manager);
}

/**
 * Whether the StatefulSet of the cluster's name is unmistakably one that the module made: Helm's release of that name, of
 * the chart nats, with its selector, and marked as a database of the stack.
 */
export function isModuleCluster(live: KubeObject, namespace: string, cluster: string): boolean {
  const { labels = {}, annotations = {} } = live.metadata;
  return (
    isModuleObject(live, namespace, cluster) &&
    labels[MANAGED_BY] === 'Helm' &&
    (labels[CHART] ?? '').startsWith('nats-') &&
    annotations[RELEASE_NAME] === cluster &&
    annotations[DATABASE] === 'NATS' &&
    isDeepStrictEqual(dig(live.spec, 'selector', 'matchLabels'), selectorLabels(cluster))
  );
}

/**
 * Whether the module made an object of the cluster's names: it is no member of an inventory, the module's tools hold fields
 * of it, and it says to be of Helm's release or of the stack.
 */
export function isModuleObject({ metadata }: KubeObject, namespace: string, cluster: string): boolean {
  const { labels = {}, annotations = {} } = metadata;
  if (labels[MEMBER_LABEL] !== undefined || labels[ID_LABEL] !== undefined) return false;
  if (!digObjects(metadata, 'managedFields').some(isModuleEntry)) return false;
  if (annotations[RELEASE_NAME] !== undefined) {
    return annotations[RELEASE_NAME] === cluster && annotations[RELEASE_NAMESPACE] === namespace;
  }
  const isRelease = labels.owner === 'helm' && labels.name === cluster;
  return isRelease || Object.keys(labels).some((label) => label.startsWith(STACK));
}

/** Entries for a subresource are of controllers. */
function isModuleEntry({ manager, subresource }: JsonObject): boolean {
  return subresource === undefined && isModuleManager(manager);
}

/** The fields that others than the module's tools hold, and for which the object's apply would be refused. */
export async function conflictsBesides(
  kube: KubeReader,
  object: KubeObject,
  { takesFrom = [] }: ApplyOptions,
): Promise<FieldConflict[]> {
  try {
    await kube.apply(object, { dryRun: true });
    return [];
  } catch (error) {
    if (error instanceof ApplyConflict) {
      const others = error.conflicts.filter(({ manager }) => !isModuleManager(manager));
      return others.every(({ manager }) => takesFrom.includes(manager)) ? [] : others;
    }
    // As it stands it may be refused: the module's fields, which go, and the action's may exclude each other.
    if (error instanceof Problem && error.details.kind === 'target') return [];
    throw error;
  }
}

/**
 * The managers of an object once this action has the place of the module's tools, as if it had applied what they did; null
 * where they hold nothing. https://github.com/kubernetes/client-go/blob/master/util/csaupgrade/upgrade.go does the same.
 */
export function handedOver({ apiVersion, metadata }: KubeObject): JsonObject[] | null {
  const entries = digObjects(metadata, 'managedFields');
  const isOwn = ({ manager, subresource }: JsonObject) => subresource === undefined && manager === MANAGER;
  const moved = entries.filter((entry) => isModuleEntry(entry) || isOwn(entry));
  const [first] = moved;
  if (first === undefined || !moved.some(isModuleEntry)) return null;
  const fieldsV1 = moved.map((entry) => entry.fieldsV1).reduce(union);
  return [
    { ...first, manager: MANAGER, operation: 'Apply', apiVersion, fieldsV1 },
    ...entries.filter((entry) => !moved.includes(entry)),
  ];
}

/** Both sets of fields, in the form of managedFields: a tree of paths. */
function union(some: Json | undefined, others: Json | undefined): Json | undefined {
  if (!isJsonObject(some) || !isJsonObject(others)) return some ?? others;
  const keys = [...new Set([...Object.keys(some), ...Object.keys(others)])];
  return Object.fromEntries(keys.map((key) => [key, union(some[key], others[key])]));
}

const MOST_ATTEMPTS = 5;

/** Hands the fields that the module's tools hold to this action; an apply then removes what it does not want of them. */
export async function handOver({ kube, assertHeld }: WriteContext, object: KubeObject): Promise<void> {
  const { namespace, name } = object.metadata;
  for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
    const live = await kube.get(kindOf(object), namespace, name);
    const managers = live === null ? null : handedOver(live);
    if (live === null || managers === null) return;
    assertHeld();
    if ((await kube.replaceManagers(live, managers)) !== null) return;
  }
  throw new Problem({
    kind: 'conflict',
    tried: `Taking over ${describe(object.kind, namespace, name)}`,
    reason: `It changed ${MOST_ATTEMPTS} times while this was tried.`,
    next: 'Stop what writes to it, such as a run of Terraform, and run again: the next run goes on from here.',
  });
}

/** The module has the volumes deleted with their StatefulSet: from now on they stay, whatever happens to it. */
export async function keepVolumes({ kube, assertHeld, namespace, name }: WriteContext): Promise<void> {
  assertHeld();
  const persistentVolumeClaimRetentionPolicy = { whenDeleted: 'Retain', whenScaled: 'Retain' };
  await kube.patch('StatefulSet', namespace, name, { spec: { persistentVolumeClaimRetentionPolicy } });
}
