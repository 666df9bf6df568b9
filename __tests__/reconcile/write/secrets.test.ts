import { describe, expect, test } from '@jest/globals';
import type { Inputs } from '../../../src/inputs/table.ts';
import { pairFlaw, verifies, verifySecrets } from '../../../src/reconcile/write/secrets.ts';
import { createAuthority } from '../../fakes/certificates.ts';
import type { KeyPair } from '../../fakes/nats-tls.ts';
import { problemOf } from '../../fakes/problem.ts';
import { contextWith, LABELS } from '../context.ts';

const root = createAuthority('Root');
const NOW = Date.UTC(2026, 10, 22);
const DAY = 86_400_000;
const YEAR = { from: NOW - 180 * DAY, to: NOW + 180 * DAY };

describe('a certificate and its key', () => {
  const good = root.issue(['admin-nats-a', 'localhost'], YEAR);

  test('are good for any of its names, at its time, with its own key', () => {
    expect(pairFlaw(good, ['admin-nats-a', 'localhost'], NOW)).toBeNull();
    expect(pairFlaw(good, ['localhost'], NOW)).toBeNull();
  });

  test.each<[string, KeyPair, string]>([
    ["another certificate's key", { ...good, key: root.issue(['x']).key }, 'tls.key is not the key of tls.crt'],
    ['no key', { ...good, key: '' }, 'tls.key is not the key of tls.crt'],
    ['no certificate', { ...good, certificate: '' }, 'tls.crt holds no certificate'],
    [
      'a broken certificate',
      { ...good, certificate: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' },
      'tls.crt holds no certificate',
    ],
    ['another name', root.issue(['reader-nats-a']), 'the certificate is not for admin-nats-a'],
  ])('with %s are not', (_, pair, flaw) => {
    expect(pairFlaw(pair, ['admin-nats-a'], NOW)).toEqual({ words: flaw, remedy: 'reissue' });
  });

  test('are not before and after their time', () => {
    const brief = root.issue(['admin-nats-a'], { from: NOW, to: NOW + DAY });
    expect(pairFlaw(brief, [], NOW - DAY)).toEqual({
      words: 'the certificate is not valid before Nov 22 00:00:00 2026 GMT, and here it is 2026-11-21T00:00:00.000Z',
      remedy: 'clock',
    });
    expect(pairFlaw(brief, [], NOW + DAY / 2)).toBeNull();
    expect(pairFlaw(brief, [], NOW + 2 * DAY)?.words).toMatch(/^the certificate has expired: /);
  });

  test('are not too early for a clock that is a little behind', () => {
    const fresh = root.issue(['admin-nats-a'], { from: NOW, to: NOW + DAY });
    expect(pairFlaw(fresh, [], NOW - 45_000)).toBeNull();
    expect(pairFlaw(fresh, [], NOW - 75_000)?.remedy).toBe('clock');
  });
});

describe('a chain', () => {
  const issuing = root.intermediate('Issuing');
  const lowest = issuing.intermediate('Lowest');
  const leaf = lowest.issue(['admin-nats-a']);
  const chain = (...certificates: string[]) => [leaf.certificate, ...certificates].join('');

  test('leads to the CA directly or over intermediates in any order', () => {
    expect(verifies(root.issue(['admin-nats-a']).certificate, root.certificate)).toBe(true);
    expect(verifies(chain(lowest.certificate, issuing.certificate), root.certificate)).toBe(true);
    expect(verifies(chain(issuing.certificate, root.certificate, lowest.certificate), root.certificate)).toBe(true);
    expect(verifies(chain(), [root.certificate, lowest.certificate].join('\n'))).toBe(true);
  });

  test('finds the way where two intermediates share name and key', () => {
    const detour = createAuthority('Root').intermediate('Issuing');
    expect(verifies(chain(lowest.certificate, detour.certificate, issuing.certificate), root.certificate)).toBe(true);
  });

  test('does not lead to another CA of the same name, over a missing intermediate, or to no CA', () => {
    expect(verifies(createAuthority('Root').issue(['admin-nats-a']).certificate, root.certificate)).toBe(false);
    expect(verifies(chain(lowest.certificate), root.certificate)).toBe(false);
    expect(verifies(chain(), '')).toBe(false);
  });
});

const NAMES: { [purpose: string]: string[] } = {
  'superuser-creds': ['superuser-nats-a'],
  'admin-creds': ['admin-nats-a'],
  'reader-creds': ['reader-nats-a'],
  'server-certs': ['nats-a', 'nats-a-0', 'localhost'],
  'cluster-certs': ['nats-a', 'nats-a-0'],
};

/** A cluster with all its Certificates and Secrets, signed by `root`, which Vault has at its mount. */
function contextOf(inputs: Partial<Inputs> = {}) {
  const context = contextWith(inputs);
  context.vault.authority = root.certificate;
  const put = (purpose: string, { certificate, key }: KeyPair, authority = root) => {
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    context.kube.put({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: `nats-a-${purpose}`, namespace: 'demo' },
      data: { 'tls.crt': base64(certificate), 'tls.key': base64(key), 'ca.crt': base64(authority.certificate) },
    });
  };
  for (const [purpose, dnsNames] of Object.entries(NAMES)) {
    const metadata = { name: `nats-a-${purpose}`, namespace: 'demo', labels: LABELS };
    context.kube.put({ apiVersion: 'cert-manager.io/v1', kind: 'Certificate', metadata, spec: { dnsNames } });
    put(purpose, root.issue(dnsNames, YEAR));
  }
  return { ...context, put };
}

