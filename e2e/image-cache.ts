import { expect } from '@jest/globals';
import type { JsonObject } from '../src/json.ts';
import { kube, waitFor } from './cluster.ts';

/** The node image cache of a Panfactum cluster: its namespace, by path. */
export const imageCache = '/api/v1/namespaces/node-image-cache';

/** On the image cache that tests made. */
const made = { 'e2e.sandbox/installed': 'true' };

/** Makes the cache, with these entries of others. */
export async function installImageCache(theirs: { [key: string]: string }): Promise<void> {
  await kube.apply(imageCache, {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'node-image-cache', labels: made },
  });
  for (const name of ['pinned-images-amd64', 'pinned-images-arm64']) {
    const list: JsonObject = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: theirs };
    await kube.apply(`${imageCache}/configmaps/${name}`, list);
  }
}

/** Removes it; one that no test has made stays. */
export async function removeImageCache(): Promise<void> {
  const found = await kube.send({ method: 'GET', path: imageCache });
  if (found.status === 404) return;
  expect(JSON.parse(found.body)).toMatchObject({ metadata: { labels: made } });
  await kube.delete(imageCache);
  const isGone = async () => (await kube.send({ method: 'GET', path: imageCache })).status === 404;
  await waitFor(isGone, 'the image cache is gone', 60_000);
}
