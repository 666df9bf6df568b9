import { createHash } from 'node:crypto';
import { unpacked } from '../../simulator/compressed.ts';
import type { StoredObject } from '../../simulator/kubernetes/object-store.ts';
import { RESOURCES, resourceOf } from '../../simulator/kubernetes/resources.ts';
import type { Simulator } from '../../simulator/simulator.ts';
import { digText, isJsonObject, type Json, type JsonObject } from '../../src/json.ts';

/** What is in Kubernetes and in Vault, a line for each object, without what no two runs have in common. */
export interface NormalForm {
  /** "Pod demo/nats-0": {...} */
  [object: string]: string;
}

/**
 * What an undisturbed run has to have made, and nothing else: without uids, versions, times, keys and status, and without who
 * holds the lock, as one that a dead run holds runs out by itself.
 */
export function wantedState(simulator: Simulator): NormalForm {
  const objects = normalForm(simulator, ({ status: _, spec, ...object }) =>
    object.kind === 'Lease' ? object : { ...object, ...(spec === undefined ? {} : { spec }) },
  );
  return { ...objects, 'Servers that have not loaded their files': simulator.nats.outdated().join() };
}

/** Whether somebody holds the lock. */
export function isLocked({ cluster }: Simulator): boolean {
  return cluster.store.list(resourceOf('Lease')).some((lease) => digText(lease, 'spec', 'holderIdentity') !== '');
}

/** All that the next run may act on: two cases that leave the same are the same to it. */
export function leftState(simulator: Simulator): string {
  const servers = simulator.nats.outdated();
  const state = normalForm(simulator, (object) => object);
  return createHash('sha256')
    .update(JSON.stringify([state, servers]))
    .digest('hex');
}

/** What is in one and not the same in the other. */
export function differencesOf(wanted: NormalForm, actual: NormalForm): string[] {
  const objects = [...new Set([...Object.keys(wanted), ...Object.keys(actual)])].sort();
  return objects
    .filter((object) => wanted[object] !== actual[object])
    .map((object) => {
      if (actual[object] === undefined) return `${object} is missing`;
      if (wanted[object] === undefined) return `${object} is left over`;
      return `${object} is ${around(actual[object], wanted[object])} and not ${around(wanted[object], actual[object])}`;
    });
}

/** Where the text begins to differ from the other. */
function around(text: string, other: string): string {
  const at = [...text].findIndex((sign, index) => sign !== other[index]);
  return `...${text.slice(Math.max(0, at - 60), at + 60)}...`;
}

function normalForm(simulator: Simulator, part: (object: StoredObject) => JsonObject): NormalForm {
  const objects = RESOURCES.filter(({ kind }) => kind !== 'Event').flatMap((resource) =>
    simulator.cluster.store.list(resource).map((object): [string, string] => {
      const { namespace = '', name } = object.metadata;
      return [`${object.kind} ${namespace}/${name}`, textOf(part(withoutChance(object)))];
    }),
  );
  return Object.fromEntries([...objects, ...vaultState(simulator)]);
}

function vaultState({ vault }: Simulator): [string, string][] {
  const { policies, pki, auth } = vault.namespace();
  const roles = [...pki, ...auth].flatMap(([mount, { roles }]) =>
    [...roles].map(([name, role]): [string, string] => [`Vault ${mount}/${name}`, textOf(role)]),
  );
  const texts = [...policies].map(([name, text]): [string, string] => [`Vault policy ${name}`, text]);
  return [...roles, ...texts];
}

/** Keys that differ in any two runs, and what a run notes on the pods of how it went. */
const CHANCE = new Set([
  'kube-nats-action/files-hash',
  'kube-nats-action/pending-reload',
  'uid',
  'resourceVersion',
  'generation',
  'observedGeneration',
  'revision',
  'renewTime',
]);

function withoutChance(object: StoredObject): StoredObject {
  const { metadata, data, ...rest } = object;
  const managedFields = (metadata.managedFields ?? [])
    .map(({ time: _, ...entry }) => entry)
    .sort((a, b) => (textOf(a) < textOf(b) ? -1 : 1));
  const isSecret = object.kind === 'Secret' && isJsonObject(data);
  return {
    ...rest,
    metadata: { ...metadata, managedFields: managedFields as typeof metadata.managedFields },
    ...(data === undefined ? {} : { data: isSecret ? Object.keys(data).sort() : data }),
    ...(object.kind === 'Lease' ? { spec: { held: digText(object, 'spec', 'holderIdentity') !== '' } } : {}),
  } as StoredObject;
}

/** JSON with keys in order, and without what is left to chance. */
function textOf(value: Json): string {
  const ordered = JSON.stringify(value, (key, packed: Json) => {
    if (CHANCE.has(key)) return undefined;
    const part = unpacked(key, packed);
    if (!isJsonObject(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
  return ordered
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UID')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replaceAll(/10\.244\.\d+\.\d+/g, 'ADDRESS');
}
