import * as core from '@actions/core';
import packageJson from '../package.json' with { type: 'json' };
import { systemClock } from './clock.ts';
import { openConnections } from './connections.ts';
import { type Environment, takeInputs } from './inputs/environment.ts';
import { parseInputs } from './inputs/parse.ts';
import { secretsOf } from './inputs/secrets.ts';
import { wordsOf } from './problem.ts';
import { createMask } from './report/runner-log.ts';
import { VAULT_TOKEN_STATE } from './state.ts';
import { revoke } from './vault/login.ts';

/** Revokes the Vault token of the main step. A token that cannot be revoked expires: a warning, never a failed job. */
async function post(): Promise<void> {
  const token = core.getState(VAULT_TOKEN_STATE);
  if (token === '') return;
  const env = takeInputs(process.env);
  const mask = createMask();
  mask([token, ...secretsOf(env)]);
  try {
    await revokeToken(token, env, mask);
    core.info('Revoked the Vault token of this run.');
  } catch (error) {
    core.warning(`The Vault token of this run lives until it expires. ${wordsOf(error)}`);
  }
}

async function revokeToken(token: string, env: Environment, mask: (secrets: string[]) => void): Promise<void> {
  const { inputs } = parseInputs(env);
  const clock = systemClock(new AbortController().signal);
  const userAgent = `${packageJson.name}/${packageJson.version}`;
  const { vault, close } = openConnections(inputs, env, {
    clock,
    userAgent,
    progress: (message) => core.info(message),
    mask,
  });
  try {
    vault.setToken(token);
    await revoke(vault);
  } finally {
    close();
  }
}

// An exec plugin that was given up must not hold the job: the timer only fires where something is left running.
void post().finally(() => setTimeout(() => process.exit(), 2_000).unref());
