import { chosenMemory } from '../../desired/memory.ts';
import { dig, digObjects, digText } from '../../json.ts';
import type { KubeObject } from '../../kube/object.ts';
import { SERVER_CONTAINER } from '../../nats/layout.ts';
import { memoryFor, STREAM_MEMORY } from '../../nats/memory.ts';
import { resolveVersions } from '../../nats/versions.ts';
import type { RunContext } from '../context.ts';
import { podsOf, serverReports } from '../servers/pods.ts';
import { OUT_OF_MEMORY } from './diagnosis.ts';

/** Warns of servers that run, and were killed at their memory limit before: they will be again. */
export async function warnOfMemoryKills(context: RunContext): Promise<void> {
  const kills = memoryKills(await podsOf(context));
  if (kills.length === 0) return;
  context.log.warning(`Killed at the memory limit: ${kills.join(', ')}. ${await memoryAdvice(context)}`);
}

/** "nats-1 at 2026-11-23T02:00:00Z" for each server whose last end the kernel made. */
export function memoryKills(pods: KubeObject[]): string[] {
  return pods.flatMap(({ metadata, status }) =>
    digObjects(status, 'containerStatuses')
      .filter(({ name }) => name === SERVER_CONTAINER)
      .map((container) => dig(container, 'lastState', 'terminated'))
      .filter((ended) => digText(ended, 'reason') === OUT_OF_MEMORY)
      .map((ended) => `${metadata.name} at ${digText(ended, 'finishedAt')}`),
  );
}

/** What to set minimum_memory_mb to, by the streams that the servers tell of as far as they still answer. */
export async function memoryAdvice(context: RunContext): Promise<string> {
  const answers = (await serverReports(context)).flatMap(({ jsz }) => jsz ?? []);
  const streams = Math.max(0, ...answers.map((jsz) => Number(dig(jsz, 'streams') ?? 0)));
  const versions = resolveVersions(context.inputs);
  const { request } = chosenMemory(context.inputs, versions);
  const carrying = memoryFor(streams, versions.abilities);
  const held =
    answers.length === 0
      ? 'no server tells how many streams it holds'
      : `a server holds ${streams} ${streams === 1 ? 'stream' : 'streams'}`;
  return (
    `Set the input minimum_memory_mb to ${carrying > request ? carrying : 2 * request} or more: it is ${request}, ${held}, ` +
    `and each that is written takes up to ${STREAM_MEMORY} MB, large messages with consumers more.`
  );
}
