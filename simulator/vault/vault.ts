import { randomUUID } from 'node:crypto';
import { isJsonObject, type Json, type JsonObject } from '../../src/json.ts';
import type { Behaviour } from '../behaviour.ts';
import type { SimulatedRequest, SimulatedResponse } from '../http.ts';
import { type AuthMethod, logIn } from './logins.ts';
import { AUTH_ROLES, decodeParameters, initialValues, secondsOf } from './parameters.ts';
import { PkiEngine } from './pki.ts';
import { capabilitiesAt, parsePolicy } from './policies.ts';
import { answer, NO_CONTENT, nothingHere, permissionDenied, VaultError } from './responses.ts';
import { authOf, lookupOf, type Token, TokenStore } from './tokens.ts';

const VERSION = '2.6.2';
const CLUSTER = { cluster_name: 'vault-cluster-simulator', cluster_id: '00000000-0000-4000-8000-000000000001' };
/** How long a login's token lives where its role sets nothing: Vault's default lease. */
const DEFAULT_TOKEN_TTL = 32 * 86_400;

/** What one Vault namespace holds. */
export class VaultNamespace {
  readonly policies = new Map<string, string>();
  /** PKI secrets engines by mount path, without slashes around. */
  readonly pki = new Map<string, PkiEngine>();
  /** Auth methods by mount path. */
  readonly auth = new Map<string, AuthMethod>();

  constructor(pkiMounts: string[]) {
    for (const mount of pkiMounts) {
      this.pki.set(mount, new PkiEngine(mount));
    }
    for (const type of Object.keys(AUTH_ROLES)) {
      this.auth.set(type, { type, roles: new Map(), roleIds: new Map(), secretIds: new Set() });
    }
  }

  /** Of what an action writes: the policies, and the roles of every mount. */
  snapshot(): () => void {
    const written = [this.policies, ...[...this.pki.values(), ...this.auth.values()].map(({ roles }) => roles)];
    const restores = written.map(remembered);
    return () => {
      for (const restore of restores) restore();
    };
  }
}

/** Remembers the entries; to call what it returns brings them back. */
function remembered(map: Map<string, Json>): () => void {
  const entries = [...map];
  return () => {
    map.clear();
    for (const [key, value] of entries) map.set(key, value);
  };
}

/** A Vault API, as far as this project uses it, answering as OpenBao 2.6.2 does. */
export class Vault {
  readonly tokens: TokenStore;
  readonly #behaviour: Behaviour;
  readonly #namespaces = new Map<string, VaultNamespace>();

  constructor(behaviour: Behaviour, rootToken: string, pkiMounts: string[], namespaces: string[]) {
    this.#behaviour = behaviour;
    this.tokens = new TokenStore(rootToken);
    for (const name of ['', ...namespaces]) {
      this.#namespaces.set(name, new VaultNamespace(pkiMounts));
    }
  }

  /** The root namespace, or the named one. */
  namespace(name = ''): VaultNamespace {
    const namespace = this.#namespaces.get(name);
    if (namespace === undefined) {
      throw new VaultError(404, 'namespace not found');
    }
    return namespace;
  }

