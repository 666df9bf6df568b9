import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import * as core from '@actions/core';
import { context } from '@actions/github';
import packageJson from '../package.json' with { type: 'json' };
import { systemClock } from './clock.ts';
import { openConnections } from './connections.ts';
import { type Environment, takeInputs } from './inputs/environment.ts';
import { parseInputs } from './inputs/parse.ts';
import { masks, secretsOf } from './inputs/secrets.ts';
import { Problem } from './problem.ts';
import type { Deployment } from './reconcile/inventory.ts';
import { emptyReport, type RunReport } from './report/run-report.ts';
import { createMask, fail, runnerLog } from './report/runner-log.ts';
import { renderSummary } from './report/summary.ts';
import { run } from './run.ts';
import { VAULT_TOKEN_STATE } from './state.ts';

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
  const env = takeInputs(process.env);
  const mask = createMask();
  mask(secretsOf(env));
  const { inputs } = parseInputs(env);
  const clock = systemClock(cancellation());
  const deployment = deploymentOf(env);
  const userAgent = `${packageJson.name}/${packageJson.version}`;
  const connections = openConnections(inputs, env, clock, userAgent, (message) => core.info(message), mask);
  try {
    await run(
      inputs,
      {
        ...connections,
        clock,
        deployment,
        log: runnerLog,
        loginPorts: {
          idToken: (audience) => core.getIDToken(audience),
          async readFile(file) {
            const token = await readFile(file, 'utf8');
            mask(masks([token]));
            return token;
          },
        },
        onLogin({ token, revocable }) {
          mask([token]);
          // The post step revokes what this run minted; a token that was handed in belongs to somebody else.
          if (revocable) core.saveState(VAULT_TOKEN_STATE, token);
        },
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
    core.warning(`The job summary could not be written: ${error instanceof Error ? error.message : error}`);
  }
}

// An exec plugin that was given up must not hold the job: the timer only fires where something is left running.
void main().finally(() => setTimeout(() => process.exit(), 2_000).unref());
