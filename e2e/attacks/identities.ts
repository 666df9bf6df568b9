import { userName } from '../../src/desired/names.ts';
import type { Credentials } from '../nats.ts';
import { Authority, selfSigned } from './authority.ts';
import type { Target } from './target.ts';

/** Whom an attacker comes as: null is somebody without a certificate. */
export type Identities = Map<string, Credentials | null>;

/** The roles and servers themselves, and whoever pretends to be one of them. */
export async function identitiesOf(target: Target): Promise<Identities> {
  const admin = userName(target.cluster, 'admin');
  const [host = ''] = target.hosts;
  const stranger = await Authority.create('stranger');
  const reader = Authority.pretend(target.secrets.reader);
  const client = { commonName: admin, names: [`DNS:${admin}`], usages: ['clientAuth' as const] };
  const peer = {
    commonName: target.cluster,
    names: [`DNS:${host}`],
    usages: ['clientAuth' as const, 'serverAuth' as const],
  };
  const past = { from: -2, until: -1 };
  const future = { from: 1, until: 2 };
  const made: { [title: string]: Promise<Credentials> } = {
    'self-signed admin': selfSigned(client),
    "admin of a stranger's CA": stranger.issue(client),
    'expired admin': target.authority.issue({ ...client, ...past }),
    'admin of tomorrow': target.authority.issue({ ...client, ...future }),
    'admin by common name alone': target.authority.issue({ ...client, names: [] }),
    'admin as a server': target.authority.issue({ ...client, usages: ['serverAuth'] }),
    'admin signed by the reader': reader.issue(client),
    'admin by any name of the shared mount': target.anyName(admin, 'clientAuth'),
    'self-signed server': selfSigned(peer),
    "server of a stranger's CA": stranger.issue(peer),
    'expired server': target.authority.issue({ ...peer, ...past }),
    'server of tomorrow': target.authority.issue({ ...peer, ...future }),
    'server by common name alone': target.authority.issue({ ...peer, commonName: target.cluster, names: [] }),
    'server signed by the reader': reader.issue(peer),
    'server by any name of the shared mount': target.anyName(host, 'clientAuth'),
  };
  const entries = Object.entries(made).map(async ([title, credentials]) => [title, await credentials] as const);
  const identities: Identities = new Map<string, Credentials | null>([
    ['nobody', null],
    ...Object.entries(target.secrets),
    ...Object.entries(target.neighbours),
    ...(await Promise.all(entries)),
  ]);
  stranger.forget();
  reader.forget();
  return identities;
}
