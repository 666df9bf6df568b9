import type { Inputs } from '../inputs/table.ts';
import type { JsonObject } from '../json.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Identity } from './identities.ts';
import { metadata } from './labels.ts';
import { issuerName, type Names } from './names.ts';
import { signPath } from './vault-objects.ts';

/** An Issuer for each identity that no ClusterIssuer signs, and the account by which cert-manager logs in to Vault. */
export function issuers(inputs: Inputs, names: Names, identities: Identity[]): KubeObject[] {
  const own = identities.filter(({ clusterIssuer }) => clusterIssuer === null);
  return [...issuerAccount(inputs, names), ...own.map((identity) => issuer(inputs, names, identity))];
}

function issuer(inputs: Inputs, names: Names, identity: Identity): KubeObject {
  return {
    apiVersion: 'cert-manager.io/v1',
    kind: 'Issuer',
    metadata: metadata(inputs, names, issuerName(names.cluster, identity.purpose)),
    spec: {
      vault: {
        server: inputs.vault_internal_url,
        path: signPath(inputs, names, identity),
        ...(inputs.vault_namespace === null ? {} : { namespace: inputs.vault_namespace }),
        ...caBundle(inputs),
        auth: {
          kubernetes: {
            mountPath: `/v1/auth/${inputs.vault_kubernetes_auth_path}`,
            role: names.vaultPolicy,
            serviceAccountRef: { name: names.issuerAccount, audiences: [names.audience] },
          },
        },
      },
    },
  };
}

/** cert-manager takes the CA certificates, PEM, as bytes: base64 in JSON. They mean nothing over plain http. */
function caBundle({ vault_ca_certificate: pem, vault_internal_url: url }: Inputs): JsonObject {
  if (pem === null || !url.startsWith('https:')) return {};
  return { caBundle: Buffer.from(pem).toString('base64') };
}

/** A ServiceAccount that may do nothing, and the right of cert-manager to make tokens for it. */
function issuerAccount(inputs: Inputs, names: Names): KubeObject[] {
  const rbac = 'rbac.authorization.k8s.io';
  return [
    {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: metadata(inputs, names, names.issuerAccount),
      automountServiceAccountToken: false,
    },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'Role',
      metadata: metadata(inputs, names, names.issuerAccount),
      rules: [
        {
          apiGroups: [''],
          resources: ['serviceaccounts/token'],
          resourceNames: [names.issuerAccount],
          verbs: ['create'],
        },
      ],
    },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'RoleBinding',
      metadata: metadata(inputs, names, names.issuerAccount),
      roleRef: { apiGroup: rbac, kind: 'Role', name: names.issuerAccount },
      subjects: [{ kind: 'ServiceAccount', name: 'cert-manager', namespace: inputs.cert_manager_namespace }],
    },
  ];
}
