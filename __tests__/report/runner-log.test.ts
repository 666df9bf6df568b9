import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { Problem } from '../../src/problem.ts';
import { fail, runnerLog } from '../../src/report/runner-log.ts';

let printed: string;
let exitCode: typeof process.exitCode;
beforeEach(() => {
  printed = '';
  exitCode = process.exitCode;
  jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += text;
    return true;
  });
});
afterEach(() => {
  process.exitCode = exitCode ?? 0;
  jest.restoreAllMocks();
});

test('notices and warnings become annotations', () => {
  runnerLog.info('one');
  runnerLog.notice('two');
  runnerLog.warning('three');
  expect(printed).toBe('one\n::notice::two\n::warning::three\n');
});

test('a Problem is printed as it is, without a stack, and fails the step', () => {
  fail(new Problem({ kind: 'target', tried: 'A', reason: 'B.', findings: ['one', 'two'], next: 'C.' }));
  expect(printed).toBe('::error::A: B.%0A  - one%0A  - two%0AC.\n');
  expect(process.exitCode).toBe(1);
});

test.each([
  [new TypeError('x is undefined'), 'x is undefined'],
  ['a string', 'a string'],
])('anything else is a defect (%s), whose stack only shows in the debug log', (error, words) => {
  fail(error);
  const [debug, message] = printed.split('\n');
  expect(debug).toMatch(/^::debug::/);
  expect(message).toBe(
    `::error::A defect of this action, please report it with the log: ${words}. Running again is safe; ACTIONS_STEP_DEBUG=true shows more.`,
  );
  expect(process.exitCode).toBe(1);
});
