import { isInsistedOn } from '../inputs/insisted.ts';
import type { Inputs } from '../inputs/table.ts';
import type { Versions } from '../nats/versions.ts';
import type { Notice } from './state.ts';

/**
 * The memory request of a server in MiB. A default that the server's version cannot live with is raised; what was
 * insisted on stands, with a warning.
 */
export function chosenMemory(inputs: Inputs, versions: Versions): { request: number; notices: Notice[] } {
  const asked = inputs.minimum_memory_mb;
  const { minimumMemory } = versions.abilities;
  if (asked >= minimumMemory) return { request: asked, notices: [] };
  const why = `NATS ${versions.server} is killed for its memory in ${asked} MiB once a few streams are written`;
  if (!isInsistedOn(inputs, 'minimum_memory_mb')) {
    return { request: minimumMemory, notices: [notice('notice', `Raised to ${minimumMemory} MiB: ${why}.`)] };
  }
  return { request: asked, notices: [notice('warning', `${why}: set at least ${minimumMemory}.`)] };
}

function notice(severity: Notice['severity'], message: string): Notice {
  return { severity, input: 'minimum_memory_mb', message };
}
