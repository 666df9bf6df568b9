import { expect, test } from '@jest/globals';
import { renderConf } from '../../src/nats/conf-text.ts';

test('blocks stand apart, settings stand together', () => {
  expect(
    renderConf({ port: 4222, debug: false, tls: { timeout: 5, inner: { on: true } }, trace: true, ping: '20s' }),
  ).toBe(
    `port: 4222
debug: false

tls {
  timeout: 5
  inner {
    on: true
  }
}

trace: true
ping: "20s"
`,
  );
});

test('text is quoted, so that no value is taken for a variable, a number or the end of a line', () => {
  expect(renderConf({ subject: '$JS.API.>', size: '10k', odd: 'a "b"\nc' })).toBe(
    'subject: "$JS.API.>"\nsize: "10k"\nodd: "a \\"b\\"\\nc"\n',
  );
});

test('a variable is left to the server', () => {
  expect(renderConf({ server_name: { $env: 'POD_NAME' } })).toBe('server_name: $POD_NAME\n');
});

test('a list that fits stays on its line, a longer one gets a line for each item', () => {
  const long = ['a'.repeat(60), 'b'.repeat(60)];
  expect(renderConf({ short: ['x', 'y'], users: [{ user: 'u', kinds: ['k'] }], long })).toBe(
    `short: ["x", "y"]
users: [{ user: "u", kinds: ["k"] }]

long: [
  "${long[0]}"
  "${long[1]}"
]
`,
  );
});
