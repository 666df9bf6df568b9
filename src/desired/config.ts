import type { Inputs } from '../inputs/table.ts';
import type { KubeObject } from '../kube/object.ts';
import { MANAGER } from '../manager.ts';
import { type ConfBlock, renderConf } from '../nats/conf-text.ts';
import { CONFIG_FILE } from '../nats/layout.ts';
import { fileStoreBytes, type MemorySizes } from '../nats/memory.ts';
import { natsConf } from '../nats/nats-conf.ts';
import { metadata } from './labels.ts';
import { type Names, podHosts, userName } from './names.ts';
import type { TargetFacts } from './state.ts';
import { bytesAtCreation } from './storage.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Bytes that JetStream may store on each server: by the smallest data volume, or by what they are made with. */
export function fileStoreLimit(inputs: Inputs, { volumeBytes, immutable }: TargetFacts): number {
  return fileStoreBytes(volumeBytes ?? bytesAtCreation(inputs, immutable));
}

/** nats.conf as a tree; `fileStoreBytes` is what JetStream may store on each server. */
export function serverConf(inputs: Inputs, names: Names, memory: MemorySizes, fileStoreBytes: number): ConfBlock {
  return natsConf({
    cluster: names.cluster,
    users: {
      superuser: userName(names.cluster, 'superuser'),
      admin: userName(names.cluster, 'admin'),
      reader: userName(names.cluster, 'reader'),
    },
    readerAccess: inputs.reader_access,
    hosts: podHosts(names, inputs.replicas),
    logLevel: inputs.log_level,
    pingSeconds: inputs.ping_interval_seconds,
    writeDeadlineSeconds: inputs.write_deadline_seconds,
    maxConnections: inputs.max_connections,
    maxControlLineBytes: inputs.max_control_line_kb * KIB,
    maxPayloadBytes: inputs.max_payload_mb * MIB,
    memoryStoreBytes: memory.memoryStore,
    fileStoreBytes,
    maxCatchupBytes: inputs.max_outstanding_catchup_mb * MIB,
    fsyncSeconds: inputs.fsync_interval_seconds,
  });
}

/** The ConfigMap with nats.conf: there is no secret in it, as clients are known by their certificates. */
export function configMap(inputs: Inputs, names: Names, conf: ConfBlock): KubeObject {
  const heading = `# ${names.cluster} in ${names.namespace}: written by ${MANAGER}\n`;
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: metadata(inputs, names, names.cluster),
    data: { [CONFIG_FILE]: heading + renderConf(conf) },
  };
}
