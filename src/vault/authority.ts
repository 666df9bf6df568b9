import { Problem } from '../problem.ts';
import type { VaultClient } from './client.ts';
import { mountSegments } from './path.ts';

/** The certificates of the CA at a PKI mount, issuer first, as PEM. No token is needed. */
export async function caCertificates(client: VaultClient, mount: string): Promise<string> {
  const segments = mountSegments(mount);
  const pem = (await client.readText([...segments, 'ca_chain'])) ?? (await client.readText([...segments, 'ca', 'pem']));
  if (pem?.includes('-----BEGIN CERTIFICATE-----')) return pem;
  throw new Problem({
    kind: 'vault',
    tried: `Reading the CA of the PKI secrets engine at ${mount} in Vault`,
    reason: 'it has no CA certificate.',
    next: `Generate or import one first (vault write ${mount}/root/generate/internal common_name=... key_type=ec).`,
  });
}
