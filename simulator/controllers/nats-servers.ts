import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { isDeepStrictEqual } from 'node:util';
import { digObjects, digText, type JsonObject } from '../../src/json.ts';
import { type Behaviour, refusalOf } from '../behaviour.ts';
import { mapAt } from '../json-at.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import type { StoredObject } from '../kubernetes/object-store.ts';
import { resourceOf } from '../kubernetes/resources.ts';
import { areWhole, type Certificates, greet, mountedCertificates } from './nats-certificates.ts';

const CONTAINER = 'nats';
const MONITORING_PORT = 8222;
/** Connections a server keeps to each peer: a pool of three and one for the system account. */
const ROUTES_PER_PEER = 4;
/** Milliseconds until the kubelet brings changed ConfigMaps and Secrets by itself; a minute in reality. */
const SYNC_DELAY = 3_000;

interface Server {
  /** The content of the mounted ConfigMaps that the server has loaded. */
  config: string;
  /** Of the mounted Secrets, likewise. */
  certificates: Certificates;
  annotations: string;
  start: Date;
  loaded: Date;
  /** What it has logged since its start. */
  lines: string[];
  /** When the kubelet is to bring changed ConfigMaps and Secrets. */
  due: number | undefined;
}

/** The nats-server in every running pod that has a container `nats`: what its monitoring port tells, the certificates it shows. */
export class NatsServers {
  readonly #cluster: Cluster;
  readonly #behaviour: Behaviour;
  readonly #syncDelay: number;
  #servers = new Map<string, Server>();

  constructor(cluster: Cluster, behaviour: Behaviour, speed: number) {
    this.#cluster = cluster;
    this.#behaviour = behaviour;
    this.#syncDelay = SYNC_DELAY / (speed || 1);
  }

  /** Starts servers, and reloads their configuration: at once when a pod's annotations are touched, late otherwise. */
  reconcile(): void {
    const pods = this.#running();
    for (const pod of pods) {
      this.#servers.set(pod.metadata.uid, this.#next(pod, this.#servers.get(pod.metadata.uid)));
    }
    const alive = new Set(pods.map((pod) => pod.metadata.uid));
    for (const uid of this.#servers.keys()) {
      if (!alive.has(uid)) {
        this.#servers.delete(uid);
      }
    }
  }

  /** Remembers the servers; to call what it returns brings them back. */
  snapshot(): () => void {
    const servers = new Map(this.#servers);
    return () => {
      this.#servers = new Map(servers);
    };
  }

  /** The configuration that the pod's server has loaded; '' for one that does not run. */
  configOf(pod: string): string {
    const found = this.#running().find((candidate) => candidate.metadata.name === pod);
    return this.#servers.get(found?.metadata.uid ?? '')?.config ?? '';
  }

  /** Names of the pods whose server has not loaded what they mount by now. */
  outdated(): string[] {
    const outdated = this.#running().filter((pod) => {
      const server = this.#servers.get(pod.metadata.uid);
      const isLoaded =
        server?.config === mountedConfig(this.#cluster, pod) &&
        isDeepStrictEqual(server.certificates, mountedCertificates(this.#cluster, pod, CONTAINER));
      return !isLoaded;
    });
    return outdated.map(({ metadata }) => metadata.name);
  }

  /** Takes a connection to a port of a pod; false where no server listens on it. */
  accept(pod: StoredObject, port: number, connection: Duplex): boolean {
    const server = this.#servers.get(pod.metadata.uid);
    if (server === undefined) return false;
    const certificate = server.certificates.get(port);
    if (certificate !== undefined) greet(connection, port, certificate);
    else if (port === MONITORING_PORT) this.#monitor(pod, server, connection);
    else return false;
    return true;
  }

  #monitor(pod: StoredObject, server: Server, connection: Duplex): void {
    const monitoring = createServer((request, response) => {
      const page = this.#page(pod, server, request.url?.split('?')[0] ?? '');
      response.statusCode = page === null ? 404 : page.error === undefined ? 200 : 503;
      response.end(page === null ? '404 page not found\n' : JSON.stringify(page));
    });
    monitoring.emit('connection', connection);
  }

  #page(pod: StoredObject, server: Server, path: string): JsonObject | null {
    switch (path) {
      case '/varz':
        return varz(pod, server);
      case '/jsz':
        return this.#jsz(pod);
      case '/routez':
        return this.#routez(pod);
      case '/healthz':
        return this.#healthz(pod);
      default:
        return null;
    }
  }

