import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { parseInputs } from '../src/inputs/parse.ts';
import { documentedSteps, EXAMPLES } from './workflows.ts';

test('the README and each example has a step with the action', () => {
  expect([...new Set(documentedSteps().map(({ file }) => file))]).toEqual(['README.md', ...EXAMPLES]);
});

test.each(documentedSteps())('the step in $file is one that the action takes', ({ environment }) => {
  expect(() => parseInputs(environment)).not.toThrow();
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
