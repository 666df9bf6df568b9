/** Ports of a NATS pod; the Services offer the same numbers. */
export const PORTS = { client: 4222, cluster: 6222, monitoring: 8222, metrics: 7777 } as const;

/** The container of a NATS pod that the server runs in. */
export const SERVER_CONTAINER = 'nats';

/** Where a NATS pod finds its files. */
export const PATHS = {
  config: '/etc/nats-config',
  serverCerts: '/etc/server-certs',
  clusterCerts: '/etc/cluster-certs',
  run: '/var/run/nats',
  data: '/data',
} as const;

/** The key of the ConfigMap and the name of the file that holds the server's configuration. */
export const CONFIG_FILE = 'nats.conf';

/** Read by the reloader for SIGHUP and by the preStop hook for lame duck mode. */
export const PID_FILE = `${PATHS.run}/nats.pid`;

/**
 * Seconds of lame duck mode: for `grace` the server takes no new client, then it closes its clients over `duration`.
 * https://docs.nats.io/running-a-nats-service/nats_admin/lame_duck_mode
 */
export const LAME_DUCK = { grace: 10, duration: 30 } as const;
