import { describe, expect, test } from '@jest/globals';
import type { Inputs } from '../../src/inputs/table.ts';
import { NAME, objectIn, stateWith, valueAt } from './fixture.ts';

describe('client certificates', () => {
  test.each([2, 15, 16, 8760])('of %i hours are renewed at exactly half of it', (hours) => {
    const state = stateWith({ vault_credential_lifetime_hours: hours });
    expect(objectIn(state, 'Certificate', `${NAME}-reader-creds`).spec).toMatchObject({
      duration: `${hours}h0m0s`,
      renewBeforePercentage: 50,
    });
    expect(pkiRole(state, 'nats-reader-nats-1a2b3c4d')).toMatchObject({ ttl: hours * 3600, max_ttl: hours * 3600 });
  });

  test('name their user and nothing else', () => {
    const state = stateWith();
    expect(objectIn(state, 'Certificate', `${NAME}-admin-creds`).spec).toMatchObject({
      commonName: 'admin-nats-1a2b3c4d',
      dnsNames: ['admin-nats-1a2b3c4d'],
      usages: ['digital signature', 'client auth'],
    });
    expect(pkiRole(state, 'nats-admin-nats-1a2b3c4d')).toMatchObject({
      allowed_domains: ['admin-nats-1a2b3c4d'],
      client_flag: true,
      server_flag: false,
      allow_localhost: false,
    });
  });
});

describe('server certificates', () => {
  const state = stateWith({ replicas: 5 });

  test('may name every server, in every spelling, and no other', () => {
    const domains = valueAt(pkiRole(state, 'nats-cluster-nats-1a2b3c4d'), 'allowed_domains');
    expect(domains).toHaveLength(4 * 6);
    expect(domains).toContain('nats-1a2b3c4d-4.nats-1a2b3c4d-headless.demo');
    expect(valueAt(objectIn(state, 'Certificate', `${NAME}-cluster-certs`), 'spec', 'dnsNames')).toEqual(domains);
  });

  test('have a subject, without which 2.10 takes no peer', () => {
    expect(objectIn(state, 'Certificate', `${NAME}-cluster-certs`).spec).toMatchObject({ commonName: NAME });
  });

  test('for clients are valid behind a port-forward', () => {
    expect(valueAt(objectIn(state, 'Certificate', `${NAME}-server-certs`), 'spec', 'dnsNames')).toContain('localhost');
    expect(pkiRole(state, 'nats-server-nats-1a2b3c4d')).toMatchObject({ allow_localhost: true, client_flag: false });
  });
});

describe('certificate_issuer', () => {
  const state = stateWith({ certificate_issuer: 'internal' });

  test.each(['server', 'cluster'])('signs the %s certificate', (purpose) => {
    expect(objectIn(state, 'Certificate', `${NAME}-${purpose}-certs`).spec).toMatchObject({
      issuerRef: { group: 'cert-manager.io', kind: 'ClusterIssuer', name: 'internal' },
    });
  });

  test('leaves the clients to Vault, and gives up what it replaces', () => {
    const issuers = state.objects.filter(({ kind }) => kind === 'Issuer').map(({ metadata }) => metadata.name);
    const clients = ['superuser', 'admin', 'reader'].map((role) => `nats-${role}-${NAME}`);
    expect(issuers).toEqual(clients);
    expect(state.vault.pkiRoles.map(({ path }) => path.at(-1))).toEqual(clients);
    expect(state.vault.policy.rules).not.toMatch(/nats-(server|cluster)/);
  });
});

describe('Vault', () => {
  const elsewhere: Partial<Inputs> = {
    vault_internal_pki_backend_mount_path: 'teams/bus/pki',
    vault_kubernetes_auth_path: 'clusters/east',
  };

  test('is asked at the paths of the inputs', () => {
    const state = stateWith(elsewhere);
    expect(state.vault.pkiRoles[0]?.path).toEqual(['teams', 'bus', 'pki', 'roles', `nats-superuser-${NAME}`]);
    expect(state.vault.authRole.path).toEqual(['auth', 'clusters', 'east', 'role', `demo-issuer-${NAME}`]);
    expect(state.vault.policy.rules).toContain(`path "teams/bus/pki/sign/nats-superuser-${NAME}" `);
    expect(issuerVault(elsewhere)).toMatchObject({
      path: `teams/bus/pki/sign/nats-admin-${NAME}`,
      auth: { kubernetes: { mountPath: '/v1/auth/clusters/east' } },
    });
  });

  test('finds the owner in the first line of the policy', () => {
    expect(stateWith().vault.policy.rules.split('\n')[0]).toBe(
      '# kube-nats-action owner: 6f8bb0a5-7a0c-4d0a-9d86-1f6e5a3c9b11/demo/nats-1a2b3c4d',
    );
  });

  test('is trusted by its CA over https only', () => {
    const pem = '-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----\n';
    const secure = { vault_ca_certificate: pem, vault_internal_url: 'https://vault.example.com' };
    expect(issuerVault(secure)).toMatchObject({ caBundle: Buffer.from(pem).toString('base64') });
    expect(issuerVault({ vault_ca_certificate: pem })).not.toHaveProperty('caBundle');
    expect(issuerVault({})).not.toHaveProperty('caBundle');
  });

  test('is asked in a namespace where one is given', () => {
    expect(issuerVault({ vault_namespace: 'teams/bus' })).toMatchObject({ namespace: 'teams/bus' });
    expect(issuerVault({})).not.toHaveProperty('namespace');
  });

  test('lets cert-manager in from the networks of the input', () => {
    expect(stateWith({ vault_token_bound_cidrs: ['100.64.0.0/10'] }).vault.authRole.parameters).toMatchObject({
      token_bound_cidrs: ['100.64.0.0/10'],
      bound_service_account_names: [`issuer-${NAME}`],
      bound_service_account_namespaces: ['demo'],
    });
  });
});

function pkiRole(state: ReturnType<typeof stateWith>, name: string) {
  return state.vault.pkiRoles.find(({ path }) => path.at(-1) === name)?.parameters;
}

function issuerVault(overrides: Partial<Inputs>) {
  return valueAt(objectIn(stateWith(overrides), 'Issuer', `nats-admin-${NAME}`), 'spec', 'vault');
}
