import type { DesiredVault, VaultObject } from '../../src/desired/state.ts';

/** What two roles of a cluster look like; the real ones are many more parameters of the same kinds. */
export function desiredVault(owner = 'uid-1/demo/nats-a', namespace = 'demo'): DesiredVault {
  return {
    owner,
    adopted: false,
    pkiMount: ['pki', 'internal'],
    authPath: ['kubernetes'],
    clients: { users: ['admin-nats-a', 'reader-nats-a'], hosts: ['nats-a-0.nats-a-headless.demo.svc.cluster.local'] },
    pkiRoles: [
      pkiRole(owner, 'nats-admin-nats-a', ['admin-nats-a'], 57_600),
      pkiRole(owner, 'nats-server-nats-a', ['nats-a', `nats-a.${namespace}.svc`], 2_592_000),
    ],
    policy: {
      name: `${namespace}-issuer-nats-a`,
      rules: `# kube-nats-action owner: ${owner}\npath "pki/internal/sign/nats-admin-nats-a" { capabilities = ["update"] }\n`,
    },
    authRole: {
      path: ['auth', 'kubernetes', 'role', `${namespace}-issuer-nats-a`],
      parameters: {
        bound_service_account_names: ['issuer-nats-a'],
        bound_service_account_namespaces: [namespace],
        audience: `vault://${namespace}/nats-a`,
        token_policies: [`${namespace}-issuer-nats-a`],
        token_ttl: 120,
        token_bound_cidrs: ['10.0.0.0/8', '192.168.0.1/32'],
      },
    },
  };
}

function pkiRole(owner: string, name: string, domains: string[], ttl: number): VaultObject {
  return {
    path: ['pki', 'internal', 'roles', name],
    parameters: {
      allowed_domains: domains,
      allow_any_name: false,
      allowed_uri_sans: [`kube-nats-action://${owner}`],
      allowed_other_sans: [],
      key_type: 'ec',
      key_usage: ['DigitalSignature'],
      max_ttl: ttl,
    },
  };
}
