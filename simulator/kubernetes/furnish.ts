import type { JsonObject } from '../../src/json.ts';
import { mapAt } from '../json-at.ts';
import type { Cluster } from './cluster.ts';
import { resourceOf } from './resources.ts';

export interface Furniture {
  namespaces: string[];
  nodes: number;
  storageClasses: string[];
  defaultStorageClass: string | null;
  priorityClasses: string[];
  clusterIssuers: string[];
}

const WRITE = { fieldManager: 'administrator', dryRun: false };
const SYSTEM_NAMESPACES = ['default', 'kube-system', 'cert-manager', 'vault'];

/** Puts into an empty cluster what an administrator would have made before the first run. */
export function furnish(cluster: Cluster, furniture: Furniture): void {
  const add = (kind: string, name: string, content: JsonObject = {}, namespace = ''): void => {
    const body = { ...content, metadata: { ...mapAt(content, 'metadata'), name } };
    cluster.create({ resource: resourceOf(kind), namespace, name }, body, WRITE);
  };
  for (const name of [...SYSTEM_NAMESPACES, ...furniture.namespaces]) {
    add('Namespace', name);
  }
  for (let index = 0; index < furniture.nodes; index += 1) {
    const letter = String.fromCharCode('a'.charCodeAt(0) + index);
    const labels = { 'kubernetes.io/hostname': `node-${letter}`, 'topology.kubernetes.io/zone': `zone-${letter}` };
    add('Node', `node-${letter}`, { metadata: { labels } });
  }
  for (const name of furniture.storageClasses) {
    const isDefault = name === furniture.defaultStorageClass;
    const annotations = isDefault ? { 'storageclass.kubernetes.io/is-default-class': 'true' } : {};
    const rest = { provisioner: 'simulator', volumeBindingMode: 'WaitForFirstConsumer', allowVolumeExpansion: true };
    add('StorageClass', name, { metadata: { annotations }, ...rest });
  }
  for (const name of furniture.priorityClasses) {
    add('PriorityClass', name, { value: 100_000 });
  }
  for (const name of furniture.clusterIssuers) {
    add('ClusterIssuer', name, { spec: { ca: { secretName: name } } });
  }
  const ports = [{ name: 'http', port: 8200 }];
  add('Service', 'vault-active', { spec: { selector: { 'app.kubernetes.io/name': 'vault' }, ports } }, 'vault');
}
