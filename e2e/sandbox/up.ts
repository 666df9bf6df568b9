import { existsSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digObjects, digText } from '../../src/json.ts';
import { type Artifacts, build } from './build.ts';
import { createCgroups } from './cgroups.ts';
import { createDirectories, startApiServer, startControllers, waitForApiServer } from './control-plane.ts';
import { down } from './down.ts';
import { hasCondition, KubeApi } from './kube-api.ts';
import { createBridge, directoryOfSandboxInPlace } from './network.ts';
import { isReady, startContainerd, startKubelet, waitForNode } from './node.ts';
import { createPki, writeKubeconfig } from './pki.ts';
import { type Daemon, Daemons, run } from './process.ts';
import { recordSysctls } from './sysctls.ts';
import { type Node, nodes, paths, sandboxDirectory } from './topology.ts';
import { initialiseVault, Vault, vaultTlsSecret } from './vault.ts';
import { persistentVolumesOf } from './volumes.ts';
import { phase, waitFor } from './wait.ts';

/** Brings the sandbox up from nothing; what is left of an earlier one, whole or crashed, goes first. */
export async function up(): Promise<void> {
  const artifacts = await build();
  const inPlace = directoryOfSandboxInPlace();
  if (inPlace && inPlace !== sandboxDirectory) console.log(`sandbox: replacing the one of ${inPlace}`);
  await down();
  createDirectories();
  recordSysctls();
  createCgroups();
  await phase('certificates and bridge', async () => {
    await Promise.all([createPki(), createBridge()]);
    writeKubeconfig('admin', paths.kubeconfig);
    symlinkSync(join(artifacts.programs, 'kubectl'), paths.kubectl);
  });
  const api = await KubeApi.connect(paths.kubeconfig, 'sandbox');
  try {
    const daemons = new Daemons();
    await Promise.race([startCluster(artifacts, api, daemons), daemons.failed]);
  } finally {
    api.close();
  }
}

async function startCluster(artifacts: Artifacts, api: KubeApi, daemons: Daemons): Promise<void> {
  const apiServer = startApiServer(artifacts, daemons);
  const runtimes = phase('containerd, network and images', () =>
    Promise.all(
      nodes.map(async (node): Promise<[Node, Daemon]> => [node, await startContainerd(node, artifacts, daemons)]),
    ),
  );
  // Awaited below; until then the API server's failure comes first.
  runtimes.catch(() => undefined);
  await phase('API server', () => waitForApiServer(apiServer, api));
  startControllers(artifacts, daemons);
  await phase('manifests', () => applyManifests(artifacts));
  const started = await runtimes;
  await phase('nodes', () =>
    Promise.all(
      started.map(([node, containerd]) => waitForNode(node, startKubelet(node, containerd, artifacts, daemons), api)),
    ),
  );
  await phase('Vault', () => explained(api, 'vault', startVault(api)));
  await phase('cert-manager', () => explained(api, 'cert-manager', waitForCertManager(api)));
}

async function startVault(api: KubeApi): Promise<void> {
  const vault = new Vault(api);
  await waitFor(async () => 'sealed' in (await vault.call('GET', 'sys/seal-status')), 'Vault answers', 60_000);
  await initialiseVault(api);
}

async function waitForCertManager(api: KubeApi): Promise<void> {
  const deployment = '/apis/apps/v1/namespaces/cert-manager/deployments/cert-manager';
  const available = async (): Promise<boolean> => hasCondition(await api.get(deployment), 'Available');
  await waitFor(available, 'cert-manager is available', 60_000);
}

/** Adds to a failure what the pods of the namespace are doing and the last that they said. */
async function explained(api: KubeApi, namespace: string, work: Promise<void>): Promise<void> {
  await work.catch(async (error: Error) => {
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const pods = await api.list(path);
    const explanations = pods.map(async ({ metadata, status }) => {
      const name = digText(metadata, 'name');
      const states = digObjects(status, 'containerStatuses').map(({ state }) => JSON.stringify(state));
      const log = await api.send({ method: 'GET', path: `${path}/${name}/log?tailLines=20` });
      return `${name} is ${digText(status, 'phase')} ${states.join()}\n${log.body}`;
    });
    throw new Error([error.message, ...(await Promise.all(explanations))].join('\n'));
  });
}

async function applyManifests({ programs, certManagerCrds }: Artifacts): Promise<void> {
  const made = join(paths.run, 'made.json');
  const items = [...nodes.flatMap(persistentVolumesOf), vaultTlsSecret()];
  writeFileSync(made, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }), { mode: 0o600 });
  const kubectl = join(programs, 'kubectl');
  const files = [certManagerCrds, join(import.meta.dirname, 'manifests'), made].map((file) => `--filename=${file}`);
  await run([kubectl, 'apply', '--server-side', `--kubeconfig=${paths.kubeconfig}`, ...files]);
}

/** Whether a sandbox is up in this directory with every node Ready and Vault unsealed. */
export async function isHealthy(): Promise<boolean> {
  if (directoryOfSandboxInPlace() !== sandboxDirectory) return false;
  if (!existsSync(paths.kubeconfig)) return false;
  const api = await KubeApi.connect(paths.kubeconfig, 'sandbox');
  try {
    const ready = await Promise.all(nodes.map((node) => isReady(node, api)));
    return ready.every(Boolean) && (await new Vault(api).isOpen());
  } catch {
    return false;
  } finally {
    api.close();
  }
}
