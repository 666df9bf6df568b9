import { digObjects } from '../../src/json.ts';
import type { Behaviour } from '../behaviour.ts';
import type { SimulatedRequest, SimulatedResponse } from '../http.ts';
import type { Vault } from '../vault/vault.ts';
import type { Cluster } from './cluster.ts';
import { resourceOf } from './resources.ts';
import { unavailable } from './status.ts';

const VAULT_SERVICE = 'vault-active';

/** The API server's proxy to Services: only Vault's has something behind it. The client's credentials stay here. */
export function serviceProxy(
  cluster: Cluster,
  behaviour: Behaviour,
  vault: Vault,
): (namespace: string, address: string, request: SimulatedRequest) => Promise<SimulatedResponse> {
  return async (namespace, address, request) => {
    const { name, port } = parseAddress(address);
    const service = cluster.get({ resource: resourceOf('Service'), namespace, name });
    const ports = digObjects(service, 'spec', 'ports');
    if (!ports.some((candidate) => [String(candidate.port), candidate.name].includes(port))) {
      throw unavailable(`no service port ${port} found for service "${name}"`);
    }
    if (name !== VAULT_SERVICE || !behaviour.vaultEndpoints) {
      throw unavailable(`no endpoints available for service "${address}"`);
    }
    const { authorization: _, ...headers } = request.headers;
    const path = request.path.slice(request.path.indexOf('/proxy/') + '/proxy'.length);
    return vault.handle({ ...request, path, headers });
  };
}

/** "http:vault-active:8200", "vault-active:8200" */
function parseAddress(address: string): { name: string; port: string } {
  const parts = address.split(':');
  const [name = '', port = ''] = parts.length === 3 ? parts.slice(1) : parts;
  return { name, port };
}