describe('the Secrets of a cluster', () => {
  test('pass when all five are good', async () => {
    const context = contextOf();
    await expect(verifySecrets(context)).resolves.toBeUndefined();
    expect(context.clock.slept).toEqual([]);
  });

  test('of a single server are four', async () => {
    const context = contextOf({ replicas: 1 });
    context.kube.take('Secret', 'nats-a-cluster-certs');
    await expect(verifySecrets(context)).resolves.toBeUndefined();
  });

  test('are told with all that is wrong, without a key, when cert-manager has not repaired it within 10 s', async () => {
    const context = contextOf();
    const { certificate } = root.issue(['admin-nats-a'], YEAR);
    const { key } = root.issue(['admin-nats-a'], YEAR);
    context.put('admin-creds', { certificate, key });
    context.kube.take('Secret', 'nats-a-reader-creds');
    const started = context.clock.now();
    const { message } = await problemOf(verifySecrets(context));
    expect(context.clock.now() - started).toBe(10_000);
    expect(message).toBe(
      [
        'Verifying the certificates of nats-a: Clients could not log in with them.',
        '  - Secret nats-a-admin-creds: tls.key is not the key of tls.crt',
        '  - Secret nats-a-reader-creds: it does not exist',
        'See that cert-manager runs (kubectl -n cert-manager get pods): by itself it replaces what does not fit. What it ' +
          'leaves, delete (kubectl -n demo delete secret NAME): it issues it again within seconds. Then run again.',
      ].join('\n'),
    );
    expect(JSON.stringify([message, context.log.lines])).not.toContain(key.split('\n')[1]);
  });

  test.each([
    ['server-certs', root.issue(['nats-a', 'localhost'], YEAR), 'the certificate is not for nats-a-0'],
    ['cluster-certs', root.issue(['nats-a'], YEAR), 'the certificate is not for nats-a-0'],
    [
      'server-certs',
      { ...root.issue(NAMES['server-certs'] ?? [], YEAR), key: root.issue([]).key },
      'tls.key is not the key of tls.crt',
    ],
    [
      'cluster-certs',
      createAuthority('Root').issue(NAMES['cluster-certs'] ?? [], YEAR),
      'its ca.crt does not verify its tls.crt',
    ],
  ])('of the servers (%s) are told with what a flaw means', async (purpose, pair, flaw) => {
    const context = contextOf();
    context.put(purpose, pair);
    const { details } = await problemOf(verifySecrets(context));
    expect(details.findings).toEqual([`Secret nats-a-${purpose}: ${flaw}`]);
    expect(details.reason).toMatch(/^The servers keep the certificates that they have loaded/);
  });

  test('are waited for while cert-manager replaces a pair that does not fit', async () => {
    const context = contextOf();
    context.put('server-certs', { ...root.issue(NAMES['server-certs'] ?? [], YEAR), key: '' });
    const sleep = context.clock.sleep;
    context.clock.sleep = async (milliseconds) => {
      if (context.clock.slept.length === 3) context.put('server-certs', root.issue(NAMES['server-certs'] ?? [], YEAR));
      await sleep(milliseconds);
    };
    await expect(verifySecrets(context)).resolves.toBeUndefined();
    expect(context.log.lines).toEqual(['info     0 s  Secret nats-a-server-certs: tls.key is not the key of tls.crt']);
  });

  test('are told when clients and servers trust different CAs, though each pair is good', async () => {
    const context = contextOf();
    const other = createAuthority('Root');
    context.put('server-certs', other.issue(NAMES['server-certs'] ?? [], YEAR), other);
    const { details } = await problemOf(verifySecrets(context));
    expect(details.findings).toEqual(
      ['superuser', 'admin', 'reader'].map(
        (role) => `Secret nats-a-${role}-creds: the servers do not trust the CA that signed it`,
      ),
    );
  });

  test("that another CA than that of Vault's mount signed are told", async () => {
    const context = contextOf();
    context.vault.authority = createAuthority('Root').certificate;
    const { details } = await problemOf(verifySecrets(context));
    expect(details.findings?.[0]).toBe("Secret nats-a-superuser-creds: the CA of Vault's PKI mount did not sign it");
  });

  test('without data are told', async () => {
    const context = contextOf();
    context.kube.put({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'nats-a-admin-creds', namespace: 'demo' } });
    const { details } = await problemOf(verifySecrets(context));
    expect(details.findings).toEqual(['Secret nats-a-admin-creds: tls.crt holds no certificate']);
  });
});
