import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { claim } from '../__tests__/vault/collisions.ts';
import { HOST, ROLE_CASES, type RoleCase, USER } from '../__tests__/vault/other-roles-table.ts';
import { runMain, type Values } from '../simulator/runner.ts';
import { systemClock } from '../src/clock.ts';
import { digText, type JsonObject } from '../src/json.ts';
import { findOtherRoles } from '../src/vault/other-roles.ts';
import { kube, vault } from './cluster.ts';
import { allowDeployments, asRoot, deployerToken, forgetDeployer } from './deployer.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';
import { vaultClient } from './vault-client.ts';

const namespace = 'e2e-roles';
const MOUNT = 'pki/e2e-roles';
const { client, close } = vaultClient();
const clock = systemClock(new AbortController().signal);

const rolePath = (name: string) => `${MOUNT}/roles/${name}`;
const SHORT = { key_type: 'ec', require_cn: false, ttl: '1h' };

beforeAll(async () => {
  await emptyNamespace(namespace);
  await vault().call('DELETE', `sys/mounts/${MOUNT}`);
  await vault().call('POST', `sys/mounts/${MOUNT}`, { type: 'pki', config: { max_lease_ttl: '8760h' } });
  await vault().call('POST', `${MOUNT}/root/generate/internal`, { common_name: 'roles', key_type: 'ec', ttl: '8760h' });
});

afterAll(async () => {
  await leaveNamespace(namespace);
  await vault().call('DELETE', `sys/mounts/${MOUNT}`);
  await forgetDeployer();
  close();
  kube.close();
});

/** What Vault really signs by the role: whom its certificates, used as client certificates, pass for. */
async function whomItSigns(role: string): Promise<RoleCase['passesFor']> {
  const wanted: [RoleCase['passesFor'][number], JsonObject][] = [
    [USER, { alt_names: USER }],
    [USER, { uri_sans: USER }],
    ['a server', { alt_names: HOST }],
  ];
  const passesFor = new Set<RoleCase['passesFor'][number]>();
  for (const [whom, names] of wanted) if (await issues(role, names)) passesFor.add(whom);
  return [...passesFor];
}

async function issues(role: string, names: JsonObject): Promise<boolean> {
  try {
    const { data } = await vault().call('POST', `${MOUNT}/issue/${role}`, names);
    const { keyUsage } = new X509Certificate(digText(data, 'certificate'));
    // Node.js types it as a list always; a certificate without the extension has none.
    const usages: string[] = keyUsage ?? [];
    return usages.length === 0 || ['1.3.6.1.5.5.7.3.2', '2.5.29.37.0'].some((usage) => usages.includes(usage));
  } catch (error) {
    if (error instanceof Error && /: 400 .*not allowed|were provided/i.test(error.message)) return false;
    throw error;
  }
}

describe('what is said of a role is what Vault signs by it:', () => {
  it.each(ROLE_CASES)('$title', async ({ title, parameters, passesFor }) => {
    await vault().call('POST', rolePath(title), { ...SHORT, ...parameters });
    const inputs = { vault_internal_pki_backend_mount_path: MOUNT };
    const desired = {
      ...claim({ namespace, name: 'nats-a', inputs }, 'uid'),
      clients: { users: [USER], hosts: [HOST] },
    };
    const { found } = await findOtherRoles(client, desired, { clock, deadline: clock.now() + 10_000 });
    const said = found.find(({ name }) => name === title)?.passesFor ?? [];
    expect({ said, signed: await whomItSigns(title) }).toEqual({ said: passesFor, signed: passesFor });
    await vault().call('DELETE', rolePath(title));
  });
});

describe('a run', () => {
  const COUNT = 200;
  const names = Array.from({ length: COUNT }, (_, index) => `web-${index}`);
  const inputs: Values = {
    ...asRoot(),
    namespace,
    name: 'roles',
    replicas: '1',
    vault_internal_pki_backend_mount_path: MOUNT,
  };
  const again = async (more: Values = {}) => {
    const ending = await runMain({ ...inputs, ...more });
    expect(ending).toMatchObject({ exitCode: 0, errors: [] });
    return ending;
  };
  const annotations = (printed: string) => printed.split('\n').filter((line) => line.startsWith('::warning'));

  it('with a PKI mount of its own warns of nothing', async () => {
    const { printed, summary } = await again();
    expect(annotations(printed)).toEqual([]);
    expect(summary).not.toContain('vault_internal_pki_backend_mount_path');
  });

  it('warns of the one role that signs any name among hundreds, in one annotation and in the summary', async () => {
    const before = await again();
    for (const name of names)
      await vault().call('POST', rolePath(name), { ...SHORT, allowed_domains: ['acme.example'] });
    await vault().call('POST', rolePath('vault-issuer'), { ...SHORT, allow_any_name: true });
    const { printed, summary, outputs, seconds } = await again();
    console.log(
      `a run with nothing to change: ${before.seconds.toFixed(2)} s, with ${COUNT} roles more: ${seconds.toFixed(2)} s`,
    );
    expect(outputs.changed).toBe('false');
    expect(annotations(printed)).toEqual([
      expect.stringContaining('vault-issuer (as superuser-roles, admin-roles, reader-roles). Restrict'),
    ]);
    expect(summary).toContain('vault-issuer');
  });

  it('whose token may not read roles of others tells so in a line, and goes on', async () => {
    await allowDeployments([namespace]);
    const { policy } = (await vault().call('GET', 'sys/policies/acl/e2e-deployer')).data as JsonObject;
    const own = `path "${MOUNT}/roles/nats-*" { capabilities = ["read", "update"] }`;
    await vault().call('PUT', 'sys/policies/acl/e2e-deployer', { policy: `${String(policy)}\n${own}` });
    const refused = await again({ vault_token: await deployerToken() });
    console.log(`without the permission: ${refused.seconds.toFixed(2)} s`);
    expect(refused.log).toContain(`path "${MOUNT}/roles/*" { capabilities = ["list","read"] }`);
    expect(annotations(refused.printed)).toEqual([]);

    const more = `path "${MOUNT}/roles/*" { capabilities = ["list","read"] }`;
    await vault().call('PUT', 'sys/policies/acl/e2e-deployer', { policy: `${String(policy)}\n${own}\n${more}` });
    const allowed = await again({ vault_token: await deployerToken() });
    expect(annotations(allowed.printed)).toHaveLength(1);
  });
});
