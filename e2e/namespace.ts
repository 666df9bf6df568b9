import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { digObjects, digText, type JsonObject } from '../src/json.ts';
import { kube, kubeconfig, vault, waitFor } from './cluster.ts';
import { nodes, paths } from './sandbox/topology.ts';

const pathOf = (namespace: string): string => `/api/v1/namespaces/${namespace}`;

/**
 * Makes sure that nothing of the namespace exists, in Kubernetes or in Vault, and that there are volumes: what an earlier
 * run left is removed.
 */
export async function withoutNamespace(namespace: string): Promise<void> {
  await leaveNamespace(namespace);
  const gone = async (): Promise<boolean> =>
    (await kube.send({ method: 'GET', path: pathOf(namespace) })).status === 404;
  await waitFor(gone, `namespace ${namespace} is gone`, 90_000);
  await recycleVolumes();
}

/** The same, and then there is an empty namespace of that name. */
export async function emptyNamespace(namespace: string): Promise<void> {
  await withoutNamespace(namespace);
  await kube.apply(pathOf(namespace), { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
}

/** Has the namespace deleted, which goes on by itself, and removes what its clusters have in Vault. */
export async function leaveNamespace(namespace: string): Promise<void> {
  await kube.delete(pathOf(namespace));
  await forgetInVault(namespace);
}

async function forgetInVault(namespace: string): Promise<void> {
  const prefix = `${namespace}-issuer-`;
  const policies = await listVault('sys/policies/acl');
  for (const policy of policies.filter((name) => name.startsWith(prefix))) {
    const cluster = policy.slice(prefix.length);
    const roles = (await listVault('pki/internal/roles')).filter((role) => role.endsWith(`-${cluster}`));
    await vault().call('DELETE', `auth/kubernetes/role/${policy}`);
    for (const role of roles) await vault().call('DELETE', `pki/internal/roles/${role}`);
    await vault().call('DELETE', `sys/policies/acl/${policy}`);
  }
}

/** The names listed at a path of Vault. */
export async function listVault(path: string): Promise<string[]> {
  try {
    const { data } = await vault().call('GET', `${path}?list=true`);
    const keys = typeof data === 'object' && data !== null && 'keys' in data ? data.keys : [];
    return Array.isArray(keys) ? keys.map(String) : [];
  } catch (error) {
    // A list without entries does not exist.
    if (error instanceof Error && 'status' in error && error.status === 404) return [];
    throw error;
  }
}

/** The sandbox has a fixed number of volumes and nothing that makes new ones: the released are emptied and offered again. */
async function recycleVolumes(): Promise<void> {
  if (kubeconfig !== paths.kubeconfig) return;
  const volumes = await kube.list('/api/v1/persistentvolumes');
  const released = volumes.filter((volume) => digText(volume.status, 'phase') === 'Released');
  for (const volume of released) {
    empty(directoryOf(volume));
    await kube.patch(`/api/v1/persistentvolumes/${digText(volume.metadata, 'name')}`, { spec: { claimRef: null } });
  }
}

function empty(directory: string): void {
  for (const entry of readdirSync(directory)) rmSync(join(directory, entry), { recursive: true });
}

/** The host's directory of a local volume. */
function directoryOf({ metadata, spec }: JsonObject): string {
  const [term] = digObjects(spec, 'nodeAffinity', 'required', 'nodeSelectorTerms');
  const [expression] = digObjects(term, 'matchExpressions');
  const values = Array.isArray(expression?.values) ? expression.values : [];
  const node = nodes.find(({ name }) => values.includes(name));
  const path = digText(spec, 'local', 'path');
  if (node === undefined || path === '') throw new Error(`${digText(metadata, 'name')} is no volume of the sandbox`);
  return join(node.directory, path);
}
