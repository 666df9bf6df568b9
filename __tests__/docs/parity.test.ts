import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { INPUT_NAMES, OUTPUTS } from '../../src/inputs/table.ts';
import { stateWith } from '../desired/fixture.ts';

/** A line of one of the page's tables: what it is about, and the tests that prove it. */
interface Row {
  subjects: string[];
  proofs: { file: string; title: string }[];
}

const page = readFileSync('docs/parity.md', 'utf8');

/** The rows of the tables below a heading: each begins with what it is about, as code. */
function rowsOf(heading: string): Row[] {
  const [, section = ''] = page.split(`## ${heading}\n`);
  const [tables = ''] = section.split('\n## ');
  const lines = tables.split('\n').filter((line) => line.startsWith('| `'));
  return lines.map((line) => {
    const cells = line.split(/(?<!\\)\|/).slice(1, -1);
    return { subjects: quoted(cells.at(0)), proofs: proofsIn(cells.at(-1)) };
  });
}

function quoted(cell = ''): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text);
}

/** "[e2e/storage](../e2e/storage.test.ts): the title of a test", one a line. */
function proofsIn(cell = ''): Row['proofs'] {
  return cell
    .split('<br>')
    .map((line) => /\[[^\]]+\]\(\.\.\/([^)]+)\): (.+)$/.exec(line.trim()))
    .map((match) => ({ file: match?.[1] ?? '', title: (match?.[2] ?? '').replaceAll('\\|', '|') }));
}

/** Whether the file has a test or a group of tests of that title. */
function isTitled(file: string, title: string): boolean {
  const literal = title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/'/g, "\\\\?'");
  return new RegExp(`\\(\\s*['"\`]${literal}['"\`]`).test(readFileSync(file, 'utf8'));
}

const TABLES = { Inputs: rowsOf('Inputs'), Outputs: rowsOf('Outputs'), Objects: rowsOf('Objects') };

test('every input has a row, and no row is about another', () => {
  expect(TABLES.Inputs.flatMap(({ subjects }) => subjects).sort()).toEqual([...INPUT_NAMES].sort());
});

test('every output has a row, and no row is about another', () => {
  expect(TABLES.Outputs.flatMap(({ subjects }) => subjects).sort()).toEqual(Object.keys(OUTPUTS).sort());
});

test('every kind of object that a run makes or shares in has a row', () => {
  const everything = stateWith(
    { monitoring_enabled: true, voluntary_disruption_window_enabled: true },
    {
      verticalPodAutoscaler: true,
      claims: [{ name: 'data-nats-1a2b3c4d-0', uid: 'a' }],
      imageCaches: [{ name: 'pinned-images-amd64', uid: 'b' }],
    },
  );
  const made = [...everything.objects, ...everything.shares.map(({ object }) => object)].map(({ kind }) => kind);
  expect(TABLES.Objects.flatMap(({ subjects }) => subjects)).toEqual(expect.arrayContaining([...new Set(made)]));
});

describe.each(Object.entries(TABLES))('%s', (_, rows) => {
  test.each(rows.map((row) => [row.subjects.join(', '), row.proofs] as const))('%s is proven', (_subject, proofs) => {
    for (const { file, title } of proofs) {
      expect({ file, exists: existsSync(file) }).toEqual({ file, exists: true });
      expect({ file, title, found: isTitled(file, title) }).toEqual({ file, title, found: true });
    }
    expect(proofs).not.toEqual([]);
  });
});
