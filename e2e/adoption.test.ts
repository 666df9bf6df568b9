import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { load } from 'js-yaml';
import type { ModuleCluster } from '../simulator/module-objects.ts';
import type { Values } from '../simulator/runner.ts';
import { dig, digObjects, digText, type JsonObject } from '../src/json.ts';
import { bindRole, kubeconfigOfAccount, makeRole, removeRoles, untilGranted } from './accounts.ts';
import { kube, kubeconfig } from './cluster.ts';
import { asRoot } from './deployer.ts';
import { installModuleCluster, removeStack, restoreModuleCluster } from './module.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';
import { connectAs } from './nats.ts';
import { metaGroup, podsOf, sampleUntil } from './observe.ts';
import { rolesFor, rulesIn } from './permissions-page.ts';
import { type Publisher, startPublisher, storedIds } from './publisher.ts';
import { expectNoWrite, run } from './runs.ts';
import { run as runCommand } from './sandbox/process.ts';
import { paths } from './sandbox/topology.ts';

const namespace = 'e2e-adoption';
const name = 'nats-1a2b';
const stream = 'EVENTS';

const cluster: ModuleCluster = {
  namespace,
  name,
  helm: { manager: 'terraform-provider-helm_v3.1.1_x5', operation: 'Update' },
  image: 'docker.io/library/nats:2.10.23-alpine',
  storageClassName: 'ebs-standard-retained',
  clusterIssuer: 'e2e-adoption',
  hasAutoscaler: false,
};

/** What a client of the module's cluster knows; this action gives it as outputs. */
const outputs: Values = {
  namespace,
  name,
  nats_url: `tls://${name}.${namespace}.svc.cluster.local:4222`,
  superuser_creds_secret: `${name}-superuser-creds`,
  admin_creds_secret: `${name}-admin-creds`,
  match_labels: JSON.stringify({ 'app.kubernetes.io/name': 'nats', 'app.kubernetes.io/instance': name }),
};

const core = `/api/v1/namespaces/${namespace}`;
const statefulSetPath = `/apis/apps/v1/namespaces/${namespace}/statefulsets/${name}`;

let inputs: Values;
let admin: NatsConnection;
let publisher: Publisher;
let acknowledged: Set<string>;

beforeAll(async () => {
  await emptyNamespace(namespace);
  await removeStack(cluster);
  await installModuleCluster(cluster);
  inputs = { ...asRoot(), namespace, name, kubeconfig: await deployer() };
  admin = await connectAs('admin', outputs);
  const streams = await jetstreamManager(admin);
  await streams.streams.add({ name: stream, subjects: ['events'], num_replicas: 3 });
  publisher = startPublisher(admin, { perSecond: 100 });
}, 240_000);

afterAll(async () => {
  await admin?.close();
  await leaveNamespace(namespace);
  await removeRoles([namespace, 'vault'], 'adoption');
  await removeStack(cluster);
  kube.close();
});

/** The kubeconfig of an account that has what the pages grant, and nothing more. */
async function deployer(): Promise<string> {
  const account = `${namespace}/deployer`;
  const adoption = {
    namespace,
    rules: digObjects(JSON.parse(JSON.stringify(load(blockOf('yaml', 'The rules')))), 'rules').flatMap(rulesIn),
  };
  const granted = rolesFor(namespace).filter((role) => role.namespace !== 'node-image-cache');
  const roles = [...granted, adoption].map((role, index) => ({ role, name: `e2e-adoption-${index}` }));
  const text = await kubeconfigOfAccount(namespace, 'deployer');
  for (const { name, role } of roles) await makeRole(name, role, 'adoption');
  for (const { name, role } of roles) await bindRole(name, role, account, 'adoption');
  await untilGranted([...granted, adoption], account);
  return text;
}

it('is taken over in place by one rolling restart, and loses no acknowledged message', async () => {
  const before = {
    statefulSet: uidOf(await kube.get(statefulSetPath)),
    claims: await claims(),
    pods: await podsOf(outputs),
  };
  expect(before.claims.map(ownersOf)).toEqual([['StatefulSet'], ['StatefulSet'], ['StatefulSet']]);

  const step = run(inputs);
  const samples = await sampleUntil(step, outputs);
  const ending = await step;
  expect(ending.outputs).toMatchObject({ ...outputs, changed: 'true' });
  expect(uidOf(await kube.get(statefulSetPath))).toBe(before.statefulSet);
  expect((await claims()).map(uidOf)).toEqual(before.claims.map(uidOf));
  expect(Math.max(...samples.map((pods) => 3 - pods.filter(({ ready }) => ready).length))).toBe(1);
  const seen = new Set([...before.pods, ...samples.flat(), ...(await podsOf(outputs))].map(({ uid }) => uid));
  expect(seen.size).toBe(6);
  expect((await metaGroup(outputs)).current).toHaveLength(3);

  acknowledged = await publisher.stop();
  const lost = await lostOf(acknowledged);
  console.log(
    `take-over: ${ending.seconds.toFixed(1)} s, ${acknowledged.size} messages acknowledged, ${lost.length} lost, ` +
      `longest gap ${publisher.longestGap()} ms`,
  );
  expect(acknowledged.size).toBeGreaterThan(300);
  expect(lost).toEqual([]);
});

