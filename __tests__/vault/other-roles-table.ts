import type { JsonObject } from '../../src/json.ts';

/** Names of a cluster nats-a, by which its servers know clients and each other. */
export const USER = 'admin-nats-a';
export const HOST = 'nats-a-0.nats-a-headless.demo.svc.cluster.local';

/** What somebody else's role is like, and whom a client certificate that it signs can pass for. */
export interface RoleCase {
  title: string;
  parameters: JsonObject;
  passesFor: (typeof USER | 'a server')[];
}

const none: RoleCase['passesFor'] = [];
const both: RoleCase['passesFor'] = [USER, 'a server'];
const noClient = { allow_any_name: true, client_flag: false };

export const ROLE_CASES: RoleCase[] = [
  { title: 'any-name', parameters: { allow_any_name: true }, passesFor: both },
  { title: 'defaults', parameters: {}, passesFor: none },

  { title: 'bare', parameters: { allowed_domains: [USER], allow_bare_domains: true }, passesFor: [USER] },
  {
    title: 'bare-upper',
    parameters: { allowed_domains: [USER.toUpperCase()], allow_bare_domains: true },
    passesFor: [USER],
  },
  { title: 'bare-off', parameters: { allowed_domains: [USER] }, passesFor: none },
  {
    title: 'bare-other',
    parameters: { allowed_domains: ['nats-a', 'admin-nats-b'], allow_bare_domains: true },
    passesFor: none,
  },
  {
    title: 'subdomains',
    parameters: { allowed_domains: ['cluster.local'], allow_subdomains: true },
    passesFor: ['a server'],
  },
  { title: 'subdomains-off', parameters: { allowed_domains: ['cluster.local'] }, passesFor: none },
  {
    title: 'subdomains-upper',
    parameters: { allowed_domains: ['Cluster.Local'], allow_subdomains: true },
    passesFor: none,
  },
  {
    title: 'subdomains-half-a-label',
    parameters: { allowed_domains: ['uster.local', 'nats-a'], allow_subdomains: true },
    passesFor: none,
  },
  { title: 'glob', parameters: { allowed_domains: ['admin-*'], allow_glob_domains: true }, passesFor: [USER] },
  { title: 'glob-all', parameters: { allowed_domains: ['*'], allow_glob_domains: true }, passesFor: both },
  {
    title: 'glob-within',
    parameters: { allowed_domains: ['n*-headless.*.local'], allow_glob_domains: true },
    passesFor: ['a server'],
  },
  {
    title: 'glob-upper',
    parameters: { allowed_domains: ['ADMIN-*'], allow_glob_domains: true },
    passesFor: none,
  },
  { title: 'glob-off', parameters: { allowed_domains: ['admin-*'] }, passesFor: none },
  {
    title: 'glob-without-star',
    parameters: { allowed_domains: [USER, 'admin.nats-a'], allow_glob_domains: true },
    passesFor: none,
  },

  { title: 'uri', parameters: { allowed_uri_sans: ['*'] }, passesFor: [USER] },
  { title: 'uri-exact', parameters: { allowed_uri_sans: [USER] }, passesFor: [USER] },
  { title: 'uri-other', parameters: { allowed_uri_sans: ['spiffe://*', 'nats-a'] }, passesFor: none },

  { title: 'server-only', parameters: noClient, passesFor: none },
  { title: 'usage', parameters: { ...noClient, ext_key_usage: ['clientauth'] }, passesFor: both },
  { title: 'usage-other', parameters: { ...noClient, ext_key_usage: ['TimeStamping'] }, passesFor: none },
  { title: 'usage-any', parameters: { ...noClient, server_flag: false, ext_key_usage: ['Any'] }, passesFor: both },
  { title: 'usage-oid', parameters: { ...noClient, ext_key_usage_oids: ['1.3.6.1.5.5.7.3.2'] }, passesFor: both },
  { title: 'usage-none', parameters: { ...noClient, server_flag: false }, passesFor: both },
  {
    title: 'usage-code',
    parameters: { ...noClient, server_flag: false, code_signing_flag: true },
    passesFor: none,
  },
];
