import { connect, type NatsConnection, type TlsOptions } from '@nats-io/transport-node';
import type { Values } from '../simulator/runner.ts';
import { digText } from '../src/json.ts';
import { kube } from './cluster.ts';

/** What a client shows and trusts; PEM. */
export interface Credentials {
  ca: string;
  cert: string;
  key: string;
}

/** The files of a credentials Secret, as a pod would mount them. */
export async function credentials(namespace: string, secret: string): Promise<Credentials> {
  const { data } = await kube.get(`/api/v1/namespaces/${namespace}/secrets/${secret}`);
  const file = (name: string): string => Buffer.from(digText(data, name), 'base64').toString('utf8');
  return { ca: file('ca.crt'), cert: file('tls.crt'), key: file('tls.key') };
}

/** Connects one client to the cluster that a run's outputs describe; it comes back after a lost connection. */
export function connectWith(
  outputs: Values,
  tls: TlsOptions,
  { timeout } = { timeout: 10_000 },
): Promise<NatsConnection> {
  return connect({
    servers: outputs.nats_url ?? '',
    tls,
    timeout,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
  });
}

/** Connects with the Secret that the output of that role names. */
export async function connectAs(role: 'superuser' | 'admin' | 'reader', outputs: Values): Promise<NatsConnection> {
  const secret = outputs[`${role}_creds_secret`] ?? '';
  return connectWith(outputs, { ...(await credentials(outputs.namespace ?? '', secret)) });
}
