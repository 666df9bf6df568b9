import * as core from '@actions/core';
import packageJson from '../package.json' with { type: 'json' };
import { systemClock } from './clock.ts';
import { openConnections } from './connections.ts';
import { parseInputs } from './inputs/parse.ts';
import { secretsOf } from './inputs/secrets.ts';
import { VAULT_TOKEN_STATE } from './state.ts';
import { revoke } from './vault/login.ts';

/** Revokes the Vault token of the main step. A token that cannot be revoked expires: a warning, never a failed job. */
async function post(): Promise<void> {
  const token = core.getState(VAULT_TOKEN_STATE);
  if (token === '') return;
  core.setSecret(token);
  for (const secret of secretsOf(process.env)) core.setSecret(secret);
  try {
    await revokeToken(token);
    core.info('Revoked the Vault token of this run.');
  } catch (error) {
    core.warning(
      `The Vault token of this run lives until it expires. ${error instanceof Error ? error.message : error}`,
    );
  }
}

async function revokeToken(token: string): Promise<void> {
  const { inputs } = parseInputs(process.env);
  const clock = systemClock(new AbortController().signal);
  const userAgent = `${packageJson.name}/${packageJson.version}`;
  const { vault, close } = openConnections(inputs, process.env, clock, userAgent, (message) => core.info(message));
  try {
    vault.setToken(token);
    await revoke(vault);
  } finally {
    close();
  }
}

// An exec plugin that was given up must not hold the job: the timer only fires where something is left running.
void post().finally(() => setTimeout(() => process.exit(), 2_000).unref());
