import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import * as core from '@actions/core';
import { context } from '@actions/github';
import packageJson from '../package.json' with { type: 'json' };
import { systemClock } from './clock.ts';
import { openConnections } from './connections.ts';
import { parseInputs } from './inputs/parse.ts';
import { secretsOf } from './inputs/secrets.ts';
import { Problem } from './problem.ts';
import type { Deployment } from './reconcile/inventory.ts';
import { emptyReport, type RunReport } from './report/run-report.ts';
import { fail, runnerLog } from './report/runner-log.ts';
import { renderSummary } from './report/summary.ts';
import { run } from './run.ts';
import { VAULT_TOKEN_STATE } from './state.ts';
import type { VaultLogin } from './vault/login.ts';

async function main(): Promise<void> {
  const report = emptyReport();
  let failure: unknown = null;
  try {
    await runForReal(report);
  } catch (error) {
    failure = error;
    fail(error);
  }
  await writeSummary(renderSummary(report, failure));
}

async function runForReal(report: RunReport): Promise<void> {
  mask(secretsOf(process.env));
  const { inputs } = parseInputs(process.env);
  const clock = systemClock(cancellation());
  const deployment = deploymentOf(process.env);
  const userAgent = `${packageJson.name}/${packageJson.version}`;
  const connections = openConnections(inputs, process.env, clock, userAgent, (message) => core.info(message));
  mask(connections.secrets);
  try {
    await run(
      inputs,
      {
        ...connections,
        clock,
        deployment,
        log: runnerLog,
        loginPorts: { idToken: (audience) => core.getIDToken(audience), readFile: (file) => readFile(file, 'utf8') },
        onLogin: keepForPost,
        setOutputs(outputs) {
          Object.assign(report.outputs, outputs);
          for (const [name, value] of Object.entries(outputs)) core.setOutput(name, value);
        },
        holder: `${deployment.runUrl || 'a run outside GitHub'} (${randomUUID().slice(0, 8)})`,
      },
      report,
    );
  } finally {
    connections.close();
  }
}

function mask(secrets: string[]): void {
  for (const secret of secrets) core.setSecret(secret);
}

/** The post step revokes what this run minted; a token that was handed in belongs to somebody else. */
function keepForPost({ token, revocable }: VaultLogin): void {
  core.setSecret(token);
  if (revocable) core.saveState(VAULT_TOKEN_STATE, token);
}

/** Aborted when the workflow is cancelled: every wait of the run then ends at once. */
function cancellation(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
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

function deploymentOf(env: NodeJS.ProcessEnv): Deployment {
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
    core.warning(`The job summary could not be written: ${error instanceof Error ? error.message : error}`);
  }
}

// An exec plugin that was given up must not hold the job: the timer only fires where something is left running.
void main().finally(() => setTimeout(() => process.exit(), 2_000).unref());
