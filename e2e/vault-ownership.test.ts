import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type Claimant, COLLISIONS, claim } from '../__tests__/vault/collisions.ts';
import { runMain, type Values } from '../simulator/runner.ts';
import type { DesiredVault } from '../src/desired/state.ts';
import { dig, digText, type Json } from '../src/json.ts';
import { policyPath } from '../src/vault/objects.ts';
import { applyVault } from '../src/vault/plan.ts';
import { auditWrites, hasAuditLog, kube, vault } from './cluster.ts';
import { asRoot } from './deployer.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';
import { expectNoWrite, run } from './runs.ts';
import { vaultClient } from './vault-client.ts';

const NAMESPACES = [...new Set(COLLISIONS.flatMap(({ first, second }) => [first.namespace, second.namespace]))];
const ISSUER = '/apis/cert-manager.io/v1/clusterissuers/e2e-vault';
const OTHER_AUTH = 'sys/auth/kubernetes-b';

const { client, close } = vaultClient();

let uid: string;

beforeAll(async () => {
  uid = digText((await kube.get('/api/v1/namespaces/kube-system')).metadata, 'uid');
  for (const namespace of NAMESPACES) await emptyNamespace(namespace);
  await kube.apply(ISSUER, {
    apiVersion: 'cert-manager.io/v1',
    kind: 'ClusterIssuer',
    metadata: { name: 'e2e-vault' },
    spec: { selfSigned: {} },
  });
  await vault().call('DELETE', OTHER_AUTH);
  await vault().call('POST', OTHER_AUTH, { type: 'kubernetes' });
});

afterAll(async () => {
  for (const namespace of NAMESPACES) await leaveNamespace(namespace);
  await kube.delete(ISSUER);
  await vault().call('DELETE', OTHER_AUTH);
  close();
  kube.close();
});

const pathsOf = ({ pkiRoles, policy, authRole }: DesiredVault): string[][] => [
  policyPath(policy.name),
  ...pkiRoles.map(({ path }) => path),
  authRole.path,
];

/** All that Vault holds at these paths. */
async function held(paths: string[][]): Promise<{ [path: string]: Json | undefined }> {
  const answers = await Promise.all(paths.map((path) => client.read(path)));
  return Object.fromEntries(paths.map((path, index) => [path.join('/'), answers[index]?.data]));
}

/** What the action has written to the namespace; nothing where there is no audit log. */
async function writesTo(namespace: string, since: Date): Promise<string[]> {
  const writes = hasAuditLog() ? await auditWrites(since, { userAgent: 'kube-nats-action/' }) : [];
  return writes.map(({ verb, uri }) => `${verb} ${uri}`).filter((write) => write.includes(`/namespaces/${namespace}/`));
}

const inputsOf = ({ namespace, name, inputs = {} }: Claimant): Values => ({
  ...asRoot(),
  namespace,
  name,
  ...Object.fromEntries(Object.entries(inputs).map(([input, value]) => [input, String(value)])),
});

describe('a collision', () => {
  let made: string[][] = [];

  afterEach(async () => {
    for (const path of made) await vault().call('DELETE', path.join('/'));
  });

  it.each(COLLISIONS)('of $title ends the second run, which names the owner and writes nothing', async (collision) => {
    const first = claim(collision.first, uid);
    made = pathsOf(first);
    await applyVault(client, first);
    const both = [...made, ...pathsOf(claim(collision.second, uid))];
    const before = await held(both);
    const since = new Date();

    const ending = await runMain(inputsOf(collision.second));
    const [error = ''] = ending.errors;
    console.log(`${ending.seconds.toFixed(1)} s: ${error}`);
    expect(ending).toMatchObject({ exitCode: 1, errors: [expect.any(String)] });
    for (const object of collision.objects) {
      expect(error.split('\n').find((line) => line.includes(`${object} `))).toContain(collision.words);
    }
    expect(await held(both)).toEqual(before);
    expect(await writesTo(collision.second.namespace, since)).toEqual([]);
  });
});

