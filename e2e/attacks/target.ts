import type { NatsConnection } from '@nats-io/transport-node';
import { connect } from '@nats-io/transport-node';
import type { Purpose } from '../../src/desired/names.ts';
import { PORTS } from '../../src/nats/layout.ts';
import type { Credentials } from '../nats.ts';
import type { Authority } from './authority.ts';

/** A NATS cluster that is attacked. */
export interface Target {
  /** Release of its servers. */
  version: string;
  cluster: string;
  /** What clients and peers dial its servers by, one a server; the ports are those of a pod. */
  hosts: string[];
  secrets: { [purpose in Purpose]: Credentials };
  /** The authority that its servers trust. */
  authority: Authority;
  /** What those get signed who may ask the stack's shared PKI mount for any name. */
  anyName(name: string, usage: 'clientAuth' | 'serverAuth'): Promise<Credentials>;
  /** The credentials of other clusters that come from the same mount, by what they are. */
  neighbours: { [title: string]: Credentials };
}

/** Connects a client that never comes back by itself; always to the same server, so that what it says is in order. */
export function dial({ hosts }: Target, credentials: Credentials, ca = credentials.ca): Promise<NatsConnection> {
  const { cert, key } = credentials;
  const [host = ''] = hosts;
  return connect({
    servers: `${host}:${PORTS.client}`,
    ignoreClusterUpdates: true,
    tls: { ca, cert, key },
    timeout: 5_000,
    reconnect: false,
  });
}
