import type { Clock } from '../../src/clock.ts';
import { openConnections } from '../../src/connections.ts';
import { PATIENCE } from '../../src/http/patience.ts';
import { parseInputs } from '../../src/inputs/parse.ts';
import { Problem } from '../../src/problem.ts';
import { emptyReport } from '../../src/report/run-report.ts';
import { run } from '../../src/run.ts';
import { revoke } from '../../src/vault/login.ts';
import { recordedLog } from '../fakes/log.ts';
import { environmentWith } from '../inputs/environment-with.ts';
import { Life } from './life.ts';
import type { VirtualTime } from './virtual-time.ts';

/** How a main step ended; 'killed' without a word. */
export type Outcome = { end: 'done' | 'killed' } | { end: 'failed'; error: unknown };

/** A main step and its post step as a runner would start them, but for the process around them. */
export interface Process {
  /** Ends it as SIGKILL does: its connections break off, it sends nothing more, and nothing of it goes on. */
  kill(): void;
  /** Has its machine sleep; to call what it returns wakes that. */
  suspend(): () => void;
  /** Tells it to end, as SIGINT does. */
  cancel(): void;
  /** Whether it has a token of Vault for the post step to revoke. */
  hasToken(): boolean;
  /** How the main step ended; the post step has ended by then. */
  ended: Promise<Outcome>;
}

let started = 0;

/**
 * @param name its user agent, and who it is in the lock
 * @param patience milliseconds, in real time, after which a server that hangs is given up
 */
export function startProcess(
  time: VirtualTime,
  values: { [input: string]: string },
  { name = `run ${++started}`, patience = 3_000 } = {},
): Process {
  const life = new Life();
  const { promise: killed, resolve: tellKilled } = Promise.withResolvers<Outcome>();
  const environment = environmentWith(values);
  const { inputs } = parseInputs(environment);
  const cancellation = new AbortController();
  const cancelled = cancellation.signal;
  const clock = time.clock(life, cancelled);
  const log = recordedLog();
  const open = (clock: Clock, cancelled: AbortSignal) =>
    openConnections(inputs, environment, {
      clock,
      userAgent: name,
      progress: log.info,
      mask: () => {},
      cancelled,
      patience: {
        kubernetes: { ...PATIENCE.kubernetes, request: patience },
        vault: { ...PATIENCE.vault, request: patience },
        pod: patience,
      },
    });
  const connections = open(clock, cancelled);
  let token: string | null = null;

  async function main(): Promise<Outcome> {
    try {
      await run(
        inputs,
        {
          kube: life.livedWith(connections.kube),
          leaving: { kube: life.livedWith(connections.leaving.kube) },
          vault: life.livedWith(connections.vault),
          vaultAccess: connections.vaultAccess,
          clock,
          log,
          redact: (text) => text,
          deployment: { actionVersion: '1.0.0', repository: 'acme/messaging', commit: '4f2f1e7', runUrl: 'run' },
          loginPorts: { idToken: async () => '', readFile: async () => '' },
          onLogin(login) {
            token = login.revocable ? login.token : null;
          },
          setOutputs: () => {},
          holder: name,
        },
        emptyReport(),
      );
      return { end: 'done' };
    } catch (error) {
      return { end: 'failed', error };
    } finally {
      connections.close();
    }
  }

  /** The runner starts the post step after a main step that was killed, too. A token that it cannot revoke expires. */
  async function post(): Promise<void> {
    if (token === null) return;
    const { vault, close } = open(time.clock(new Life()), new AbortController().signal);
    vault.setToken(token);
    await revoke(vault)
      .catch(() => {})
      .finally(close);
  }

  async function whole(): Promise<Outcome> {
    const outcome = await Promise.race([main(), killed]);
    await post();
    return outcome;
  }

  return {
    kill() {
      life.end();
      connections.close();
      tellKilled({ end: 'killed' });
    },
    suspend: () => life.suspend(),
    hasToken: () => token !== null,
    cancel() {
      cancellation.abort(
        new Problem({ kind: 'cancelled', tried: 'Running', reason: 'The run was cancelled.', next: 'Run again.' }),
      );
    },
    ended: whole(),
  };
}
