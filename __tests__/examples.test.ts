import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { load } from 'js-yaml';
import type { Environment } from '../src/inputs/environment.ts';
import { parseInputs } from '../src/inputs/parse.ts';
import { dig, digObjects, type Json, type JsonObject } from '../src/json.ts';

const EXAMPLES = readdirSync('examples').map((file) => `examples/${file}`);

/** The workflow snippet of the README's first screen, as the job that it is a part of. */
const README_JOB = /```yaml\n([\s\S]*?)```/.exec(readFileSync('README.md', 'utf8'))?.[1] ?? '';

function stepsIn(workflow: Json): JsonObject[] {
  const jobs = dig(workflow, 'jobs') ?? { readme: workflow };
  const steps = Object.values(jobs ?? {}).flatMap((job) => digObjects(job, 'steps'));
  return steps.filter(({ uses }) => uses === 'org/kube-nats-action@v1');
}

/** What the runner passes for the step: an expression is something short. */
function environmentOf(step: JsonObject): Environment {
  const inputs = Object.entries(step.with ?? {});
  return Object.fromEntries(
    inputs.map(([name, value]) => [`INPUT_${name.toUpperCase()}`, String(value).replace(/\$\{\{.*?\}\}/g, '1')]),
  );
}

test.each([...EXAMPLES.map((file) => [file, readFileSync(file, 'utf8')]), ['README.md', README_JOB]])(
  'the step in %s is one that the action takes',
  (_file, text) => {
    const steps = stepsIn(load(String(text)) as Json);
    expect(steps).toHaveLength(1);
    for (const step of steps) expect(() => parseInputs(environmentOf(step))).not.toThrow();
  },
);

test('links in the README and the docs lead somewhere', () => {
  const pages = ['README.md', ...readdirSync('docs').map((file) => `docs/${file}`)];
  const links = pages.flatMap((page) =>
    [...readFileSync(page, 'utf8').matchAll(/\]\((?!https?:)([^)#]+)/g)].map(
      ([, target]) => `${page === 'README.md' ? '.' : 'docs'}/${target}`,
    ),
  );
  expect(links.length).toBeGreaterThan(3);
  for (const link of links) expect(() => readFileSync(link)).not.toThrow();
});
