import type { Inputs } from '../inputs/table.ts';
import type { Versions } from '../nats/versions.ts';

const RELOADER_VERSION = '0.23.0';
const KUBECTL_VERSION = '1.34.2';

/** The image of each container, by what runs in it. */
export interface Images {
  nats: string;
  reloader: string;
  exporter: string;
  kubectl: string;
}

const DOCKER_HUB = 'docker.io';

/** Where Panfactum's pull-through cache has which registry, as the policies of its clusters tell. */
const CACHED_REGISTRIES: ReadonlyMap<string, string> = new Map([
  [DOCKER_HUB, 'docker-hub'],
  ['index.docker.io', 'docker-hub'],
  ['ghcr.io', 'github'],
  ['cr.l5d.io', 'github'],
  ['quay.io', 'quay'],
  ['registry.k8s.io', 'kubernetes'],
  ['public.ecr.aws', 'ecr-public'],
]);

/** The images of the inputs, or those of the versions, at the pull-through cache where that is named. */
export function images(inputs: Inputs, versions: Versions): Images {
  const { pull_through_cache_enabled, pull_through_registry } = inputs;
  const cache = pull_through_cache_enabled ? pull_through_registry : null;
  const named = (image: string) => (cache === null ? image : throughCache(image, cache));
  return {
    nats: named(inputs.nats_image ?? `docker.io/library/nats:${versions.server}-alpine`),
    reloader: named(inputs.reloader_image ?? `docker.io/natsio/nats-server-config-reloader:${RELOADER_VERSION}`),
    exporter: named(inputs.exporter_image ?? `docker.io/natsio/prometheus-nats-exporter:${versions.exporter}`),
    kubectl: named(inputs.kubectl_image ?? `docker.io/alpine/kubectl:${KUBECTL_VERSION}`),
  };
}

/** The name of the image at the cache; of a registry that it does not have, the image itself. */
function throughCache(image: string, cache: string): string {
  const { registry, repository } = parseImage(image);
  const path = CACHED_REGISTRIES.get(registry);
  if (path === undefined) return image;
  const isOfficial = path === 'docker-hub' && !repository.includes('/');
  return `${cache}/${path}/${isOfficial ? 'library/' : ''}${repository}`;
}

/** A short name is one of Docker Hub: https://github.com/distribution/reference/blob/v0.6.0/normalize.go */
function parseImage(image: string): { registry: string; repository: string } {
  const [first = '', ...rest] = image.split('/');
  const isRegistry = rest.length > 0 && (first === 'localhost' || /[.:A-Z]/.test(first));
  return isRegistry ? { registry: first, repository: rest.join('/') } : { registry: DOCKER_HUB, repository: image };
}