it('has one manager of its fields then, nothing of the chart, and volumes that outlive it', async () => {
  const { metadata, spec } = await kube.get(statefulSetPath);
  // Kyverno and this action say the same of the database.
  expect(managersOf(metadata)).toEqual(['kyverno Apply', 'kube-nats-action Apply']);
  expect(managersOf((await kube.get(`${core}/services/${name}`)).metadata)).toEqual(['kube-nats-action Apply']);
  expect(managersOf((await kube.get(`${core}/serviceaccounts/issuer-${name}`)).metadata)).toEqual([
    'kube-nats-action Apply',
  ]);
  const [server] = digObjects(spec, 'template', 'spec', 'containers');
  expect(digObjects(server, 'env').map((variable) => variable.name)).toEqual(['POD_NAME', 'GOMEMLIMIT']);
  expect(
    digObjects(spec, 'template', 'spec', 'volumes').filter((volume) => 'secret' in volume && volume.name === 'config'),
  ).toEqual([]);
  const ports = digObjects((await kube.get(`${core}/services/${name}`)).spec, 'ports');
  expect(ports.map((port) => port.name)).toEqual(['client', 'monitoring']);
  expect((await claims()).map(ownersOf)).toEqual([[], [], []]);
});

it('has nothing to do in the next run, which names what is left of the module', async () => {
  await expectNoWrite(inputs);
  expect((await run(inputs)).summary).toContain(`Secret/sh.helm.release.v1.${name}.v1`);
});

it('goes back to the module by the commands of docs/life-cycle.md, and comes again, with all its messages', async () => {
  const before = (await claims()).map(uidOf);
  const environment = {
    KUBECONFIG: kubeconfig,
    PATH: `${paths.run}:${process.env.PATH}`,
    NAMESPACE: namespace,
    NAME: name,
  };
  await runCommand(['sh', '-euc', blockOf('sh', 'The way back')], { environment });
  await restoreModuleCluster(cluster);
  const [server] = digObjects((await kube.get(statefulSetPath)).spec, 'template', 'spec', 'containers');
  expect(digObjects(server, 'env').map((variable) => variable.name)).toContain('NATS_FILENAME');
  expect(await lostOf(acknowledged)).toEqual([]);

  await run(inputs);
  expect(await lostOf(acknowledged)).toEqual([]);
  expect((await claims()).map(uidOf)).toEqual(before);
  await expectNoWrite(inputs);
});

it('has what is left of the module removed with consent, its data kept', async () => {
  const ending = await run({ ...inputs, remove_module_leftovers: 'true' });
  for (const left of ['nats-1a2b', `sh.helm.release.v1.${name}.v1`]) {
    expect(ending.log).toContain(`Deleted Secret ${namespace}/${left}`);
    expect((await kube.send({ method: 'GET', path: `${core}/secrets/${left}` })).status).toBe(404);
  }
  expect(await kube.list(`/apis/kyverno.io/v1/namespaces/${namespace}/policies`)).toEqual([]);
  expect(await lostOf(acknowledged)).toEqual([]);
  await expectNoWrite(inputs);
});

async function lostOf(ids: Set<string>): Promise<string[]> {
  const stored = await storedIds(admin, stream);
  return [...ids].filter((id) => !stored.has(id));
}

function claims(): Promise<JsonObject[]> {
  return kube.list(`${core}/persistentvolumeclaims`);
}

function uidOf({ metadata }: JsonObject): string {
  return digText(metadata, 'uid');
}

function ownersOf({ metadata }: JsonObject): string[] {
  return digObjects(metadata, 'ownerReferences').map((owner) => digText(owner, 'kind'));
}

/** But for what controllers report. */
function managersOf(metadata: JsonObject['metadata']): string[] {
  return digObjects(metadata, 'managedFields')
    .filter((entry) => dig(entry, 'subresource') === undefined)
    .map((entry) => `${digText(entry, 'manager')} ${digText(entry, 'operation')}`);
}

/** The first block of code in that language below the heading of docs/life-cycle.md. */
function blockOf(language: string, heading: string): string {
  const page = readFileSync(join(import.meta.dirname, '../docs/life-cycle.md'), 'utf8');
  const [, section = ''] = page.split(`\n### ${heading}\n`);
  const [, block] = new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(section) ?? [];
  if (block === undefined) throw new Error(`docs/life-cycle.md has no ${language} below "${heading}"`);
  return block;
}
