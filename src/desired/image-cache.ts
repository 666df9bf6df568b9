import type { Inputs } from '../inputs/table.ts';
import type { Images } from './images.ts';
import type { Names } from './names.ts';
import type { Share, TargetFacts } from './state.ts';

/** Where a Panfactum cluster lists the images that its nodes hold in advance. */
export const IMAGE_CACHE_NAMESPACE = 'node-image-cache';

/** The lists, one an architecture. */
export const IMAGE_CACHES = ['pinned-images-amd64', 'pinned-images-arm64'] as const;

/**
 * This cluster's images in those lists; nothing in them where they are not wanted there, which takes back what an
 * earlier run put there.
 */
export function imageCacheShares(_inputs: Inputs, _names: Names, _facts: TargetFacts, _images: Images): Share[] {
  return [];
}
