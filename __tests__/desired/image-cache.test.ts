import { describe, expect, test } from '@jest/globals';
import type { TargetFacts } from '../../src/desired/state.ts';
import type { Inputs } from '../../src/inputs/table.ts';
import { isJsonObject } from '../../src/json.ts';
import { containerIn, stateWith, valueAt } from './fixture.ts';

const AMD64 = { name: 'pinned-images-amd64', uid: 'a' };
const ARM64 = { name: 'pinned-images-arm64', uid: 'b' };

function sharesOf(overrides: Partial<Inputs> = {}, facts: Partial<TargetFacts> = {}) {
  const { shares } = stateWith(overrides, { imageCaches: [AMD64, ARM64], ...facts });
  return shares.filter(({ object }) => object.metadata.namespace === 'node-image-cache');
}

/** The images in each list, by the list's name. */
function listed(overrides: Partial<Inputs> = {}): { [list: string]: string[] } {
  const images = sharesOf(overrides).map(({ object }) => [
    object.metadata.name,
    isJsonObject(object.data) ? Object.values(object.data).map(String) : [],
  ]);
  return Object.fromEntries(images);
}

describe('the node image cache', () => {
  test('lists the images that the pods have, under the keys that Panfactum gives them', () => {
    const [share] = sharesOf({
      nats_image: 'docker.io/library/nats:2.14.6-alpine',
      reloader_image: 'ghcr.io/x/reload:1',
    });
    // printf IMAGE | sha1sum | cut -c-40 | tr -d '\n' | base64 | cut -c-10 | tr A-Z a-z
    expect(share?.object).toEqual({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { ...AMD64, namespace: 'node-image-cache' },
      data: { ntdmyzhhod: 'docker.io/library/nats:2.14.6-alpine', ndk1yzhhym: 'ghcr.io/x/reload:1' },
    });
  });

  test.each<[string, Partial<Inputs>, string[]]>([
    ['by default', {}, ['nats', 'reloader']],
    ['with monitoring', { monitoring_enabled: true }, ['nats', 'reloader', 'exporter']],
    [
      'through the pull-through cache',
      { pull_through_cache_enabled: true, pull_through_registry: 'r.io' },
      ['nats', 'reloader'],
    ],
  ])('lists the image of each container: %s', (_, overrides, containers) => {
    const state = stateWith(overrides);
    const running = containers.map((name) => valueAt(containerIn(state, name), 'image'));
    expect(listed(overrides)[AMD64.name]).toEqual(running);
  });

  test('lists the image of the disruption windows where there are any', () => {
    const windows = { voluntary_disruption_window_enabled: true, kubectl_image: 'docker.io/acme/kubectl:1' };
    expect(listed(windows)[AMD64.name]).toContain('docker.io/acme/kubectl:1');
    expect(listed({ ...windows, voluntary_disruptions_enabled: false })[AMD64.name]).not.toContain(
      'docker.io/acme/kubectl:1',
    );
  });

  test.each<[Partial<Inputs>, boolean]>([
    [{}, true],
    [{ arm_nodes_enabled: false }, false],
    [{ arm_nodes_enabled: false, controller_nodes_enabled: true }, true],
  ])('lists them for arm64 nodes where servers may run on such: %j', (overrides, expected) => {
    const { [AMD64.name]: amd64, [ARM64.name]: arm64 } = listed(overrides);
    expect(amd64).toHaveLength(2);
    expect(arm64).toEqual(expected ? amd64 : []);
  });

  test('takes them back when it is switched off', () => {
    const taken = sharesOf({ node_image_cached_enabled: false }).map(({ object }) => object);
    expect(taken).toEqual(
      [AMD64, ARM64].map((list) => ({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { ...list, namespace: 'node-image-cache' },
      })),
    );
  });

  test('has no list that the target does not have', () => {
    expect(sharesOf({}, { imageCaches: [] })).toEqual([]);
  });

  test('is shared with other clusters, each of which takes back its own entries alone, and from nobody', () => {
    const longest = { namespace: `n${'s'.repeat(62)}`, name: `nats-${'a'.repeat(47)}` };
    const clusters = [
      sharesOf(),
      sharesOf({}, { name: 'nats-other' }),
      sharesOf({ namespace: 'other' }),
      sharesOf({ namespace: longest.namespace }, { name: longest.name }),
      sharesOf({ namespace: longest.namespace }, { name: longest.name.replace(/a$/, 'b') }),
    ];
    const managers = clusters.map(([share]) => share?.manager ?? '');
    expect(new Set(managers).size).toBe(clusters.length);
    expect(managers[0]).toBe('kube-nats-action/demo/nats-1a2b3c4d');
    // https://github.com/kubernetes/kubernetes/blob/v1.34.0/staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/validation/validation.go (FieldManagerMaxLength)
    for (const manager of managers) expect(manager.length).toBeLessThanOrEqual(128);
    expect(clusters.flat().flatMap(({ takesFrom }) => takesFrom)).toEqual([]);
  });
});
