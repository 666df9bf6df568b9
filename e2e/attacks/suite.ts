import { wordsOf } from '../../src/problem.ts';
import type { Attack } from './attempts.ts';
import { type Identities, identitiesOf } from './identities.ts';
import { type Probe, probesFor } from './probes.ts';
import { Scene } from './scene.ts';
import type { Target } from './target.ts';

/** Milliseconds until a change of the data must show; what comes even later shows in the messages at the end. */
const PROBE_PATIENCE = 200;
/** A change that must come is waited for longer, as it is seen when it comes. */
const CONTROL_PATIENCE = 5_000;

/** What became of one attempt. */
export interface Outcome {
  /** "reader: purges a stream". */
  name: string;
  verdict: 'held' | 'broken';
  /** By what it was refused, or what the attacker got or changed. */
  saw: string;
}

export interface Findings {
  probes: Outcome[];
  /** Attempts by those who may: each of these must be broken. */
  controls: Outcome[];
  /** The messages of all streams before and after the probes. */
  before: string[];
  after: string[];
  seconds: number;
}

/** Attacks a cluster by all probes, one after the other, and then has those who may do the same. */
export async function attack(target: Target): Promise<Findings> {
  const start = performance.now();
  const identities = await identitiesOf(target);
  const table = probesFor(target.version, Object.keys(target.neighbours));
  const scene = await Scene.set(target);
  try {
    const before = await scene.contents();
    const probes: Outcome[] = [];
    for (const probe of table)
      for (const who of probe.by) probes.push(await judge(probe, who, identities, { target, scene }));
    const after = await scene.contents();
    const controls: Outcome[] = [];
    for (const probe of table)
      if (probe.control !== undefined)
        controls.push(await judge(probe, probe.control, identities, { target, scene }, CONTROL_PATIENCE));
    return { probes, controls, before, after, seconds: (performance.now() - start) / 1000 };
  } finally {
    await scene.close();
  }
}

/** The names of those with that verdict. */
export function named(outcomes: Outcome[], verdict: Outcome['verdict']): string[] {
  return outcomes.filter((outcome) => outcome.verdict === verdict).map(({ name }) => name);
}

/** The same, with what was seen. */
export function told(outcomes: Outcome[], verdict: Outcome['verdict']): string[] {
  return outcomes.filter((outcome) => outcome.verdict === verdict).map(({ name, saw }) => `${name}: ${saw}`);
}

async function judge(
  { deed, attempt }: Probe,
  who: string,
  identities: Identities,
  { target, scene }: Omit<Attack, 'credentials'>,
  patience = PROBE_PATIENCE,
): Promise<Outcome> {
  const credentials = identities.get(who);
  if (credentials === undefined) throw new Error(`nobody is called ${who}`);
  const name = `${who} ${deed}`;
  const before = await scene.picture();
  let loot: string | null = null;
  let refusal = 'nothing happened';
  try {
    loot = await attempt({ target, scene, credentials });
  } catch (error) {
    refusal = wordsOf(error);
  }
  const difference = await scene.difference(before, loot === null ? patience : PROBE_PATIENCE);
  if (difference !== null) await scene.restore();
  const seen = [loot, difference].filter((text) => text !== null);
  return seen.length === 0
    ? { name, verdict: 'held', saw: refusal }
    : { name, verdict: 'broken', saw: seen.join('\n') };
}
