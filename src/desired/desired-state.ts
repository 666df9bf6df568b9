import type { Inputs } from '../inputs/table.ts';
import { memorySizes } from '../nats/memory.ts';
import { restartHash, restartMark } from '../nats/restart.ts';
import { resolveVersions } from '../nats/versions.ts';
import { autoscaler } from './autoscaling.ts';
import { certificates } from './certificates.ts';
import { configMap, fileStoreLimit, serverConf } from './config.ts';
import { disruptions } from './disruption.ts';
import { downgrade } from './downgrade.ts';
import { identities } from './identities.ts';
import { imageCacheShares } from './image-cache.ts';
import { images } from './images.ts';
import { issuers } from './issuers.ts';
import { chosenMemory } from './memory.ts';
import { monitoring } from './monitoring.ts';
import { clusterNames } from './names.ts';
import { networkPolicy } from './network-policy.ts';
import { services } from './services.ts';
import type { DesiredState, TargetFacts } from './state.ts';
import { statefulSet } from './statefulset.ts';
import { claimMetadata, comingClaims, ignoredStorage } from './storage.ts';
import { vaultObjects } from './vault-objects.ts';

/**
 * Everything that should exist for one NATS cluster: the same bytes for the same inputs and facts.
 */
export function desiredState(inputs: Inputs, facts: TargetFacts): DesiredState {
  const names = clusterNames(facts.name, inputs.namespace, facts.immutable?.serviceName);
  const versions = resolveVersions(inputs);
  const { request, notices } = chosenMemory(inputs, versions);
  const memory = memorySizes(request);
  const fileStoreBytes = fileStoreLimit(inputs, facts);
  const conf = serverConf(inputs, names, memory, fileStoreBytes);
  const holders = identities(inputs, names);
  const chosenImages = images(inputs, versions);
  const mark = restartMark(restartHash(conf, versions.abilities), facts.running, {
    memoryStoreBytes: memory.memoryStore,
    fileStoreBytes,
  });
  const pods = { images: chosenImages, memory, restartMark: mark };
  return {
    objects: [
      ...issuers(inputs, names, holders),
      ...certificates(inputs, names, holders),
      configMap(inputs, names, conf),
      ...services(inputs, names),
      ...networkPolicy(inputs, names),
      statefulSet(inputs, names, facts, pods),
      ...disruptions(inputs, names, facts, chosenImages),
      ...autoscaler(inputs, names, facts, memory),
      ...monitoring(inputs, names),
    ],
    shares: [...claimMetadata(inputs, names, facts), ...imageCacheShares(inputs, names, facts, chosenImages)],
    comingClaims: comingClaims(inputs, names, facts),
    vault: vaultObjects(inputs, names, holders, facts.clusterUid, facts.adopted),
    notices: [
      ...notices,
      ...downgrade(inputs, versions, facts),
      ...(facts.immutable ? ignoredStorage(inputs, facts.immutable) : []),
    ],
  };
}
