import type { Inputs } from '../inputs/table.ts';
import type { Access } from '../kube/client.ts';

/** How this job reaches Vault. */
export type VaultRoute =
  | { direct: true; url: string }
  /** Through the API server's service proxy: https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster-services/ */
  | { direct: false; pathPrefix: string; accesses: Access[] };

/** The proxy asks for the verb of the request's method: reads are GET, writes and logins POST. */
const VERBS: { readonly [mode in Inputs['mode']]: readonly string[] } = {
  apply: ['get', 'create'],
  plan: ['get', 'create'],
  destroy: ['get', 'create', 'delete'],
};

/** Directly by vault_url; without it through the API server, to the Service that vault_internal_url names. */
export function vaultRoute({
  vault_url,
  vault_internal_url,
  mode,
}: Pick<Inputs, 'vault_url' | 'vault_internal_url' | 'mode'>): VaultRoute {
  if (vault_url !== null) return { direct: true, url: vault_url };
  const { protocol, hostname, port } = new URL(vault_internal_url);
  const [service = '', namespace = ''] = hostname.split('.');
  const scheme = protocol.replace(':', '');
  const target = `${scheme}:${service}:${port || (scheme === 'https' ? '443' : '80')}`;
  return {
    direct: false,
    pathPrefix: `/api/v1/namespaces/${namespace}/services/${target}/proxy`,
    accesses: VERBS[mode].map((verb) => ({
      verb,
      group: '',
      resource: 'services/proxy',
      namespace,
      name: target,
    })),
  };
}
