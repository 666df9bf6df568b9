import { kindOf } from '../src/kube/resources.ts';
import { resourceOf } from './kubernetes/resources.ts';
import { type ModuleCluster, moduleRequests, moduleVault, type WriteRequest } from './module-objects.ts';
import type { Simulator } from './simulator.ts';

/** Puts there what the Terraform module makes of a cluster; the controllers do the rest. */
export function installModuleCluster(simulator: Simulator, cluster: ModuleCluster): void {
  for (const { path, body } of moduleVault(cluster)) {
    simulator.vault.handle({
      method: 'POST',
      path: `/v1/${path}`,
      query: new URLSearchParams(),
      headers: { 'x-vault-token': simulator.vaultToken },
      body,
    });
  }
  for (const request of moduleRequests(cluster)) write(simulator, request);
}

/** Writes an object as the request asks for. */
export function write({ cluster }: Simulator, { method, path, body }: WriteRequest): void {
  const { namespace = '', name } = body.metadata;
  const target = { resource: resourceOf(kindOf(body)), namespace, name };
  const fieldManager = new URLSearchParams(path.split('?')[1]).get('fieldManager') ?? '';
  const options = { fieldManager, dryRun: false };
  if (method === 'POST') cluster.create(target, body, options);
  else cluster.apply(target, body, { ...options, force: true });
}
