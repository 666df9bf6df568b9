import type { HttpRequest, HttpResponse } from '../http/transport.ts';
import { isJsonObject, type Json } from '../json.ts';
import { Problem, type ProblemKind } from '../problem.ts';
import { redacted } from '../redact.ts';
import { VaultAbsent } from './absence.ts';
import { pathText } from './path.ts';

/** What was sent to Vault, without its body: that may hold secrets. */
export interface VaultRequest {
  method: HttpRequest['method'];
  path: string[];
  /** The API server's service proxy before /v1/, or ''. */
  pathPrefix: string;
  namespace: string;
  /** Set where the request is a login. */
  login?: LoginAttempt | undefined;
}

/** What messages tell of a login. */
export interface LoginAttempt {
  /** "jwt, role nats-deployer" */
  by: string;
  /** What to check when Vault does not trust the credentials. */
  advice: string;
}

interface Refusal extends VaultRequest {
  status: number;
  /** Vault's own words; empty when the answer is not Vault's. */
  errors: string[];
  /** The message of the API server's Status object, where the service proxy refused and not Vault. */
  proxyMessage: string | null;
  /** A TLS listener that was spoken to without TLS; the words are those of Go's net/http. */
  wantsTls: boolean;
  location: string | undefined;
}

interface Rule {
  when(refusal: Refusal): boolean;
  kind: ProblemKind;
  /** Set where nothing can be said of what was asked for, as Vault or the mount is not there. */
  absence?: VaultAbsent['absence'];
  next(refusal: Refusal): string;
}

/** The first that fits tells what to do next. */
const RULES: Rule[] = [
  {
    when: (refusal) => refusal.proxyMessage !== null && refusal.status === 401,
    kind: 'permission',
    next: () =>
      'The Kubernetes API server, which Vault is reached through, wants other credentials: renew the kubeconfig.',
  },
  {
    when: (refusal) => refusal.proxyMessage !== null && refusal.status === 403,
    kind: 'permission',
    next: (refusal) => {
      const { namespace, port } = proxiedService(refusal.pathPrefix);
      const verbs = ['get', 'create', ...(refusal.method === 'DELETE' ? ['delete'] : [])].join(', ');
      return (
        'This is a Kubernetes permission, not one of Vault. Allow it with a Role in namespace ' +
        `${namespace}: {apiGroups: [""], resources: [services/proxy], resourceNames: ["${port}"], verbs: [${verbs}]}; ` +
        'or set vault_url to an address of Vault that the runner reaches.'
      );
    },
  },
  {
    when: (refusal) => refusal.proxyMessage !== null && refusal.status === 404,
    kind: 'connection',
    absence: 'gone',
    next: (refusal) => {
      const { namespace, service } = proxiedService(refusal.pathPrefix);
      return `There is no Service ${service} in namespace ${namespace}: correct vault_internal_url, or set vault_url.`;
    },
  },
  {
    when: (refusal) => refusal.proxyMessage?.includes('no endpoints available') === true,
    kind: 'connection',
    absence: 'silent',
    next: (refusal) => {
      const { namespace, service } = proxiedService(refusal.pathPrefix);
      return (
        `Service ${service} has no ready pod. Look at Vault's pods (kubectl -n ${namespace} get pods): they may be ` +
        'starting, sealed, or none may be active.'
      );
    },
  },
  {
    when: (refusal) => refusal.proxyMessage !== null,
    kind: 'connection',
    absence: 'silent',
    next: (refusal) => {
      const { namespace, service } = proxiedService(refusal.pathPrefix);
      return (
        `The Kubernetes API server could not reach Vault's pod behind Service ${service}. Check the port and http/https in ` +
        `vault_internal_url, and the NetworkPolicies of namespace ${namespace}.`
      );
    },
  },
  {
    when: (refusal) => refusal.status >= 300 && refusal.status < 400,
    kind: 'connection',
    next: () =>
      'Redirects are not followed, as they would carry the token elsewhere: set vault_url to the final address.',
  },
  {
    when: (refusal) => refusal.errors.some((error) => /vault is sealed/i.test(error)),
    kind: 'vault',
    absence: 'silent',
    next: () => 'Unseal Vault (vault operator unseal), then run this again.',
  },
  {
    // Vault Enterprise takes an unknown namespace for a part of the path, and only then lacks what is always mounted.
    when: (refusal) =>
      refusal.errors.some((error) => /namespace not found/i.test(error)) ||
      (isAlwaysMounted(refusal.path) && lacksMount(refusal)),
    kind: 'vault',
    next: (refusal) => `Vault has no namespace ${JSON.stringify(refusal.namespace)}: correct vault_namespace.`,
  },
  {
    when: ({ wantsTls }) => wantsTls,
    kind: 'connection',
    next: (refusal) => `The server speaks TLS there: write https in ${urlInput(refusal)}.`,
  },
  {
    when: (refusal) => refusal.errors.length === 0 && refusal.status < 500,
    kind: 'connection',
    next: (refusal) =>
      `This is not an answer of Vault: check that ${urlInput(refusal)} leads to Vault itself, without a path.`,
  },
  {
    when: ({ login, errors }) => login !== undefined && errors.some((error) => /could not load config/i.test(error)),
    kind: 'vault',
    next: (refusal) => `The auth method is enabled but not configured: write ${authMount(refusal.path)}/config first.`,
  },
  {
    when: ({ login, status, errors }) =>
      login !== undefined && status === 403 && errors.every((error) => error === 'permission denied'),
    kind: 'permission',
    next: ({ path, login }) =>
      `Vault says the same whether no auth method is enabled at ${authMount(path)} or it does not trust the ` +
      `credentials: check vault_auth_path (vault auth list) and vault_namespace. ${login?.advice}`,
  },
  {
    when: ({ login, status }) => login !== undefined && status >= 400 && status < 500 && status !== 429,
    kind: 'vault',
    next: ({ login }) => login?.advice ?? '',
  },
  {
    when: (refusal) => refusal.status === 403,
    kind: 'permission',
    next: (refusal) =>
      `Add this to a policy of the token, unless the token has expired: ${policyRule(pathText(refusal.path), [...CAPABILITIES[refusal.method]])}`,
  },
  {
    when: lacksMount,
    kind: 'vault',
    absence: 'unmounted',
    next: noMount,
  },
  {
    when: (refusal) => refusal.errors.some((error) => /unsupported (path|operation)/i.test(error)),
    kind: 'vault',
    next: noMount,
  },
  {
    when: (refusal) => refusal.status === 412 || refusal.status === 429 || refusal.status >= 500,
    kind: 'vault',
    absence: 'silent',
    next: () => 'It was tried again for about 10 s. See the log of the Vault server, then run this again.',
  },
  {
    when: () => true,
    kind: 'vault',
    next: () => "Vault refuses the value itself: compare the inputs with Vault's words.",
  },
];

