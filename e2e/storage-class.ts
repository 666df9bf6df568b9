import { dig } from '../src/json.ts';
import { kube } from './cluster.ts';

const RESIZABLE = 'resize.topolvm.io/enabled';

/** Marks a StorageClass as one whose volumes the pvc-autoresizer grows; resolves to what takes that back. */
export async function letVolumesGrow(storageClass: string): Promise<() => Promise<void>> {
  const path = `/apis/storage.k8s.io/v1/storageclasses/${storageClass}`;
  const { allowVolumeExpansion = null, metadata } = await kube.get(path);
  const mark = dig(metadata, 'annotations', RESIZABLE) ?? null;
  await kube.patch(path, { allowVolumeExpansion: true, metadata: { annotations: { [RESIZABLE]: 'true' } } });
  return async () => {
    await kube.patch(path, { allowVolumeExpansion, metadata: { annotations: { [RESIZABLE]: mark } } });
  };
}
