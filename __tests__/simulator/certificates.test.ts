import { createPrivateKey, X509Certificate } from 'node:crypto';
import { afterEach, expect, test } from '@jest/globals';
import { resourceOf } from '../../simulator/kubernetes/resources.ts';
import { digObjects, digText, type Json } from '../../src/json.ts';
import {
  certificate,
  createWorld,
  eventually,
  issuer,
  NAME,
  NAMESPACE,
  paths,
  type World,
  writeVault,
} from './world.ts';

let world: World;

afterEach(() => world.close());

function find(kind: string, name = NAME): Json | undefined {
  return world.simulator.cluster.find({ resource: resourceOf(kind), namespace: NAMESPACE, name });
}

function condition(kind: string, type: string) {
  return digObjects(find(kind), 'status', 'conditions').find((candidate) => candidate.type === type);
}

async function start(dnsName: string): Promise<void> {
  world = await createWorld();
  await world.apply(paths.serviceAccount, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: NAME } });
  await world.apply(paths.issuer, issuer());
  await world.apply(paths.certificate, certificate(dnsName));
}

test('a Certificate is issued once its Issuer can log in to Vault, by the CA of the PKI mount', async () => {
  await start('good');
  await eventually('the Issuer is refused', () => condition('Issuer', 'Ready')?.status === 'False');
  expect(condition('Issuer', 'Ready')?.message).toContain('invalid role name "n"');
  expect(find('Secret', 'secret')).toBeUndefined();
  await writeVault(world);
  await eventually('the Certificate is Ready', () => condition('Certificate', 'Ready')?.status === 'True');
  expect(condition('Certificate', 'Ready')?.observedGeneration).toBe(1);
  expect(condition('Certificate', 'Issuing')).toBeUndefined();

  const pem = (key: string) => Buffer.from(digText(find('Secret', 'secret'), 'data', key), 'base64');
  const leaf = new X509Certificate(pem('tls.crt'));
  const authority = new X509Certificate(pem('ca.crt'));
  expect(leaf.verify(authority.publicKey)).toBe(true);
  expect(leaf.checkPrivateKey(createPrivateKey(pem('tls.key')))).toBe(true);
  expect(leaf.checkHost('good')).toBe('good');
  expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
  expect(Math.round((leaf.validToDate.getTime() - Date.now()) / 3_600_000)).toBe(16);
  const mounted = await fetch(`${world.simulator.vaultUrl}/v1/pki/internal/ca/pem`);
  expect(await mounted.text()).toBe(authority.toString());
});

test('a name that the PKI role does not allow is refused, and asked for again only when told to', async () => {
  await start('bad');
  await writeVault(world);
  await eventually('the request fails', () => condition('Certificate', 'Issuing')?.reason === 'Failed');
  expect(condition('Certificate', 'Issuing')?.message).toContain('common name bad not allowed by this role');
  await world.vault({
    method: 'POST',
    path: `pki/internal/roles/${NAME}`,
    body: { allowed_domains: ['bad'], allow_bare_domains: true },
  });
  const headers = { 'content-type': 'application/merge-patch+json' };
  const issuing = { type: 'Issuing', status: 'True', reason: 'ManuallyTriggered', observedGeneration: 1 };
  const body = { status: { conditions: [issuing] } };
  await world.kubernetes({ method: 'PATCH', path: `${paths.certificate}/status`, headers, body });
  await eventually('the Certificate is Ready', () => condition('Certificate', 'Ready')?.status === 'True');
});

test('a changed Certificate is issued again, the same one is not', async () => {
  await start('good');
  await writeVault(world);
  await eventually('the Certificate is Ready', () => condition('Certificate', 'Ready')?.status === 'True');
  const first = digText(find('Secret', 'secret'), 'data', 'tls.crt');
  const changed = certificate('good');
  await world.apply(paths.certificate, { ...changed, spec: { ...(changed.spec as object), duration: '8h0m0s' } });
  await eventually('it is issued again', () => digText(find('Secret', 'secret'), 'data', 'tls.crt') !== first);
  await eventually('it is Ready for the change', () => condition('Certificate', 'Ready')?.observedGeneration === 2);
});

test('what a test makes go wrong: a refused Certificate, a sealed Vault', async () => {
  world = await createWorld();
  world.simulator.behaviour.refusedCertificates.set(NAME, 'not today');
  await writeVault(world);
  await world.apply(paths.serviceAccount, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: NAME } });
  await world.apply(paths.issuer, issuer());
  await world.apply(paths.certificate, certificate('good'));
  await eventually('the request fails', () =>
    String(condition('Certificate', 'Issuing')?.message).includes('not today'),
  );
  world.simulator.behaviour.vaultSealed = true;
  await eventually('the Issuer is refused', () =>
    String(condition('Issuer', 'Ready')?.message).includes('Vault is sealed'),
  );
});
