import { createHash } from 'node:crypto';
import type { Inputs } from '../inputs/table.ts';
import { MANAGER } from '../manager.ts';
import { inventoryId } from './apply-set.ts';
import { hasWindows } from './disruption.ts';
import type { Images } from './images.ts';
import type { Names } from './names.ts';
import { nodeClasses } from './scheduling.ts';
import type { LiveObject, Share, TargetFacts } from './state.ts';

/** Where a Panfactum cluster lists the images that its nodes hold in advance. */
export const IMAGE_CACHE_NAMESPACE = 'node-image-cache';

const ARM64_CACHE = 'pinned-images-arm64';

/** The lists, one an architecture. */
export const IMAGE_CACHES = ['pinned-images-amd64', ARM64_CACHE] as const;

/** The most that the API server takes as the name of a field manager. */
const LONGEST_MANAGER = 128;

/**
 * This cluster's images in those lists; nothing in them where they are not wanted there, which takes back what an
 * earlier run put there.
 */
export function imageCacheShares(inputs: Inputs, names: Names, facts: TargetFacts, images: Images): Share[] {
  const entries = Object.fromEntries(imagesInUse(inputs, images).map((image) => [cacheKey(image), image]));
  return facts.imageCaches.map((cache) => cacheShare(cache, names, isWantedIn(cache, inputs) ? entries : {}));
}

/** Servers may run on any node of amd64. */
function isWantedIn({ name }: LiveObject, inputs: Inputs): boolean {
  return inputs.node_image_cached_enabled && (name !== ARM64_CACHE || nodeClasses(inputs).arm64);
}

function imagesInUse(inputs: Inputs, images: Images): string[] {
  return [
    images.nats,
    images.reloader,
    ...(inputs.monitoring_enabled ? [images.exporter] : []),
    ...(hasWindows(inputs) ? [images.kubectl] : []),
  ];
}

/** The key that Panfactum gives an image, so that who lists the same one shares the entry. */
function cacheKey(image: string): string {
  const sha1 = createHash('sha1').update(image).digest('hex');
  return Buffer.from(sha1).toString('base64').slice(0, 10).toLowerCase();
}

/** An entry that several clusters list goes with the last of them: each lists it as a field manager of its own. */
function cacheShare(cache: LiveObject, names: Names, entries: { [key: string]: string }): Share {
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { ...cache, namespace: IMAGE_CACHE_NAMESPACE } };
  return {
    object: Object.keys(entries).length > 0 ? { ...object, data: entries } : object,
    manager: managerOf(names),
    takesFrom: [],
  };
}

function managerOf({ namespace, cluster }: Names): string {
  const name = `${MANAGER}/${namespace}/${cluster}`;
  return name.length <= LONGEST_MANAGER ? name : `${MANAGER}/${inventoryId(namespace, cluster)}`;
}
