import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { load } from 'js-yaml';
import { parseInputs } from '../src/inputs/parse.ts';
import { digObjects } from '../src/json.ts';
import { documentedSteps, EXAMPLES, environmentOf } from './workflows.ts';

test('the README and each example has a step with the action', () => {
  expect([...new Set(documentedSteps().map(({ file }) => file))]).toEqual(['README.md', ...EXAMPLES]);
});

test.each(documentedSteps())('the step in $file is one that the action takes', ({ environment }) => {
  expect(() => parseInputs(environment)).not.toThrow();
});

test('the steps in docs/life-cycle.md are ones that the action takes', () => {
  const snippets = readFileSync('docs/life-cycle.md', 'utf8').matchAll(/```yaml\n(- uses[\s\S]*?)```/g);
  const steps = [...snippets].flatMap(([, snippet = '']) =>
    digObjects(JSON.parse(JSON.stringify({ steps: load(snippet) })), 'steps'),
  );
  const modes = steps.map((step) => parseInputs(environmentOf(step)).inputs.mode);
  expect(modes).toContain('plan');
});

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
