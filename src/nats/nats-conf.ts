import type { ConfBlock } from './conf-text.ts';
import { LAME_DUCK, PATHS, PID_FILE, PORTS } from './layout.ts';
import { ADMIN_PERMISSIONS, SUPERUSER_PERMISSIONS } from './permissions.ts';
import { type ReaderAccess, readerAccount, readerExports } from './reader.ts';

/** What the configuration of the servers is made of. */
export interface ServerSettings {
  cluster: string;
  /** NATS users, by the DNS names in their certificates. */
  users: { superuser: string; admin: string; reader: string };
  readerAccess: ReaderAccess;
  /** The hosts of all servers; one server alone forms no cluster. */
  hosts: string[];
  logLevel: 'info' | 'debug' | 'trace';
  pingSeconds: number;
  writeDeadlineSeconds: number;
  maxConnections: number;
  maxControlLineBytes: number;
  maxPayloadBytes: number;
  memoryStoreBytes: number;
  fileStoreBytes: number;
  maxCatchupBytes: number;
  /** 0: after each message. */
  fsyncSeconds: number;
}

/** The configuration of every server of a cluster: nothing in it differs between them but the name. */
export function natsConf(settings: ServerSettings): ConfBlock {
  return {
    server_name: { $env: 'POD_NAME' },
    pid_file: PID_FILE,
    port: PORTS.client,
    http_port: PORTS.monitoring,

    tls: { ...certificate(PATHS.serverCerts), verify_and_map: true, timeout: 5 },
    authorization: { timeout: 6 },

    ping_interval: seconds(settings.pingSeconds),
    write_deadline: seconds(settings.writeDeadlineSeconds),
    max_connections: settings.maxConnections,
    max_control_line: settings.maxControlLineBytes,
    max_payload: settings.maxPayloadBytes,
    lame_duck_grace_period: seconds(LAME_DUCK.grace),
    lame_duck_duration: seconds(LAME_DUCK.duration),
    debug: settings.logLevel !== 'info',
    trace: settings.logLevel === 'trace',
    logtime: true,

    jetstream: {
      store_dir: `${PATHS.data}/jetstream`,
      max_memory_store: settings.memoryStoreBytes,
      max_file_store: settings.fileStoreBytes,
      max_outstanding_catchup: settings.maxCatchupBytes,
      sync_interval: settings.fsyncSeconds === 0 ? 'always' : seconds(settings.fsyncSeconds),
    },

    ...(settings.hosts.length > 1 ? { cluster: cluster(settings) } : {}),

    accounts: {
      DEFAULT: {
        jetstream: 'enabled',
        users: [{ user: settings.users.admin, permissions: ADMIN_PERMISSIONS }],
        exports: readerExports('READER', settings.readerAccess),
      },
      READER: readerAccount(settings.users.reader, 'DEFAULT', settings.readerAccess),
      SYS: { users: [{ user: settings.users.superuser, permissions: SUPERUSER_PERMISSIONS }] },
    },
    system_account: 'SYS',
  };
}

/**
 * Peers must show a certificate that names one of the routes: any other certificate of the same CA, a client's for
 * one, could join as a server and write everywhere. Pod IPs are not advertised, as no certificate names them.
 */
function cluster(settings: ServerSettings): ConfBlock {
  return {
    name: settings.cluster,
    port: PORTS.cluster,
    no_advertise: true,
    routes: settings.hosts.map((host) => `tls://${host}:${PORTS.cluster}`),
    tls: { ...certificate(PATHS.clusterCerts), verify: true, verify_cert_and_check_known_urls: true, timeout: 5 },
  };
}

function certificate(directory: string): ConfBlock {
  return {
    cert_file: `${directory}/tls.crt`,
    key_file: `${directory}/tls.key`,
    ca_file: `${directory}/ca.crt`,
  };
}

function seconds(count: number): string {
  return `${count}s`;
}