  #healthz({ metadata }: StoredObject): JsonObject {
    const error = this.#behaviour.natsNotCurrent.get(metadata.name);
    return error === undefined ? { status: 'ok' } : { status: 'unavailable', error };
  }

  /** What the server has logged. */
  log(pod: StoredObject): string {
    const server = this.#servers.get(pod.metadata.uid);
    if (server !== undefined) return `${server.lines.join('\n')}\n`;
    const refusal = refusalOf(this.#behaviour, mountedConfig(this.#cluster, pod));
    return refusal === undefined ? '' : `${refusal}\n`;
  }

  #running(): StoredObject[] {
    return this.#cluster.store
      .list(resourceOf('Pod'))
      .filter((pod) => digText(pod, 'status', 'phase') === 'Running')
      .filter((pod) => digObjects(pod, 'spec', 'containers').some((container) => container.name === CONTAINER));
  }

  #next(pod: StoredObject, live: Server | undefined): Server {
    const config = mountedConfig(this.#cluster, pod);
    const certificates = mountedCertificates(this.#cluster, pod, CONTAINER);
    const annotations = JSON.stringify(pod.metadata.annotations ?? {});
    const now = new Date();
    if (live === undefined) {
      const lines = [`[1] ${now.toISOString()} [INF] Server is ready`];
      return { config, certificates, annotations, start: now, loaded: now, lines, due: undefined };
    }
    if (config === live.config && isDeepStrictEqual(certificates, live.certificates)) {
      return { ...live, annotations, due: undefined };
    }
    const due = live.due ?? now.getTime() + this.#syncDelay;
    const isDue = annotations !== live.annotations || now.getTime() >= due;
    if (!isDue || !areWhole(certificates)) return { ...live, annotations, due };
    const refusal = refusalOf(this.#behaviour, config);
    if (refusal === undefined) return { ...live, config, certificates, annotations, loaded: now, due: undefined };
    const line = `[1] ${now.toISOString()} [ERR] Failed to reload server configuration: ${refusal}`;
    // The reloader signals once for a changed file.
    const isTold = live.lines.at(-1)?.endsWith(refusal);
    return { ...live, annotations, lines: isTold ? live.lines : [...live.lines, line], due };
  }

  #peers(pod: StoredObject): StoredObject[] {
    const owner = pod.metadata.ownerReferences?.[0]?.uid;
    return this.#running().filter((other) => other.metadata.ownerReferences?.[0]?.uid === owner);
  }

  #jsz(pod: StoredObject): JsonObject {
    const peers = this.#peers(pod);
    const [leader] = peers;
    const isLeader = leader?.metadata.uid === pod.metadata.uid;
    const others = peers.filter((peer) => peer.metadata.uid !== pod.metadata.uid);
    const followers = others.filter((peer) => !this.#behaviour.natsOutsiders.has(peer.metadata.uid));
    const streams = this.#behaviour.natsStreams.get(pod.metadata.name) ?? [];
    const name = pod.metadata.labels?.['app.kubernetes.io/instance'] ?? '';
    const metaCluster = {
      name,
      ...(this.#behaviour.natsMetaLeader ? { leader: leader?.metadata.name, peer: idOf(pod) } : {}),
      ...(isLeader && this.#behaviour.natsMetaLeader ? { replicas: followers.map(replica) } : {}),
      cluster_size: peers.length,
    };
    return {
      server_id: idOf(pod),
      now: new Date().toISOString(),
      config: { max_memory: 0, max_storage: 0, store_dir: '/data/jetstream' },
      memory: 0,
      storage: 0,
      streams: streams.length,
      consumers: 0,
      messages: 0,
      bytes: 0,
      account_details: [{ name: 'DEFAULT', stream_detail: streams.map((stream) => this.#stream(stream)) }],
      ...(peers.length > 1 ? { meta_cluster: metaCluster } : {}),
    };
  }

  #stream(name: string): JsonObject {
    const level = this.#behaviour.natsApiLevels.get(name);
    return level === undefined ? { name } : { name, config: { metadata: { '_nats.req.level': String(level) } } };
  }

  #routez(pod: StoredObject): JsonObject {
    const others = this.#peers(pod).filter((peer) => peer.metadata.uid !== pod.metadata.uid);
    const routes = others.flatMap((peer) =>
      Array.from({ length: ROUTES_PER_PEER }, (_, index) => ({
        rid: index + 1,
        remote_id: idOf(peer),
        remote_name: peer.metadata.name,
        did_solicit: true,
        is_configured: true,
        ip: digText(peer, 'status', 'podIP'),
        port: 6222,
      })),
    );
    return { server_id: idOf(pod), server_name: pod.metadata.name, num_routes: routes.length, routes };
  }
}

/** The content of the ConfigMaps that a pod mounts. */
export function mountedConfig(cluster: Cluster, pod: StoredObject): string {
  const maps = digObjects(pod, 'spec', 'volumes').map((volume) => digText(volume, 'configMap', 'name'));
  return maps
    .filter((name) => name !== '')
    .map((name) => cluster.store.get(resourceOf('ConfigMap'), pod.metadata.namespace ?? '', name))
    .flatMap((map) => Object.values(mapAt(map, 'data')))
    .join('\n');
}

function replica(peer: StoredObject): JsonObject {
  return { name: peer.metadata.name, current: true, active: 250_000_000, peer: idOf(peer) };
}

function varz(pod: StoredObject, server: Server): JsonObject {
  const container = digObjects(pod, 'spec', 'containers').find((candidate) => candidate.name === CONTAINER);
  const [, version = ''] = /:(\d+\.\d+\.\d+)/.exec(digText(container, 'image')) ?? [];
  return {
    server_id: idOf(pod),
    server_name: pod.metadata.name,
    version,
    start: server.start.toISOString(),
    now: new Date().toISOString(),
    config_load_time: server.loaded.toISOString(),
  };
}

/** A server's id is new whenever its pod is. */
function idOf(pod: StoredObject): string {
  return `N${createHash('sha256').update(pod.metadata.uid).digest('hex').toUpperCase().slice(0, 55)}`;
}
