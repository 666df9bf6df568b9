import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { jetstreamManager } from '@nats-io/jetstream';
import { type Ending, runMain, type Values } from '../simulator/runner.ts';
import { digText } from '../src/json.ts';
import { auditWrites, hasAuditLog, kube, kubeconfig, sealVault, unsealVault, waitFor } from './cluster.ts';
import { asRoot } from './deployer.ts';
import { leaveNamespace, listVault, withoutNamespace } from './namespace.ts';
import { connectAs } from './nats.ts';
import { podsOf } from './observe.ts';
import { startPublisher, storedIds } from './publisher.ts';
import { run } from './runs.ts';
import { run as runProgram } from './sandbox/process.ts';
import { paths } from './sandbox/topology.ts';

const namespace = 'e2e-destroy';
const stream = 'EVENTS';
/** What Kubernetes keeps in every namespace, and its own book-keeping. */
const OF_KUBERNETES =
  /^(configmap\/kube-root-ca\.crt|serviceaccount\/default|(event|events\.events\.k8s\.io|event\.events\.k8s\.io)\/.*)$/;

let inputs: Values;
let outputs: Values;

beforeAll(async () => {
  await withoutNamespace(namespace);
  inputs = {
    ...asRoot(),
    namespace,
    create_namespace: 'true',
    nats_version: '2.14.6',
    voluntary_disruption_window_enabled: 'true',
  };
  outputs = (await run(inputs)).outputs;
});

afterAll(async () => {
  await leaveNamespace(namespace);
  kube.close();
});

/** Runs a command line with the cluster's kubectl; resolves to the lines that it printed. */
async function shell(command: string): Promise<string[]> {
  const environment = { KUBECONFIG: kubeconfig, PATH: `${dirname(paths.kubectl)}:${process.env.PATH}` };
  const printed = await runProgram(['sh', '-euc', command], { environment });
  return printed.split('\n').filter((line) => line !== '');
}

/** Everything in the namespace, of every kind that the API server lists: "statefulset.apps/nats". */
async function everythingIn(): Promise<string[]> {
  const kinds = await shell('kubectl api-resources --namespaced --verbs=list --output=name');
  const found = await shell(`kubectl get ${kinds} --namespace ${namespace} --output=name --ignore-not-found`);
  return found.filter((object) => !OF_KUBERNETES.test(object)).sort();
}

/** What Vault holds for clusters of the namespace. */
async function everythingInVault(): Promise<string[]> {
  const [policies, logins, roles] = await Promise.all(
    ['sys/policies/acl', 'auth/kubernetes/role', 'pki/internal/roles'].map(listVault),
  );
  const named = [...(policies ?? []), ...(logins ?? [])].filter((name) => name.startsWith(`${namespace}-issuer-`));
  return [...named, ...(roles ?? []).filter((role) => role.endsWith(`-${outputs.name}`))];
}

async function destroy(more: Values = {}): Promise<Ending> {
  const ending = await runMain({ ...asRoot(), namespace, mode: 'destroy', ...more });
  console.log(`mode destroy: ${ending.seconds.toFixed(1)} s, ${ending.log.match(/^Deleted /gm)?.length ?? 0} deleted`);
  return ending;
}

async function claimUids(): Promise<string[]> {
  const claims = await kube.list(`/api/v1/namespaces/${namespace}/persistentvolumeclaims`);
  return claims.map(({ metadata }) => digText(metadata, 'uid')).sort();
}

