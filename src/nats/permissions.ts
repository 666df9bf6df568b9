import type { ConfBlock } from './conf-text.ts';

/**
 * What the superuser may do: ask servers about themselves and command them, move JetStream's leader, remove a server
 * that is gone, and hear who connects. All else in the system account is talk of the servers among themselves, by which
 * anyone who may say it reads and writes the data of every account: Raft's log entries (`$NRG.>`), requests to JetStream
 * in another account's name (header `Nats-Request-Info`), and the purge of whole accounts.
 */
export const SUPERUSER_PERMISSIONS: ConfBlock = {
  publish: { allow: ['$SYS.REQ.>', '$JS.API.META.LEADER.STEPDOWN', '$JS.API.SERVER.REMOVE'] },
  subscribe: { allow: ['_INBOX.>', '$SYS.ACCOUNT.>', '$SYS.SERVER.>'] },
};

/**
 * The admin may do everything in the account of the data. These requests are for the system account alone, which servers
 * before 2.10.27 do not check: https://github.com/nats-io/nats-server/security/advisories/GHSA-fhg8-qxh5-7q3w
 */
export const ADMIN_PERMISSIONS: ConfBlock = {
  publish: { deny: ['$JS.API.META.>', '$JS.API.SERVER.>', '$JS.API.ACCOUNT.>'] },
};
