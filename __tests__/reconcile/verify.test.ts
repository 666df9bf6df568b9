import { describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../src/json.ts';
import { credentialsFlaw, verifyCredentials, verifyServers } from '../../src/reconcile/verify.ts';
import { type Authority, createAuthority, type KeyPair } from '../fakes/certificates.ts';
import { problemOf } from '../fakes/problem.ts';
import { contextWith, LABELS } from './context.ts';

const root = createAuthority('Root');
const NOW = Date.now();
const DAY = 86_400_000;

function flawOf({ certificate, key }: KeyPair, authorities = root.certificate, now = NOW): string | null {
  return credentialsFlaw(certificate, key, authorities, 'admin-nats-a', now);
}

describe('credentials', () => {
  const good = root.issue(['admin-nats-a']);
  const issuing = root.intermediate('Issuing');
  const lowest = issuing.intermediate('Lowest');
  const deep = lowest.issue(['admin-nats-a']);
  const chain = (...certificates: string[]) => ({ ...deep, certificate: [deep.certificate, ...certificates].join('') });

  test('are good when the CA signed them, directly or over intermediates in any order', () => {
    expect(flawOf(good)).toBeNull();
    expect(flawOf(chain(lowest.certificate, issuing.certificate))).toBeNull();
    expect(flawOf(chain(issuing.certificate, root.certificate, lowest.certificate))).toBeNull();
    expect(flawOf(chain(), [root.certificate, lowest.certificate].join('\n'))).toBeNull();
  });

  test('find the way where two intermediates share name and key', () => {
    const another = createAuthority('Root');
    const detour = another.intermediate('Issuing');
    expect(flawOf(chain(lowest.certificate, detour.certificate, issuing.certificate))).toBeNull();
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
    ['another user', root.issue(['reader-nats-a']), 'the certificate is not for the NATS user admin-nats-a'],
    [
      'another CA of the same name',
      createAuthority('Root').issue(['admin-nats-a']),
      "the CA of Vault's PKI mount did not sign it",
    ],
    ['a missing intermediate', chain(lowest.certificate), "the CA of Vault's PKI mount did not sign it"],
  ])('with %s are not', (_, pair, flaw) => {
    expect(flawOf(pair)).toBe(flaw);
  });

  test('are not before and after their time', () => {
    const brief = root.issue(['admin-nats-a'], { from: NOW, to: NOW + DAY });
    expect(flawOf(brief, root.certificate, NOW - DAY)).toMatch(/^the certificate is not valid before /);
    expect(flawOf(brief, root.certificate, NOW + DAY / 2)).toBeNull();
    expect(flawOf(brief, root.certificate, NOW + 2 * DAY)).toMatch(/^the certificate has expired: /);
  });

  test('cannot be judged good without a CA', () => {
    expect(flawOf(good, '')).toBe("the CA of Vault's PKI mount did not sign it");
  });
});

describe("the roles' Secrets", () => {
  function contextOf(secrets: { [role: string]: KeyPair }) {
    const context = contextWith();
    for (const [role, { certificate, key }] of Object.entries(secrets)) {
      const base64 = (text: string) => Buffer.from(text).toString('base64');
      context.kube.put({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: `nats-a-${role}-creds`, namespace: 'demo' },
        data: { 'tls.crt': base64(certificate), 'tls.key': base64(key), 'ca.crt': base64(root.certificate) },
      });
    }
    putServers(context, root);
    return context;
  }
  function putServers(context: ReturnType<typeof contextWith>, authority: Authority) {
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    context.kube.put({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'nats-a-server-certs', namespace: 'demo' },
      data: { 'tls.crt': base64(authority.issue(['nats-a']).certificate), 'ca.crt': base64(authority.certificate) },
    });
  }

  const issue = (role: string) => root.issue([`${role}-nats-a`]);

  test('pass when all three are good', async () => {
    const context = contextOf({ superuser: issue('superuser'), admin: issue('admin'), reader: issue('reader') });
    await expect(verifyCredentials(context, root.certificate)).resolves.toBeUndefined();
  });

  test('are told with all that is wrong, without a key', async () => {
    const admin = { ...issue('admin'), key: issue('admin').key };
    const { message } = await problemOf(
      verifyCredentials(contextOf({ superuser: issue('superuser'), admin }), root.certificate),
    );
    expect(message).toBe(
      [
        'Verifying the credentials of nats-a: Clients could not log in with them.',
        '  - Secret nats-a-admin-creds: tls.key is not the key of tls.crt',
        '  - Secret nats-a-reader-creds does not exist',
        'Delete the Secrets that are named (kubectl -n demo delete secret NAME): cert-manager issues them again within ' +
          'seconds. Where the CA has changed delete those of the servers as well (nats-a-server-certs, ' +
          'nats-a-cluster-certs), and have clients load theirs again. Then run again.',
      ].join('\n'),
    );
  });

  test('are told when clients and servers trust different CAs, though each pair is good', async () => {
    const context = contextOf({ superuser: issue('superuser'), admin: issue('admin'), reader: issue('reader') });
    putServers(context, createAuthority('Root'));
    const { details } = await problemOf(verifyCredentials(context, root.certificate));
    expect(details.findings).toEqual(
      ['superuser', 'admin', 'reader'].map(
        (role) => `Secret nats-a-${role}-creds: the servers do not trust the CA that signed it`,
      ),
    );
  });

  test('without data are told', async () => {
    const context = contextOf({ superuser: issue('superuser'), reader: issue('reader') });
    context.kube.put({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'nats-a-admin-creds', namespace: 'demo' } });
    const { details } = await problemOf(verifyCredentials(context, root.certificate));
    expect(details.findings).toEqual(['Secret nats-a-admin-creds: tls.crt holds no certificate']);
  });
});

describe('the servers', () => {
  function contextOf(replicas: 1 | 3) {
    const context = contextWith({ replicas });
    const names = Array.from({ length: replicas }, (_, ordinal) => `nats-a-${ordinal}`);
    for (const name of names) {
      context.kube.put({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'demo', labels: LABELS } });
      const peers = names.filter((other) => other !== name);
      context.kube.podAnswers.set(`${name}/routez`, { routes: peers.map((peer) => ({ remote_id: peer })) });
      const meta_cluster: JsonObject = {
        leader: 'nats-a-1',
        replicas: peers.map((peer) => ({ name: peer, current: true })),
      };
      context.kube.podAnswers.set(`${name}/jsz`, { config: {}, ...(replicas > 1 && { meta_cluster }) });
    }
    return context;
  }

  test('that are whole tell their meta leader', async () => {
    await expect(verifyServers(contextOf(3))).resolves.toBe('nats-a-1');
    await expect(verifyServers(contextOf(1))).resolves.toBe('');
  });

  test('are waited for, and named when they do not answer in time', async () => {
    const context = contextOf(3);
    context.kube.podAnswers.delete('nats-a-2/jsz');
    const { details } = await problemOf(verifyServers(context));
    expect(details).toMatchObject({ kind: 'timeout', reason: 'After 60 s: no answer from nats-a-2.' });
    // The pods of disruption windows are of the same instance, and have no container nats.
    expect(details.next).toContain(
      'kubectl -n demo logs -l app.kubernetes.io/name=nats,app.kubernetes.io/instance=nats-a -c nats',
    );
  });
});