describe('the inventory', () => {
  /** As if it held one object of another name. */
  const applySet = () =>
    'kubectl create configmap probe --dry-run=client --output=yaml | KUBECTL_APPLYSET=true kubectl apply --filename=- ' +
    `--namespace ${namespace} --applyset=configmaps/${outputs.name}-inventory --prune --dry-run=server`;
  const inventory = () => `/api/v1/namespaces/${namespace}/configmaps/${outputs.name}-inventory`;
  const tooling = (value: string) =>
    kube.patch(inventory(), { metadata: { annotations: { 'applyset.kubernetes.io/tooling': value } } });

  it('is left by kubectl to this action, whose it is by its annotation', async () => {
    await expect(shell(applySet())).rejects.toThrow(
      'already exists and is managed by tooling "kube-nats-action" instead of "kubectl"',
    );
  });

  it('leads kubectl, where it is called its own, to every member', async () => {
    const { metadata } = await kube.get(inventory());
    const own = digText(metadata, 'annotations', 'applyset.kubernetes.io/tooling');
    expect(own).toMatch(/^kube-nats-action\/v\d+\.\d+\.\d+$/);
    try {
      await tooling('kubectl/v1.34');
      const members = await everythingIn();
      const printed = await shell(applySet());
      const pruned = printed.flatMap((line) => /^(\S+) pruned \(server dry run\)$/.exec(line)?.[1] ?? []);
      expect(pruned).toEqual(
        expect.arrayContaining([
          `statefulset.apps/${outputs.name}`,
          `certificate.cert-manager.io/${outputs.name}-admin-creds`,
          `issuer.cert-manager.io/nats-admin-${outputs.name}`,
          `rolebinding.rbac.authorization.k8s.io/issuer-${outputs.name}`,
        ]),
      );
      expect(members).toEqual(expect.arrayContaining(pruned));
      expect(pruned.filter((member) => /^(persistentvolumeclaim|secret)\//.test(member))).toEqual([]);
      expect(pruned.length).toBeGreaterThan(20);
    } finally {
      await tooling(own);
    }
  });
});

describe('mode destroy', () => {
  const sent = new Set<string>();
  let claims: string[];

  it('removes everything in Kubernetes and Vault but the data', async () => {
    const admin = await connectAs('admin', outputs);
    const manager = await jetstreamManager(admin);
    await manager.streams.add({ name: stream, subjects: ['events'], num_replicas: 3 });
    const publisher = startPublisher(admin, { perSecond: 200 });
    await waitFor(async () => (await manager.streams.info(stream)).state.messages > 1000, '1000 messages', 60_000);
    for (const id of await publisher.stop()) sent.add(id);
    await admin.close();
    claims = await claimUids();

    const ending = await destroy();
    expect(ending).toMatchObject({ exitCode: 0, errors: [], outputs: { changed: 'true', name: outputs.name } });
    const kept = [0, 1, 2].map((ordinal) => `persistentvolumeclaim/data-${outputs.name}-${ordinal}`);
    expect(await everythingIn()).toEqual(kept);
    expect(await everythingInVault()).toEqual([]);
    expect(ending.log).toContain(`PersistentVolumeClaims data-${outputs.name}-0 (1Gi)`);
  });

  it('finds nothing to remove then, and writes nothing', async () => {
    const since = new Date();
    const ending = await destroy({ name: outputs.name ?? '' });
    expect(ending).toMatchObject({ exitCode: 0, errors: [], outputs: { changed: 'false' } });
    expect(ending.log).toContain('Nothing to remove');
    if (hasAuditLog()) expect(await auditWrites(since, { userAgent: 'kube-nats-action/' })).toEqual([]);
  });

  it('keeps what a cluster of the same name finds again: every acknowledged message', async () => {
    const again = await run({ ...inputs, name: outputs.name ?? '' });
    expect(await claimUids()).toEqual(claims);
    expect((await podsOf(again.outputs)).map(({ ready }) => ready)).toEqual([true, true, true]);
    const admin = await connectAs('admin', again.outputs);
    const stored = await storedIds(admin, stream);
    const { config, cluster } = await (await jetstreamManager(admin)).streams.info(stream);
    await admin.close();
    const lost = [...sent].filter((id) => !stored.has(id));
    console.log(`destroyed and made again: ${sent.size} messages acknowledged before, ${lost.length} lost`);
    expect(sent.size).toBeGreaterThan(1000);
    expect(lost).toEqual([]);
    expect(config.num_replicas).toBe(3);
    expect(cluster?.replicas).toHaveLength(2);
  });

  it('keeps nothing in Kubernetes while Vault is sealed but what tells the next run where the rest is', async () => {
    await sealVault();
    try {
      const ending = await destroy({ delete_data: 'true', delete_namespace: 'true' });
      expect(ending.exitCode).toBe(1);
      expect(ending.errors[0]).toMatch(/Vault is sealed[\s\S]*- pki\/internal\/roles\/nats-admin-/);
      expect(await everythingIn()).toEqual([`configmap/${outputs.name}-inventory`]);
    } finally {
      await unsealVault();
    }
    expect(await everythingInVault()).toHaveLength(7);
  });

  it('removes the rest of it with the next run, and with consent the namespace', async () => {
    const ending = await destroy({ delete_data: 'true', delete_namespace: 'true' });
    expect(ending).toMatchObject({ exitCode: 0, errors: [] });
    expect(await everythingInVault()).toEqual([]);
    expect((await kube.send({ method: 'GET', path: `/api/v1/namespaces/${namespace}` })).status).toBe(404);
    expect((await destroy({ name: outputs.name ?? '' })).log).toContain('Nothing to remove');
  });
});
