import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import * as core from '@actions/core';
import { context } from '@actions/github';
import packageJson from '../package.json' with { type: 'json' };
import { systemClock } from './clock.ts';
import { type Connections, openConnections } from './connections.ts';
import { type Environment, takeInputs } from './inputs/environment.ts';
import { parseInputs } from './inputs/parse.ts';
import { masks, secretsOf } from './inputs/secrets.ts';
import { Problem, wordsOf } from './problem.ts';
import type { Deployment } from './reconcile/inventory.ts';
import { redacted } from './redact.ts';
import { emptyReport, type RunReport } from './report/run-report.ts';
import { createMask, fail, runnerLog } from './report/runner-log.ts';
import { renderSummary } from './report/summary.ts';
import { run } from './run.ts';
import { VAULT_TOKEN_STATE } from './state.ts';
import { revoke } from './vault/login.ts';

/** Milliseconds after a cancellation in which a run ends by itself; what holds it longer is given up. */
const LAST_MOMENTS = 3_500;

async function main(cancelled: AbortSignal): Promise<void> {
  const report = emptyReport();
  let failure: unknown = null;
  try {
    await runForReal(report, cancelled);
  } catch (error) {
    failure = error;
    fail(error);
    if (report.unwritten.length > 0) core.info(`Not written, or not confirmed: ${report.unwritten.join(', ')}`);
  }
  await writeSummary(renderSummary(report, failure));
}

async function runForReal(report: RunReport, cancelled: AbortSignal): Promise<void> {
  const env = takeInputs(process.env);
  const secrets: string[] = [];
  const hide = createMask();
  const mask = (found: string[]) => {
    secrets.push(...found);
    hide(found);
  };
  mask(secretsOf(env));
  const { inputs } = parseInputs(env);
  const clock = systemClock(cancelled);
  const deployment = deploymentOf(env);
  const userAgent = `${packageJson.name}/${packageJson.version}`;
  const connections = openConnections(inputs, env, {
    clock,
    userAgent,
    progress: (message) => core.info(message),
    mask,
    cancelled,
  });
  let token: string | null = null;
  try {
    const work = run(
      inputs,
      {
        ...connections,
        clock,
        deployment,
        log: runnerLog,
        redact: (text) => redacted(text, secrets),
        loginPorts: {
          idToken: (audience) => core.getIDToken(audience),
          async readFile(file) {
            const token = await readFile(file, 'utf8');
            mask(masks([token]));
            return token;
          },
        },
        onLogin(login) {
          mask([login.token]);
          // The post step revokes what this run minted; a token that was handed in belongs to somebody else.
          if (!login.revocable) return;
          core.saveState(VAULT_TOKEN_STATE, login.token);
          token = login.token;
        },
        setOutputs(outputs) {
          Object.assign(report.outputs, outputs);
          for (const [name, value] of Object.entries(outputs)) core.setOutput(name, value);
        },
        holder: `${deployment.runUrl || 'a run outside GitHub'} (${randomUUID().slice(0, 8)})`,
      },
      report,
    );
    await Promise.race([work, lastMomentsOver(cancelled)]);
  } finally {
    if (cancelled.aborted && token !== null) await revokeAtOnce(connections, token);
    connections.close();
  }
}

function lastMomentsOver(cancelled: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const end = () => setTimeout(() => reject(cancelled.reason), LAST_MOMENTS).unref();
    cancelled.addEventListener('abort', end, { once: true });
  });
}

/** The runner may end a cancelled job before its post step comes; that one has nothing to do then. */
async function revokeAtOnce({ leaving: { vault } }: Connections, token: string): Promise<void> {
  try {
    vault.setToken(token);
    await revoke(vault);
    core.saveState(VAULT_TOKEN_STATE, '');
    core.info('Revoked the Vault token of this run.');
  } catch {
    core.info('The Vault token of this run is left to the post step to revoke.');
  }
}

/**
 * Aborted when the workflow is cancelled: every wait of the run then ends at once. A runner sends SIGINT, SIGTERM 7.5 s later
 * and SIGKILL after another 2.5 s: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-cancellation
 */
function cancellation(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) {
        core.setFailed(`Ended at once by a second signal (${signal}): the lock may be held for another minute.`);
        process.exit();
      }
      core.info(`Cancelled (${signal}): ending within seconds. A second signal ends the run at once.`);
      controller.abort(
        new Problem({
          kind: 'cancelled',
          tried: 'Running',
          reason: `The run was cancelled (${signal}).`,
          next: 'What was done so far stays; the next run completes it.',
        }),
      );
    });
  }
  return controller.signal;
}

function deploymentOf(env: Environment): Deployment {
  const repository = env.GITHUB_REPOSITORY ?? '';
  return {
    actionVersion: packageJson.version,
    repository,
    commit: context.sha ?? '',
    runUrl: repository === '' ? '' : `${context.serverUrl}/${repository}/actions/runs/${context.runId}`,
  };
}

/** Outside a runner there is no place for a summary, or one that cannot be written; that is no reason to fail. */
async function writeSummary(markdown: string): Promise<void> {
  if ((process.env.GITHUB_STEP_SUMMARY ?? '') === '') return;
  try {
    await core.summary.addRaw(markdown, true).write();
  } catch (error) {
    core.warning(`The job summary could not be written: ${wordsOf(error)}`);
  }
}

// An exec plugin that was given up must not hold the job: the timer only fires where something is left running.
const cancelled = cancellation();
void main(cancelled).finally(() => setTimeout(() => process.exit(), cancelled.aborted ? 0 : 2_000).unref());
