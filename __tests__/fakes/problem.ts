import { Problem } from '../../src/problem.ts';

/** The Problem that a call ends with; any other end fails the test. */
export async function problemOf(call: Promise<unknown> | (() => unknown)): Promise<Problem> {
  let outcome: unknown = new Error('it succeeded');
  try {
    await (typeof call === 'function' ? call() : call);
  } catch (error) {
    outcome = error;
  }
  if (!(outcome instanceof Problem)) throw outcome;
  return outcome;
}
