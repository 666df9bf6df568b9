import { type ModuleCluster, moduleRequests, moduleServerNames, moduleVault } from '../simulator/module-objects.ts';
import { dig } from '../src/json.ts';
import { kube, vault, vaultToken, waitFor } from './cluster.ts';
import { hasCondition } from './sandbox/kube-api.ts';

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const POLICIES = 'policies.kyverno.io';

/** Where the Secret of a ClusterIssuer is. */
const TOKENS = '/api/v1/namespaces/cert-manager/secrets';

/**
 * Makes a cluster as the Terraform module does, and waits until its servers are Ready. What stands in: the stack's
 * ClusterIssuer is one that signs for this cluster alone, and Kyverno's policies are objects that nothing acts by.
 */
export async function installModuleCluster(cluster: ModuleCluster): Promise<void> {
  await installStack(cluster);
  for (const { path, body } of moduleVault(cluster)) await vault().call('POST', path, body);
  for (const { method, path, contentType, body } of moduleRequests(cluster)) {
    await kube.call({ method, path, headers: { 'Content-Type': contentType }, body });
  }
  await waitForServers(cluster);
}

/**
 * Does what `helm rollback` and `terraform apply` do to a cluster that is to be the module's again: the chart's StatefulSet
 * is made anew, and the fields of what Terraform applies are taken by force.
 */
export async function restoreModuleCluster(cluster: ModuleCluster): Promise<void> {
  const requests = moduleRequests(cluster);
  const again = requests.filter(({ method, body }) => method === 'PATCH' || body.kind === 'StatefulSet');
  for (const { method, path, contentType, body } of again) {
    await kube.call({ method, path, headers: { 'Content-Type': contentType }, body });
  }
  await waitForServers(cluster);
}

/** Waits until all servers run the StatefulSet's present template and are Ready. */
async function waitForServers({ namespace, name }: ModuleCluster): Promise<void> {
  const path = `/apis/apps/v1/namespaces/${namespace}/statefulsets/${name}`;
  const ready = async (): Promise<boolean> => {
    const { status } = await kube.get(path);
    return dig(status, 'readyReplicas') === 3 && dig(status, 'updatedReplicas') === 3;
  };
  await waitFor(ready, `the servers of ${name} are Ready`, 120_000);
}

/** Removes what installModuleCluster made outside of the cluster's namespace. */
export async function removeStack({ clusterIssuer }: ModuleCluster): Promise<void> {
  await kube.delete(`/apis/cert-manager.io/v1/clusterissuers/${clusterIssuer}`);
  await kube.delete(`${TOKENS}/${clusterIssuer}`);
  await kube.delete(`${CRDS}/${POLICIES}`);
  await vault().call('DELETE', `pki/internal/roles/${clusterIssuer}`);
}

async function installStack(cluster: ModuleCluster): Promise<void> {
  const { clusterIssuer } = cluster;
  await vault().call('POST', `pki/internal/roles/${clusterIssuer}`, {
    allowed_domains: moduleServerNames(cluster),
    allow_bare_domains: true,
    allow_ip_sans: true,
    key_type: 'ec',
    max_ttl: '720h',
  });
  await kube.apply(`${TOKENS}/${clusterIssuer}`, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: clusterIssuer },
    stringData: { token: vaultToken() },
  });
  const issuer = `/apis/cert-manager.io/v1/clusterissuers/${clusterIssuer}`;
  await kube.apply(issuer, {
    apiVersion: 'cert-manager.io/v1',
    kind: 'ClusterIssuer',
    metadata: { name: clusterIssuer },
    spec: {
      vault: {
        server: 'http://vault-active.vault.svc.cluster.local:8200',
        path: `pki/internal/sign/${clusterIssuer}`,
        auth: { tokenSecretRef: { name: clusterIssuer, key: 'token' } },
      },
    },
  });
  await waitFor(async () => hasCondition(await kube.get(issuer), 'Ready'), `${clusterIssuer} is Ready`, 30_000);
  await kube.apply(`${CRDS}/${POLICIES}`, {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: POLICIES },
    spec: {
      group: 'kyverno.io',
      names: { kind: 'Policy', plural: 'policies', singular: 'policy' },
      scope: 'Namespaced',
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
        },
      ],
    },
  });
  const served = async (): Promise<boolean> =>
    (await kube.send({ method: 'GET', path: '/apis/kyverno.io/v1/policies' })).status === 200;
  await waitFor(served, 'the API serves policies', 30_000);
}
