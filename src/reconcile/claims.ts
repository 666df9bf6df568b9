import { DATA_VOLUME } from '../desired/storage.ts';
import { digText } from '../json.ts';
import type { KubeReader } from '../kube/client.ts';
import type { KubeObject } from '../kube/object.ts';

/** The claims of the StatefulSet, by their names: a copy that somebody made of one may carry the same labels. */
export async function dataClaims(kube: KubeReader, namespace: string, name: string): Promise<KubeObject[]> {
  const claims = await kube.list('PersistentVolumeClaim', namespace);
  return claims.filter(({ metadata }) => isNumbered(metadata.name, `${DATA_VOLUME}-${name}-`));
}

/** Whether a number follows the prefix, and nothing else: as a StatefulSet names its pods and claims. */
export function isNumbered(text: string, prefix: string): boolean {
  return text.startsWith(prefix) && /^\d+$/.test(text.slice(prefix.length));
}

/** How many of the claims have their volume. */
export function boundVolumes(claims: KubeObject[]): number {
  return claims.filter((claim) => digText(claim.status, 'phase') === 'Bound').length;
}
