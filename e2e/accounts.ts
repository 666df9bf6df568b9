import { readFileSync } from 'node:fs';
import { dump, load } from 'js-yaml';
import { dig, digText, type JsonObject } from '../src/json.ts';
import { kube, kubeconfig, waitFor } from './cluster.ts';
import { policyRuleOf, type Role } from './permissions-page.ts';

/** The kubeconfig of the cluster under test with other fields in its clusters, or for another user. */
export function kubeconfigWith(cluster: JsonObject, user?: JsonObject): string {
  const config = load(readFileSync(kubeconfig, 'utf8')) as {
    clusters: { cluster: JsonObject }[];
    users: { user: JsonObject }[];
  };
  for (const entry of config.clusters) entry.cluster = { ...entry.cluster, ...cluster };
  if (user !== undefined) for (const entry of config.users) entry.user = user;
  return dump(config);
}

/** Makes a ServiceAccount, and a kubeconfig for it. */
export async function kubeconfigOfAccount(namespace: string, name: string): Promise<string> {
  const account = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}`;
  await kube.apply(account, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } });
  const { status } = await kube.call({
    method: 'POST',
    path: `${account}/token`,
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
  });
  return kubeconfigWith({}, { token: digText(status, 'token') });
}

/** On Roles that tests made, and their bindings: by whom, so that one of them does not remove those of another. */
const MADE_BY = 'e2e/account';

const rbac = '/apis/rbac.authorization.k8s.io/v1';

const kinds = ['roles', 'clusterroles', 'rolebindings', 'clusterrolebindings'];

/** Makes the Role, or without a namespace the ClusterRole. */
export async function makeRole(name: string, role: Role, maker = 'true'): Promise<void> {
  const kind = kindOf(role);
  await kube.apply(`${pathOf(role)}/${kind.toLowerCase()}s/${name}`, {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind,
    metadata: { name, labels: { [MADE_BY]: maker } },
    rules: role.rules.map(policyRuleOf),
  });
}

/** Binds it to the ServiceAccount `account`, "ci/deployer". */
export async function bindRole(name: string, role: Role, account: string, maker = 'true'): Promise<void> {
  const [namespace = '', accountName = ''] = account.split('/');
  const binding = `${name}-${accountName}`;
  await kube.apply(`${pathOf(role)}/${kindOf(role).toLowerCase()}bindings/${binding}`, {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: `${kindOf(role)}Binding`,
    metadata: { name: binding, labels: { [MADE_BY]: maker } },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: kindOf(role), name },
    subjects: [{ kind: 'ServiceAccount', name: accountName, namespace }],
  });
}

/** Waits until the API server has heard of the Roles that the account is bound to, and of all that was made before. */
export async function untilGranted(roles: Role[], account: string): Promise<void> {
  const user = `system:serviceaccount:${account.replace('/', ':')}`;
  for (const { namespace, rules } of roles) {
    const [{ group, resource, names, verbs } = { group: '', resource: '', names: [], verbs: [] }] = rules;
    const [plural = '', subresource = ''] = resource.split('/');
    const wanted = { namespace: namespace ?? '', group, resource: plural, subresource, verb: verbs[0] ?? '' };
    const review = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: { user, resourceAttributes: { ...wanted, name: names[0] ?? '' } },
    };
    const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
    const isAllowed = async () => {
      const { status } = await kube.call({ method: 'POST', path, body: review });
      return dig(status, 'allowed') === true;
    };
    await waitFor(isAllowed, `${user} may ${wanted.verb} ${resource}`, 30_000);
  }
}

/** Removes the Roles that tests made, with their bindings. */
export async function removeRoles(namespaces: string[], maker = 'true'): Promise<void> {
  const query = `?labelSelector=${encodeURIComponent(`${MADE_BY}=${maker}`)}`;
  const collections = ['', ...namespaces.map((namespace) => `/namespaces/${namespace}`)].flatMap((scope) =>
    kinds.filter((kind) => kind.startsWith('cluster') === (scope === '')).map((kind) => `${rbac}${scope}/${kind}`),
  );
  await Promise.all(collections.map((path) => kube.call({ method: 'DELETE', path: `${path}${query}` })));
}

function kindOf({ namespace }: Role): 'Role' | 'ClusterRole' {
  return namespace === null ? 'ClusterRole' : 'Role';
}

function pathOf({ namespace }: Role): string {
  return namespace === null ? rbac : `${rbac}/namespaces/${namespace}`;
}