  /** Remembers what is there; to call what it returns brings that back. */
  snapshot(): () => void {
    const restores = [this.tokens.snapshot(), ...[...this.#namespaces.values()].map((each) => each.snapshot())];
    return () => {
      for (const restore of restores) restore();
    };
  }

  handle(request: SimulatedRequest): SimulatedResponse {
    try {
      return this.#route(request);
    } catch (error) {
      if (error instanceof VaultError) {
        return error.toResponse();
      }
      throw error;
    }
  }

  #route(request: SimulatedRequest): SimulatedResponse {
    const isList = request.method === 'LIST' || (request.method === 'GET' && request.query.get('list') === 'true');
    const named = decodeURIComponent(request.path.replace(/^\/v1\//, ''));
    // A list is of what is below a path, which then ends with a slash.
    const path = isList ? named.replace(/\/?$/, '/') : named;
    const sealed = this.#behaviour.vaultSealed;
    if (path === 'sys/health') {
      return { status: sealed ? 503 : 200, body: healthBody(sealed) };
    }
    if (path === 'sys/seal-status') {
      return { status: 200, body: sealBody(sealed) };
    }
    if (sealed) {
      throw new VaultError(503, 'Vault is sealed');
    }
    const namespace = this.namespace((request.headers['x-vault-namespace'] ?? '').replace(/^\/|\/$/g, ''));
    const call: Call = {
      path,
      method: isList ? 'LIST' : request.method,
      body: isJsonObject(request.body) ? request.body : {},
      namespace,
      tokens: this.tokens,
    };
    const open = OPEN_ROUTES.find((route) => route.pattern.test(path));
    if (open !== undefined) {
      return open.run(call, path.match(open.pattern)?.slice(1) ?? []);
    }
    const token = this.tokens.find(request.headers['x-vault-token'] ?? '');
    if (token === undefined) {
      throw permissionDenied();
    }
    authorize(call, token);
    const route = ROUTES.find((candidate) => candidate.pattern.test(path));
    if (route === undefined) {
      throw unrouted(path);
    }
    return route.run(call, path.match(route.pattern)?.slice(1) ?? [], token);
  }
}

interface Call {
  /** Below /v1/, unescaped. */
  path: string;
  method: string;
  body: JsonObject;
  namespace: VaultNamespace;
  tokens: TokenStore;
}

interface OpenRoute {
  pattern: RegExp;
  run: (call: Call, parts: string[]) => SimulatedResponse;
}

interface Route {
  pattern: RegExp;
  run: (call: Call, parts: string[], token: Token) => SimulatedResponse;
}

/** Answered without a token. */
const OPEN_ROUTES: OpenRoute[] = [
  { pattern: /^auth\/(.+)\/login$/, run: (call, [mount = '']) => login(call, mount) },
  { pattern: /^(.+)\/(?:ca\/pem|ca_chain)$/, run: (call, [mount = '']) => caCertificate(call, mount) },
];

const ROUTES: Route[] = [
  { pattern: /^sys\/capabilities-self$/, run: (call, _, token) => capabilities(call, token) },
  { pattern: /^sys\/internal\/ui\/mounts\/(.+)$/, run: (call, [path = '']) => mountInfo(call, path) },
  { pattern: /^sys\/policies\/acl\/([^/]+)$/, run: (call, [name = '']) => policy(call, name) },
  { pattern: /^auth\/token\/lookup-self$/, run: (_, __, token) => answer(lookupOf(token)) },
  { pattern: /^auth\/token\/revoke-self$/, run: (call, _, token) => revoke(call, token) },
  {
    pattern: /^auth\/(.+)\/role\/([^/]+)\/(role-id|secret-id)$/,
    run: (call, [mount = '', role = '', what = '']) => appRoleId(call, mount, role, what),
  },
  {
    pattern: /^auth\/(.+)\/role\/([^/]+)$/,
    run: (call, [mount = '', name = '']) => authRole(call, mount, name),
  },
  { pattern: /^(.+)\/roles\/$/, run: (call, [mount = '']) => listed(engineAt(call, mount).roles) },
  { pattern: /^(.+)\/roles\/([^/]+)$/, run: (call, [mount = '', name = '']) => pkiRole(call, mount, name) },
];

function authorize(call: Call, token: Token): void {
  const granted = capabilitiesAt(call.path, token.policies, call.namespace.policies);
  const needed = NEEDED_CAPABILITY[call.method] ?? ['sudo'];
  if (!granted.includes('root') && !needed.some((capability) => granted.includes(capability))) {
    throw new VaultError(403, '1 error occurred:\n\t* permission denied\n\n');
  }
}

/** A write needs `create` where nothing is, `update` otherwise; which of the two counts is not told apart here. */
const NEEDED_CAPABILITY: { [method: string]: string[] } = {
  GET: ['read'],
  LIST: ['list'],
  POST: ['update', 'create'],
  PUT: ['update', 'create'],
  DELETE: ['delete'],
};

function login(call: Call, mount: string): SimulatedResponse {
  const method = call.namespace.auth.get(mount);
  if (method === undefined) {
    throw permissionDenied();
  }
  const { role, metadata } = logIn(method, call.body);
  const own = Array.isArray(role.token_policies) ? role.token_policies.map(String) : [];
  const policies = role.token_no_default_policy === true ? own : ['default', ...own];
  const ttl = secondsOf(role.token_ttl ?? 0) || DEFAULT_TOKEN_TTL;
  const token = call.tokens.issue(policies, ttl, `auth/${mount}/login`, metadata);
  return answer(null, { auth: authOf(token) });
}

function revoke(call: Call, token: Token): SimulatedResponse {
  call.tokens.revoke(token);
  return NO_CONTENT;
}

function caCertificate(call: Call, mount: string): SimulatedResponse {
  return { status: 200, body: engineAt(call, mount).authority.certificate };
}

function capabilities(call: Call, token: Token): SimulatedResponse {
  const paths = Array.isArray(call.body.paths) ? call.body.paths.map(String) : [];
  const granted: JsonObject = Object.fromEntries(
    paths.map((path) => [path, capabilitiesAt(path, token.policies, call.namespace.policies)]),
  );
  const [only] = paths;
  const data = only === undefined || paths.length > 1 ? granted : { ...granted, capabilities: granted[only] };
  return answer(data, data);
}

function mountInfo(call: Call, path: string): SimulatedResponse {
  const mounts: [string, string][] = [
    ...[...call.namespace.pki.keys()].map((mount): [string, string] => [mount, 'pki']),
    ...[...call.namespace.auth].map(([mount, method]): [string, string] => [`auth/${mount}`, method.type]),
  ];
  const found = mounts.find(([mount]) => path === mount || path.startsWith(`${mount}/`));
  if (found === undefined) {
    const reason = `preflight capability check returned 403, please ensure client's policies grant access to path "${path}/"`;
    throw new VaultError(403, reason);
  }
  const [mount, type] = found;
  return answer({ path: `${mount.replace(/^auth\//, '')}/`, type, description: '', config: {}, options: {} });
}

function policy(call: Call, name: string): SimulatedResponse {
  const { policies } = call.namespace;
  const stored = name.toLowerCase();
  return byMethod(call, {
    read: () => {
      const text = policies.get(stored);
      if (text === undefined) {
        throw nothingHere();
      }
      return answer({ name: stored, policy: text });
    },
    write: () => {
      const text = call.body.policy;
      if (typeof text !== 'string' || text === '') {
        throw new VaultError(400, "'policy' parameter not supplied or empty");
      }
      if (parsePolicy(text) === null) {
        throw new VaultError(400, 'failed to parse policy: unexpected content');
      }
      policies.set(stored, text);
      return stored === name ? NO_CONTENT : answer(null, { warnings: [`policy name was converted to ${stored}`] });
    },
    remove: () => policies.delete(stored),
  });
}

/** Writing merges: parameters that are not given keep what they are. */
function authRole(call: Call, mount: string, name: string): SimulatedResponse {
  const method = methodAt(call, mount);
  const schema = AUTH_ROLES[method.type] ?? {};
  const stored = name.toLowerCase();
  const live = method.roles.get(stored);
  return byMethod(call, {
    read: () => {
      if (live === undefined) {
        throw nothingHere();
      }
      return answer(live);
    },
    write: () => {
      const role = { ...(live ?? initialValues(schema)), ...decodeParameters(schema, call.body) };
      if (method.type === 'kubernetes') {
        requireBound(role, 'bound_service_account_names');
        requireBound(role, 'bound_service_account_namespaces');
      }
      method.roles.set(stored, role);
      return NO_CONTENT;
    },
    remove: () => method.roles.delete(stored),
  });
}

function requireBound(role: JsonObject, field: string): void {
  const bound: Json | undefined = role[field];
  if (!Array.isArray(bound) || bound.length === 0) {
    throw new VaultError(400, `"${field}" can not be empty`);
  }
}

function appRoleId(call: Call, mount: string, role: string, what: string): SimulatedResponse {
  const method = methodAt(call, mount);
  if (!method.roles.has(role)) {
    throw nothingHere();
  }
  if (what === 'secret-id') {
    const id = randomUUID();
    method.secretIds.add(id);
    return answer({ secret_id: id, secret_id_accessor: randomUUID(), secret_id_num_uses: 0, secret_id_ttl: 0 });
  }
  const known = [...method.roleIds].find(([, name]) => name === role)?.[0];
  const id = known ?? randomUUID();
  method.roleIds.set(id, role);
  return answer({ role_id: id });
}

function pkiRole(call: Call, mount: string, name: string): SimulatedResponse {
  const engine = engineAt(call, mount);
  return byMethod(call, {
    read: () => {
      const role = engine.roles.get(name);
      if (role === undefined) {
        throw nothingHere();
      }
      return answer(role);
    },
    write: () => answer(engine.writeRole(name, call.body)),
    remove: () => engine.roles.delete(name),
  });
}

/** A list without entries does not exist. */
function listed(entries: Map<string, unknown>): SimulatedResponse {
  if (entries.size === 0) throw nothingHere();
  return answer({ keys: [...entries.keys()].sort() });
}

interface Verbs {
  read: () => SimulatedResponse;
  write: () => SimulatedResponse;
  /** Removing what is not there is fine. */
  remove: () => void;
}

function byMethod(call: Call, verbs: Verbs): SimulatedResponse {
  switch (call.method) {
    case 'GET':
      return verbs.read();
    case 'POST':
    case 'PUT':
      return verbs.write();
    case 'DELETE':
      verbs.remove();
      return NO_CONTENT;
    default:
      throw new VaultError(405, 'unsupported operation');
  }
}

function engineAt(call: Call, mount: string): PkiEngine {
  const engine = call.namespace.pki.get(mount);
  if (engine === undefined) {
    throw unrouted(call.path);
  }
  return engine;
}

function methodAt(call: Call, mount: string): AuthMethod {
  const method = call.namespace.auth.get(mount);
  if (method === undefined) {
    throw unrouted(call.path);
  }
  return method;
}

function unrouted(path: string): VaultError {
  return new VaultError(404, `no handler for route "${path}". route entry not found.`);
}

function healthBody(sealed: boolean): JsonObject {
  return {
    initialized: true,
    sealed,
    standby: sealed,
    replication_performance_mode: sealed ? 'unknown' : 'disabled',
    replication_dr_mode: sealed ? 'unknown' : 'disabled',
    server_time_utc: Math.floor(Date.now() / 1000),
    version: VERSION,
    ...(sealed ? {} : CLUSTER),
  };
}

function sealBody(sealed: boolean): JsonObject {
  return {
    type: 'shamir',
    initialized: true,
    sealed,
    t: 1,
    n: 1,
    progress: 0,
    nonce: '',
    recovery_seal: false,
    version: VERSION,
    migration: false,
    storage_type: 'inmem',
    ...(sealed ? {} : CLUSTER),
  };
}
