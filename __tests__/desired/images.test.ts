import { describe, expect, test } from '@jest/globals';
import { images } from '../../src/desired/images.ts';
import type { Inputs } from '../../src/inputs/table.ts';
import { resolveVersions } from '../../src/nats/versions.ts';
import { inputsWith } from '../inputs/inputs-with.ts';

const REGISTRY = '123456789012.dkr.ecr.us-east-2.amazonaws.com';
const CACHED = { pull_through_cache_enabled: true, pull_through_registry: REGISTRY };

function imagesOf(overrides: Partial<Inputs>) {
  const inputs = inputsWith(overrides);
  return images(inputs, resolveVersions(inputs));
}

describe('with pull_through_registry', () => {
  test.each([
    ['docker.io/library/nats:2.14.6', `${REGISTRY}/docker-hub/library/nats:2.14.6`],
    ['docker.io/nats:2.14.6', `${REGISTRY}/docker-hub/library/nats:2.14.6`],
    ['index.docker.io/acme/nats:1', `${REGISTRY}/docker-hub/acme/nats:1`],
    ['nats:2.14.6', `${REGISTRY}/docker-hub/library/nats:2.14.6`],
    ['acme/nats:1', `${REGISTRY}/docker-hub/acme/nats:1`],
    ['quay.io/acme/nats:1', `${REGISTRY}/quay/acme/nats:1`],
    ['ghcr.io/acme/deep/nats:1', `${REGISTRY}/github/acme/deep/nats:1`],
    ['registry.k8s.io/kubectl:v1.34.2', `${REGISTRY}/kubernetes/kubectl:v1.34.2`],
    ['public.ecr.aws/acme/nats:1', `${REGISTRY}/ecr-public/acme/nats:1`],
    ['ghcr.io/nats@sha256:0a', `${REGISTRY}/github/nats@sha256:0a`],
  ])('%s comes from the cache', (image, cached) => {
    expect(imagesOf({ ...CACHED, nats_image: image }).nats).toBe(cached);
  });

  test.each(['registry.example.com/nats:1', 'localhost/nats:1', 'localhost:5000/nats:1', `${REGISTRY}/nats:1`])(
    '%s comes from where it says: the cache does not have that registry',
    (image) => {
      expect(imagesOf({ ...CACHED, nats_image: image }).nats).toBe(image);
    },
  );

  test('every image comes from the cache, under the tag that it has elsewhere', () => {
    const direct = imagesOf({ pull_through_cache_enabled: true });
    const expected = Object.entries(direct).map(([name, image]) => [
      name,
      image.replace(/^docker\.io/, `${REGISTRY}/docker-hub`),
    ]);
    expect(imagesOf(CACHED)).toEqual(Object.fromEntries(expected));
    expect(Object.values(direct).every((image) => image.startsWith('docker.io/'))).toBe(true);
  });
});