/** What each HTTP method asks of a policy; https://developer.hashicorp.com/vault/docs/concepts/policies#capabilities */
const CAPABILITIES = {
  GET: ['read'],
  POST: ['create', 'update'],
  PUT: ['create', 'update'],
  PATCH: ['patch'],
  DELETE: ['delete'],
} as const;

const VERBS = { GET: 'Reading', POST: 'Writing', PUT: 'Writing', PATCH: 'Changing', DELETE: 'Deleting' } as const;

/** One rule of a policy, ready to be pasted. */
export function policyRule(path: string, capabilities: string[]): string {
  return `path ${JSON.stringify(path)} { capabilities = ${JSON.stringify(capabilities)} }`;
}

/** "Reading pki/internal/roles/x in Vault (GET)", "Logging in to Vault at auth/jwt/login (jwt, role nats-deployer)". */
export function triedRequest({ path, method, login }: VaultRequest): string {
  return login === undefined
    ? `${VERBS[method]} ${pathText(path)} in Vault (${method})`
    : `Logging in to Vault at ${pathText(path)} (${login.by})`;
}

/** Tells why Vault, or the API server before it, refused a request. The secrets are cut out of what it said. */
export function refused(request: VaultRequest, response: HttpResponse, secrets: string[]): Problem {
  const quotable = (words: string): string => oneLine(redacted(words, secrets));
  const message = request.pathPrefix === '' ? null : proxyMessage(response);
  const refusal: Refusal = {
    ...request,
    status: response.status,
    errors: errorsIn(response).map(quotable),
    proxyMessage: message === null ? null : quotable(message),
    wantsTls: response.status === 400 && response.body.includes('HTTP request to an HTTPS server'),
    location: response.headers.location,
  };
  const rule = RULES.find((candidate) => candidate.when(refusal));
  if (rule === undefined) throw new Error('no rule for a refusal');
  const details = {
    kind: rule.kind,
    tried: triedRequest(request),
    reason: reason(refusal),
    next: rule.next(refusal),
  };
  return rule.absence === undefined ? new Problem(details) : new VaultAbsent(details, rule.absence);
}

