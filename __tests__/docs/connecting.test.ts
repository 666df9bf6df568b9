import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';

const page = readFileSync('docs/connecting.md', 'utf8');
const section = page.slice(page.indexOf('## When credentials rotate'));

/** Each client that the section links to, with the code that it quotes until the next one. */
const quotes = [...section.matchAll(/\]\(\.\.\/(examples\/clients\/[^)]+)\)([\s\S]*?)(?=\n\*\*|$)/g)].flatMap(
  ([, file = '', text = '']) => [...text.matchAll(/```\w+\n([\s\S]*?)```/g)].map(([, code = '']) => ({ file, code })),
);

test('the page quotes every client', () => {
  const clients = readdirSync('examples/clients').sort();
  expect([...new Set(quotes.map(({ file }) => file.split('/')[2]))].sort()).toEqual(clients);
});

test.each(quotes)('the page quotes $file as it is', ({ file, code }) => {
  expect(readFileSync(file, 'utf8')).toContain(code);
});
