import { spawn } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { leaksIn, type Places, shownOf } from '../../simulator/leaks.ts';
import { sightsOf, watchProcesses } from '../../simulator/processes.ts';
import type { Ending } from '../../simulator/runner.ts';

const PLANTED = 'planted-3f9c1e7ab2d84650';

describe('the check finds', () => {
  const value = `${PLANTED}"+/ä`;
  const secret = [{ name: 'it', value }];
  const ways: { [form: string]: (text: string) => string } = {
    plain: (text) => text,
    'plain, a part': (text) => text.slice(3, 25),
    base64: (text) => Buffer.from(text).toString('base64'),
    'base64 behind something': (text) => Buffer.from(`administrator:${text}:`).toString('base64'),
    base64url: (text) => Buffer.from(`a${text}`).toString('base64url'),
    hex: (text) => Buffer.from(text).toString('hex'),
    'URL-encoded': encodeURIComponent,
    JSON: (text) => JSON.stringify({ text }),
  };
  const ending: Ending = {
    ...{ exitCode: 0, log: '', printed: '', errors: [], outputs: {}, state: {}, summary: '', seconds: 0 },
  };
  const plants: { [place: string]: (text: string) => Places } = {
    'the log': (text) => shownOf({ ...ending, printed: `one\n::debug::${text}\n` }, ending, 'unmasked'),
    'the log, before its mask': (text) => {
      const printed = `${text}\n::add-mask::${value}\n${text}\n`;
      return shownOf({ ...ending, printed }, ending, 'masked');
    },
    'the log of the post step': (text) => shownOf(ending, { ...ending, printed: text }, 'unmasked'),
    'the summary': (text) => shownOf({ ...ending, summary: text }, ending, 'masked'),
    'an output': (text) => shownOf({ ...ending, outputs: { url: text } }, ending, 'masked'),
    'a state': (text) => shownOf({ ...ending, state: { other: text } }, ending, 'masked'),
    'a command line': (text) => sightsOf({ commandLines: new Set([`sh\0-c\0${text}`]), environments: new Set() }),
    'an environment': (text) =>
      sightsOf({ commandLines: new Set(), environments: new Set([`A=1\0INPUT_VAULT_TOKEN=${text}\0`]) }),
  };

  test.each(Object.keys(plants).flatMap((place) => Object.keys(ways).map((form) => [place, form])))(
    'a secret in %s (%s)',
    (place, form) => {
      const planted = plants[place]?.(ways[form]?.(value) ?? '') ?? {};
      expect(leaksIn(secret, planted)).not.toEqual([]);
    },
  );

  test('nothing where there is nothing, or where the runner masks it', () => {
    const printed = `one\n::add-mask::${value}\n::debug::two ${value}\n`;
    expect(leaksIn(secret, shownOf({ ...ending, printed }, ending, 'masked'))).toEqual([]);
  });
});

test('a secret on the command line and in the environment of a process below the watched one is found', async () => {
  const script = `SECRET=${PLANTED} sh -c 'sleep 30; true'; true`;
  const child = spawn('sh', ['-c', script], { stdio: 'ignore', detached: true });
  const sight = watchProcesses(child.pid ?? 0);
  while (![...sight.environments].some((environment) => environment.includes(PLANTED))) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  sight.stop();
  process.kill(-(child.pid ?? 0));
  const places = sightsOf(sight);
  const secret = [{ name: 'it', value: PLANTED }];
  expect(leaksIn(secret, places)).toEqual(['it in command lines (plain)', 'it in environments of children (plain)']);
  expect(leaksIn(secret, sightsOf(sight, /^SECRET=/))).toEqual(['it in command lines (plain)']);
});
