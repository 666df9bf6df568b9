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

/** The images of the inputs, or those of the versions. */
export function images(inputs: Inputs, versions: Versions): Images {
  return {
    nats: inputs.nats_image ?? `docker.io/library/nats:${versions.server}-alpine`,
    reloader: inputs.reloader_image ?? `docker.io/natsio/nats-server-config-reloader:${RELOADER_VERSION}`,
    exporter: inputs.exporter_image ?? `docker.io/natsio/prometheus-nats-exporter:${versions.exporter}`,
    kubectl: inputs.kubectl_image ?? `docker.io/alpine/kubectl:${KUBECTL_VERSION}`,
  };
}
