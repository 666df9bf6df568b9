import { createHash } from 'node:crypto';
import { WINDOW_ID } from '../../desired/disruption.ts';
import type { Notice } from '../../desired/state.ts';
import { digText } from '../../json.ts';
import { type KubeReader, labelSelector } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { type Kind, RESOURCES } from '../../kube/resources.ts';
import { type Adoption, isModuleObject } from './adoption.ts';

/** An object of the cluster's namespace. */
interface Place {
  kind: Kind;
  name: string;
}

/**
 * What the module made for the cluster and this action makes nothing in the place of: it stays until it is asked to be
 * removed. Only the metadata is read.
 *
 * @param recorded what an earlier run found, by `leftoverNames`; null before the first, which alone can tell it all: the
 *   budget, by which the module's windows are found, is this action's then
 * @param wanted the objects of the cluster's desired state
 */
export async function findLeftovers(
  kube: KubeReader,
  namespace: string,
  cluster: string,
  recorded: string[] | null,
  wanted: KubeObject[],
): Promise<KubeObject[]> {
  const places = recorded === null ? await modulePlaces(kube, namespace, cluster) : recorded.flatMap(placeOf);
  const kept = wanted.map(nameOf);
  const found = await Promise.all(
    places
      .filter(({ kind, name }) => !kept.includes(`${kind}/${name}`))
      .map(({ kind, name }) => kube.getMetadata(kind, namespace, name)),
  );
  return found.filter((live) => live !== null).filter((live) => isModuleObject(live, namespace, cluster));
}

/** As the inventory records them: "Policy/nats-1a2b-fixup". */
export function leftoverNames(leftovers: KubeObject[]): string[] {
  return leftovers.map(nameOf).sort();
}

/** What to tell of a cluster that is taken over, and of leftovers that stay. */
export function adoptionNotices({ begins, leftovers, removes }: Adoption): Notice[] {
  const taken: Notice = {
    severity: 'notice',
    input: 'name',
    message: 'The Terraform module made this cluster: it is taken over in place, with one rolling restart.',
  };
  const left: Notice = {
    severity: 'warning',
    input: 'remove_module_leftovers',
    message:
      `The Terraform module left ${leftoverNames(leftovers).join(', ')}. While Terraform and Helm know of the cluster, ` +
      'terraform destroy and helm uninstall delete it: have both forget it (docs/life-cycle.md, Adoption). ' +
      'true removes these objects, with wait: true.',
  };
  return [...(begins ? [taken] : []), ...(leftovers.length > 0 && !removes ? [left] : [])];
}

function nameOf({ kind, metadata }: KubeObject): string {
  return `${kind}/${metadata.name}`;
}

/** None for a kind that this version does not know. */
function placeOf(recorded: string): Place[] {
  const [kind = '', name = ''] = recorded.split('/');
  const known = Object.keys(RESOURCES).find((each): each is Kind => each === kind);
  return known === undefined ? [] : [{ kind: known, name }];
}

/** Where the module, in all its variants, makes what this action does not. */
async function modulePlaces(kube: KubeReader, namespace: string, cluster: string): Promise<Place[]> {
  const [budget, releases] = await Promise.all([
    kube.get('PodDisruptionBudget', namespace, cluster),
    kube.listMetadata('Secret', namespace, labelSelector({ owner: 'helm', name: cluster })),
  ]);
  const windowId = budget?.metadata.labels?.[WINDOW_ID];
  return [
    { kind: 'Secret', name: cluster },
    { kind: 'ServiceAccount', name: cluster },
    { kind: 'VerticalPodAutoscaler', name: cluster },
    { kind: 'Policy', name: `${cluster}-fixup` },
    { kind: 'Policy', name: claimPolicyName(namespace, cluster) },
    ...releases.map(({ metadata }): Place => ({ kind: 'Secret', name: metadata.name })),
    ...(windowId === undefined ? [] : await windowPlaces(kube, namespace, windowId)),
  ];
}

/** Its policy for the metadata of the claims is named by a hash of their group, in hex and that in base64. */
function claimPolicyName(namespace: string, cluster: string): string {
  const hash = createHash('sha1').update(`${namespace}.${cluster}`).digest('hex');
  return `update-pvc-metadata-${Buffer.from(hash).toString('base64').slice(0, 6).toLowerCase()}`;
}

/** What opens and closes the module's disruption windows; its ServiceAccounts have random names. */
async function windowPlaces(kube: KubeReader, namespace: string, windowId: string): Promise<Place[]> {
  const names = ['enabler', 'disabler'].map((part) => `disruption-window-${part}-${windowId}`);
  const jobs = await Promise.all(names.map((name) => kube.get('CronJob', namespace, name)));
  const accounts = jobs.map((job) =>
    digText(job?.spec, 'jobTemplate', 'spec', 'template', 'spec', 'serviceAccountName'),
  );
  return [
    ...names.flatMap((name): Place[] => [
      { kind: 'CronJob', name },
      { kind: 'VerticalPodAutoscaler', name },
      { kind: 'PodDisruptionBudget', name: `${name}-pdb` },
    ]),
    { kind: 'Role', name: `controller-${windowId}` },
    { kind: 'RoleBinding', name: `enabler-${windowId}` },
    { kind: 'RoleBinding', name: `disabler-${windowId}` },
    ...accounts.filter((name) => name !== '').map((name): Place => ({ kind: 'ServiceAccount', name })),
  ];
}