describe('a cluster', () => {
  const first = { namespace: 'e2e-vault-a', name: 'first', inputs: { replicas: 1 as const } };
  const second = { namespace: 'e2e-vault-b', name: 'first', inputs: { certificate_issuer: 'e2e-vault' } };
  const inputs = inputsOf(first);
  const certificates = `/apis/cert-manager.io/v1/namespaces/${first.namespace}/certificates`;
  let paths: string[][];
  let before: { [path: string]: Json | undefined };

  beforeAll(async () => {
    paths = pathsOf(claim(first, uid));
    await run(inputs);
    before = await held(paths);
  });

  /** How often each certificate was issued. */
  async function revisions(): Promise<Json[]> {
    return (await kube.list(certificates)).map(({ status }) => dig(status, 'revision') ?? null);
  }

  it('has its mark on every role, and nothing to do in the next run', async () => {
    const marks = Object.entries(before).filter(([path]) => path.includes('/roles/'));
    expect(marks).toHaveLength(4);
    for (const [, role] of marks) {
      expect(dig(role, 'allowed_uri_sans')).toEqual([`kube-nats-action://${uid}/${first.namespace}/${first.name}`]);
    }
    await expectNoWrite(inputs);
  });

  it('repairs what drifted, and marks what an earlier version left without; no certificate is issued for it', async () => {
    const [policy = [], admin = [], reader = []] = paths;
    const auth = paths.at(-1) ?? [];
    await client.write(policy, {
      policy: `${digText(before[policy.join('/')], 'policy')}path "x/y" { capabilities = ["read"] }\n`,
    });
    await client.write(admin, { ...object(before[admin.join('/')]), allowed_uri_sans: [] });
    await client.write(reader, { ...object(before[reader.join('/')]), allow_any_name: true });
    await client.write(auth, { token_ttl: 60 });
    const issued = await revisions();
    const ending = await run(inputs);
    expect(ending.outputs.changed).toBe('true');
    const repaired = await held(paths);
    expect(withoutVersion(repaired)).toEqual(withoutVersion(before));
    before = repaired;
    expect(await revisions()).toEqual(issued);
    await expectNoWrite(inputs);
  });

  it('is not touched by one of its name in another namespace', async () => {
    const ending = await runMain(inputsOf(second));
    expect(ending.errors[0]).toContain(`NATS cluster ${first.name} in namespace ${first.namespace}`);
    expect(await held(paths)).toEqual(before);
  });

  it('leaves a login alone that was bound to another ServiceAccount', async () => {
    const auth = paths.at(-1) ?? [];
    await client.write(auth, { bound_service_account_names: ['somebody-else'] });
    const bound = await held(paths);
    const ending = await runMain(inputs);
    expect(ending.errors[0]).toContain(`is bound to ServiceAccount somebody-else in namespace ${first.namespace}`);
    expect(await held(paths)).toEqual(bound);
    await client.write(auth, { bound_service_account_names: [`issuer-${first.name}`] });
  });

  it('uses the Secrets again that are left of its Certificates', async () => {
    const names = (await kube.list(certificates)).map(({ metadata }) => digText(metadata, 'name'));
    for (const name of names) await kube.delete(`${certificates}/${name}`);
    const ending = await run(inputs);
    expect(ending.log).toContain(`Created Certificate ${first.namespace}/${first.name}-admin-creds`);
  });
});

describe('a Secret of somebody else', () => {
  const namespace = 'e2e-vault-b';
  const path = `/api/v1/namespaces/${namespace}/secrets/stranger-admin-creds`;

  beforeEach(async () => {
    await kube.apply(path, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'stranger-admin-creds' },
      stringData: { password: 'correct-horse' },
    });
  });

  it('under a name that credentials need ends the run before anything is written', async () => {
    const before = await kube.get(path);
    const since = new Date();
    const { exitCode, errors, log, summary } = await runMain({ ...asRoot(), namespace, name: 'stranger' });
    expect(exitCode).toBe(1);
    expect(errors[0]).toContain(`Secret ${namespace}/stranger-admin-creds was not made by this action`);
    expect(log + summary).not.toContain(Buffer.from('correct-horse').toString('base64'));
    expect(await kube.get(path)).toEqual(before);
    expect(await writesTo(namespace, since)).toEqual([]);
  });
});

/** OpenBao counts the writes of a policy. */
function withoutVersion(objects: { [path: string]: Json | undefined }) {
  return Object.values(objects).map((held) => {
    const { version: _version, modified: _modified, ...rest } = object(held);
    return rest;
  });
}

function object(value: Json | undefined) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('no object');
  return value;
}
