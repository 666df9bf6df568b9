import { randomUUID } from 'node:crypto';
import * as core from '@actions/core';
import { Problem, wordsOf } from '../problem.ts';
import type { Log } from './log.ts';

/** The log of a GitHub runner. */
export const runnerLog: Log = {
  info: (message) => core.info(message),
  group(title, text) {
    const token = randomUUID();
    core.startGroup(title);
    core.info(`::stop-commands::${token}`);
    core.info(text);
    core.info(`::${token}::`);
    core.endGroup();
  },
  notice: (message) => core.notice(message),
  warning: (message) => core.warning(message),
};

/** Has the runner hide secrets in all that is printed from now on; each is told once. */
export function createMask(): (secrets: string[]) => void {
  const masked = new Set<string>();
  return (secrets) => {
    for (const secret of secrets.filter((each) => !masked.has(each))) {
      masked.add(secret);
      core.setSecret(secret);
    }
  };
}

/**
 * Ends the step as failed. A Problem is printed as it is; anything else is a defect, whose stack only shows with step
 * debug logging on.
 */
export function fail(error: unknown): void {
  if (error instanceof Problem) {
    core.setFailed(error.message);
    return;
  }
  const words = wordsOf(error);
  core.debug(error instanceof Error ? (error.stack ?? words) : words);
  core.setFailed(
    `A defect of this action, please report it with the log: ${words}. Running again is safe; ACTIONS_STEP_DEBUG=true shows more.`,
  );
}
