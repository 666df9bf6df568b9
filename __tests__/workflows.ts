import { readdirSync, readFileSync } from 'node:fs';
import { load } from 'js-yaml';
import type { Environment } from '../src/inputs/environment.ts';
import { dig, digObjects, digText, type Json, type JsonObject } from '../src/json.ts';

/** A step that runs the action, as the README and the examples write it. */
export interface DocumentedStep {
  file: string;
  /** What the runner passes: an expression is the number 7. */
  environment: Environment;
  /** Claims of the job's OIDC token that its workflow decides about; no environment where the job names none. */
  claims: JsonObject;
}

export const EXAMPLES = readdirSync('examples')
  .filter((file) => file.endsWith('.yml'))
  .map((file) => `examples/${file}`);

/** Every step with the action in the README's first screen and in the examples. */
export function documentedSteps(): DocumentedStep[] {
  // The README shows a part of a job.
  const [, snippet = ''] = /```yaml\n([\s\S]*?)```/.exec(readFileSync('README.md', 'utf8')) ?? [];
  return [
    ...stepsOfJob('README.md', load(snippet) as Json, 'push'),
    ...EXAMPLES.flatMap((file) => {
      const workflow = load(readFileSync(file, 'utf8')) as Json;
      const event = digText(workflow, 'on') || Object.keys(dig(workflow, 'on') ?? {})[0];
      return Object.values(dig(workflow, 'jobs') ?? {}).flatMap((job) => stepsOfJob(file, job, event));
    }),
  ];
}

function stepsOfJob(file: string, job: Json, event: string | undefined): DocumentedStep[] {
  const environment = digText(job, 'environment');
  const claims = { event_name: event, ...(environment === '' ? {} : { environment }) };
  return digObjects(job, 'steps')
    .filter(({ uses }) => uses === 'org/kube-nats-action@v1')
    .map((step) => ({ file, environment: environmentOf(step), claims }));
}

/** What a runner passes to the step. */
export function environmentOf(step: JsonObject): Environment {
  const inputs = Object.entries(step.with ?? {});
  return Object.fromEntries(
    inputs.map(([name, value]) => [`INPUT_${name.toUpperCase()}`, String(value).replace(/\$\{\{.*?\}\}/g, '7')]),
  );
}
