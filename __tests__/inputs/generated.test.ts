import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { load } from 'js-yaml';
import { actionYml, PAGES, withBlocks } from '../../build/generate.ts';
import { parseInputs } from '../../src/inputs/parse.ts';
import { INPUT_NAMES, OUTPUTS } from '../../src/inputs/table.ts';
import { environmentWith } from './environment-with.ts';
import { inputsWith } from './inputs-with.ts';

interface Action {
  inputs: { [name: string]: { description: string; required: boolean; default?: string } };
  outputs: { [name: string]: { description: string } };
  runs: { [key: string]: string };
}

const action = load(actionYml()) as Action;

describe('generated files', () => {
  test('action.yml is what the generator makes', () => {
    expect(readFileSync('action.yml', 'utf8')).toBe(actionYml());
  });

  test.each(Object.keys(PAGES))('what stands between the markers of %s is what the generator makes', (page) => {
    const text = readFileSync(page, 'utf8');
    expect(text).toBe(withBlocks(page, text));
  });

  test('a page without a marker is an error that names it', () => {
    expect(() => withBlocks('README.md', '<!-- inputs:start --><!-- inputs:end -->')).toThrow(
      'README.md has no <!-- outputs:start -->',
    );
  });

  test('text around the tables stays', () => {
    const blocks = ['inputs', 'outputs'].map((name) => `<!-- ${name}:start -->stale<!-- ${name}:end -->`);
    const updated = withBlocks('README.md', `above ${blocks.join(' between ')} below`);
    expect(updated).toMatch(/^above .* between .* below$/s);
    expect(updated).not.toContain('stale');
  });
});

describe('action.yml', () => {
  test('has every input and output of the table', () => {
    expect(Object.keys(action.inputs)).toEqual(INPUT_NAMES);
    expect(Object.keys(action.outputs)).toEqual(Object.keys(OUTPUTS));
  });

  test('its defaults are strings that mean the defaults of the table', () => {
    const defaults = Object.entries(action.inputs).map(([name, input]) => [name, input.default ?? 'demo']);
    for (const [, text] of defaults) expect(typeof text).toBe('string');
    expect(parseInputs(environmentWith({ ...Object.fromEntries(defaults), vault_role: 'deployer' })).inputs).toEqual(
      inputsWith(),
    );
  });

  test('only the namespace is required', () => {
    expect(INPUT_NAMES.filter((name) => action.inputs[name]?.required)).toEqual(['namespace']);
  });

  test('runs the bundles, the post step always', () => {
    expect(action.runs).toEqual({
      using: 'node24',
      main: 'dist/main.cjs',
      post: 'dist/post.cjs',
      'post-if': 'always()',
    });
  });
});
