import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';

interface Locked {
  optionalDependencies?: { [name: string]: string };
  resolved?: string;
}

const packages: { [where: string]: Locked } = JSON.parse(readFileSync('package-lock.json', 'utf8')).packages;

/** npm leaves out what the registry at hand does not offer; `npm ci` then fails, here or on another platform. */
test('the lock file holds the binaries of every platform', () => {
  const missing = Object.entries(packages).flatMap(([where, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => !(`node_modules/${name}` in packages) && !(`${where}/node_modules/${name}` in packages),
    ),
  );
  expect(missing).toEqual([]);
});

test('the lock file ties nobody to one registry', () => {
  expect(Object.values(packages).filter(({ resolved }) => resolved !== undefined)).toEqual([]);
});
