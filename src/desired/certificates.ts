import type { Inputs } from '../inputs/table.ts';
import type { JsonObject } from '../json.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Identity } from './identities.ts';
import { commonLabels, metadata } from './labels.ts';
import { issuerName, type Names, secretName } from './names.ts';

/**
 * One Certificate for each identity. renewBeforePercentage needs cert-manager 1.16 and is exact for odd hours too;
 * `h0m0s` is how cert-manager writes durations itself.
 */
export function certificates(inputs: Inputs, names: Names, identities: Identity[]): KubeObject[] {
  return identities.map((identity) => {
    const name = secretName(names.cluster, identity.purpose);
    return {
      apiVersion: 'cert-manager.io/v1',
      kind: 'Certificate',
      metadata: metadata(inputs, names, name),
      spec: {
        secretName: name,
        commonName: identity.commonName,
        dnsNames: identity.dnsNames,
        usages: ['digital signature', ...identity.usages],
        duration: `${identity.lifetimeHours}h0m0s`,
        renewBeforePercentage: 50,
        revisionHistoryLimit: 1,
        privateKey: { algorithm: 'ECDSA', size: 256, encoding: 'PKCS8', rotationPolicy: 'Always' },
        secretTemplate: {
          labels: commonLabels(inputs, names.cluster),
          annotations: { 'cert-manager.io/allow-direct-injection': 'true' },
        },
        issuerRef: issuerRef(names, identity),
      },
    };
  });
}

function issuerRef(names: Names, { clusterIssuer, purpose }: Identity): JsonObject {
  const group = 'cert-manager.io';
  if (clusterIssuer !== null) return { group, kind: 'ClusterIssuer', name: clusterIssuer };
  return { group, kind: 'Issuer', name: issuerName(names.cluster, purpose) };
}