/** Of sys and auth/token, which every Vault and every namespace has. */
function isAlwaysMounted(path: string[]): boolean {
  return path[0] === 'sys' || (path[0] === 'auth' && path[1] === 'token');
}

function lacksMount({ errors }: Refusal): boolean {
  return errors.some((error) => /no handler for route/i.test(error));
}

function noMount({ path }: Refusal): string {
  return path[0] === 'auth'
    ? `No Kubernetes auth method is enabled at ${authMount(path)}: correct vault_kubernetes_auth_path, or enable it there.`
    : `No PKI secrets engine is mounted at ${pkiMount(path)}: correct vault_internal_pki_backend_mount_path, or mount one there.`;
}

/** Tells an answer that is no refusal but not what Vault answers either: a login page, a proxy's greeting. */
export function notVault(request: VaultRequest, status: number): Problem {
  return new Problem({
    kind: 'connection',
    tried: triedRequest(request),
    reason: `HTTP ${status}, but not with the JSON that Vault sends.`,
    next: `Check that ${urlInput(request)} leads to Vault itself, without a path.`,
  });
}

/** Vault answers 404 with an empty list of errors where the path is served and holds nothing. */
export function isAbsent(response: HttpResponse): boolean {
  const body = parsed(response);
  return response.status === 404 && isJsonObject(body) && Array.isArray(body.errors) && body.errors.length === 0;
}

/** The body as JSON; its text where it is none; null where there is no body. */
export function parsed(response: HttpResponse): Json {
  if (response.body === '') return null;
  try {
    return JSON.parse(response.body);
  } catch {
    return response.body;
  }
}

function reason(refusal: Refusal): string {
  const words = refusal.proxyMessage ?? refusal.errors.join('; ');
  const target = refusal.location === undefined ? '' : ` to ${origin(refusal.location)}`;
  const text = words === '' ? `HTTP ${refusal.status}${target}` : `HTTP ${refusal.status}: ${words}`;
  return /[.!?]$/.test(text) ? text : text + '.';
}

/** Only the host: the rest of a redirect's target may carry what was sent. */
function origin(location: string): string {
  return URL.canParse(location) ? new URL(location).origin : 'another path';
}

function errorsIn(response: HttpResponse): string[] {
  const body = parsed(response);
  if (!isJsonObject(body) || !Array.isArray(body.errors)) return [];
  return body.errors.filter((error) => typeof error === 'string');
}

/** The API server's own refusals are Status objects; an unreachable pod may be told as plain text. */
function proxyMessage(response: HttpResponse): string | null {
  const body = parsed(response);
  if (isJsonObject(body) && body.kind === 'Status') return String(body.message ?? body.reason ?? '');
  return typeof body === 'string' && body.startsWith('error trying to reach service') ? body : null;
}

/** Go's multierror spreads "1 error occurred:\n\t* permission denied\n\n" over lines. */
function oneLine(text: string): string {
  return text
    .replace(/\d+ errors? occurred:\s*\*?/g, '')
    .replace(/\s*\n[\s*]*/g, '; ')
    .replace(/^[\s;]+|[\s;]+$/g, '');
}

/** The input that says where Vault is. */
function urlInput({ pathPrefix }: VaultRequest): string {
  return pathPrefix === '' ? 'vault_url' : 'vault_internal_url';
}

/** "auth/kubernetes" of auth/kubernetes/login and auth/kubernetes/role/x. */
function authMount(path: string[]): string {
  return pathText(path.slice(0, path.at(-1) === 'login' ? -1 : -2));
}

/** "pki/internal" of pki/internal/roles/x, pki/internal/ca_chain and pki/internal/ca/pem. */
function pkiMount(path: string[]): string {
  return pathText(
    path.slice(
      0,
      path.findLastIndex((segment) => ['roles', 'ca_chain', 'ca'].includes(segment)),
    ),
  );
}

function proxiedService(pathPrefix: string): { namespace: string; service: string; port: string } {
  const [, namespace = '', port = ''] = /\/namespaces\/([^/]+)\/services\/([^/]+)\/proxy$/.exec(pathPrefix) ?? [];
  const [, service = port] = /^(?:https?:)?([^:]+)/.exec(port) ?? [];
  return { namespace, service, port };
}
