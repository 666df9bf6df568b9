import { type Rule, rulesIn } from '../../e2e/permissions-page.ts';
import type { RecordedRequest } from '../../simulator/requests.ts';
import { digObjects } from '../../src/json.ts';

/** A permission, as an access review asks for it. */
export interface Permission {
  verb: string;
  group: string;
  resource: string;
  namespace?: string | undefined;
  name?: string | undefined;
}

/** "patch apps/statefulsets demo/*" */
export function textOf({ verb, group, resource, namespace = '*', name = '*' }: Permission): string {
  return `${verb} ${group}/${resource} ${namespace}/${name}`;
}

/** What a rule grants, a permission each. */
export function permissionsOf({ group, resource, names, verbs }: Rule, namespace: string | undefined): Permission[] {
  const each = names.length === 0 ? [undefined] : names;
  return verbs.flatMap((verb) => each.map((name) => ({ verb, group, resource, namespace, name })));
}

/** What every identity of a cluster may do: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#discovery-roles */
const FREE = /^\/(version|apis|openapi\/v3\/.*)$|^\/apis\/(authorization|authentication)\.k8s\.io\//;

const VERBS: { [method: string]: string } = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' };

/** Which permissions a request to the API server takes. */
export function usedBy({ method, path: target, status, body }: RecordedRequest): Permission[] {
  const { pathname: path } = new URL(target, 'http://localhost');
  if (FREE.test(path)) return [];
  const [, group = '', rest = ''] = /^\/(?:api|apis\/([^/]+))\/v1\/(.*)$/.exec(path) ?? [];
  const [, namespace, below = rest] = /^namespaces\/([^/]+)\/(.+)$/.exec(rest) ?? [];
  const [plural = '', item, subresource] = below.split('/');
  const resource = subresource === undefined ? plural : `${plural}/${subresource}`;
  const read = item === undefined ? 'list' : 'get';
  const used = { group, resource, namespace, name: item === undefined ? undefined : decodeURIComponent(item) };
  const verbs = [VERBS[method] ?? read];
  // An apply that makes the object.
  if (method === 'PATCH' && status === 201) verbs.push('create');
  // A WebSocket, from Kubernetes 1.35 on: https://kep.k8s.io/4006
  if (subresource === 'portforward') verbs.push('create');
  return [
    ...verbs.map((verb) => ({ ...used, verb })),
    // Nobody may grant what he does not hold.
    ...(plural === 'roles' && method === 'PATCH' ? digObjects(body, 'rules') : [])
      .flatMap(rulesIn)
      .flatMap((rule) => permissionsOf(rule, namespace)),
  ];
}

/** What no policy has to allow; Vault looks itself whether the token has anything to do with a mount. */
const FREE_IN_VAULT = /^(sys\/health|sys\/internal\/ui\/mounts\/.+|.+\/(ca_chain|ca\/pem))$/;

/** Which capabilities requests to Vault take, in their order: only auth roles tell creating from updating. */
export function usedInVault(requests: RecordedRequest[]): string[] {
  const made = new Set<string>();
  return requests.flatMap(({ method, path }) => {
    const { pathname, searchParams } = new URL(path, 'http://localhost');
    const [, below] = /\/proxy\/v1\/(.+)$/.exec(pathname) ?? [];
    if (below === undefined || FREE_IN_VAULT.test(below)) return [];
    if (method === 'GET') return [`${searchParams.has('list') ? 'list' : 'read'} ${below}`];
    if (method === 'DELETE') return [`delete ${below}`];
    const isNew = below.startsWith('auth/kubernetes/role/') && !made.has(below);
    made.add(below);
    return [`${isNew ? 'create' : 'update'} ${below}`];
  });
}
