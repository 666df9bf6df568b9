import type { RecordedRequest } from '../../simulator/requests.ts';
import { writesIn } from '../../simulator/requests.ts';
import { type Ending, runMain, runPost, type Step, type Values } from '../../simulator/runner.ts';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../simulator/simulator.ts';
import type { Json } from '../../src/json.ts';

/** One simulated target, and the bundle of dist/ run against it as a runner would. */
export interface World extends Simulator {
  /** What a workflow passes: a named cluster in namespace demo, by a handed-in Vault token. */
  inputs: Values;
  apply(overrides?: Values, environment?: Values): Promise<Ending>;
  /** The same in mode destroy. */
  destroy(overrides?: Values): Promise<Ending>;
  post(main: Ending, overrides?: Values): Promise<Ending>;
  /** Runs the work and tells which writes were sent meanwhile: "PATCH /api/v1/...", without their query. */
  writesDuring(work: () => Promise<unknown>): Promise<string[]>;
  /** Resolves when the step has sent a write there; rejects with its log when it ended without. */
  requestTo(part: string, step: Step): Promise<void>;
  /** Resolves when the step has printed the words; rejects with its log when it ended without. */
  printed(words: string, step: Step): Promise<void>;
  /** A request of an administrator to the simulated API server or Vault, and its answer. */
  kube(method: string, path: string, body?: object, contentType?: string): Promise<Json>;
  vaultRequest(method: string, path: string, body?: object): Promise<Json>;
}

export async function startWorld(options: SimulatorOptions = {}): Promise<World> {
  const simulator = await startSimulator({ namespaces: ['demo'], ...options });
  const inputs = {
    namespace: 'demo',
    name: 'nats',
    kubeconfig: simulator.kubeconfig,
    vault_auth_method: 'token',
    vault_token: simulator.vaultToken,
    timeout: '60',
  };
  return {
    ...simulator,
    inputs,
    apply: (overrides = {}, environment = {}) => runMain({ ...inputs, ...overrides }, environment),
    destroy: (overrides = {}) => runMain({ ...inputs, mode: 'destroy', ...overrides }),
    post: (main, overrides = {}) => runPost({ ...inputs, ...overrides }, main.state),
    async writesDuring(work) {
      const before = simulator.requests.length;
      await work();
      return writesIn(simulator.requests.slice(before)).map(({ method, path }) => `${method} ${path.split('?')[0]}`);
    },
    requestTo: (part, step) => during(step, `a write to ${part}`, () => simulator.requests.some(writesTo(part))),
    printed: (words, step) => during(step, `the words ${words}`, () => step.printed().includes(words)),
    kube: (method, path, body, contentType = 'application/json') =>
      ask(method, `${simulator.kubernetesUrl}${path}`, body, {
        authorization: 'Bearer simulator-token',
        'content-type': contentType,
      }),
    vaultRequest: (method, path, body) =>
      ask(method, `${simulator.vaultUrl}/v1/${path}`, body, { 'x-vault-token': simulator.vaultToken }),
  };
}

/** Resolves when it is so; rejects with the log of a step that ended before. */
export async function during({ ended }: Step, what: string, isSo: () => boolean): Promise<void> {
  let log: string | undefined;
  void ended.then((ending) => {
    log = ending.log;
  });
  while (!isSo()) {
    if (log !== undefined) throw new Error(`The step ended without ${what}:\n${log}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Matches the writes whose path contains the part. */
export function writesTo(part: string): (request: RecordedRequest) => boolean {
  return ({ method, path }) => method !== 'GET' && !path.includes('dryRun') && path.includes(part);
}

async function ask(method: string, url: string, body: object | undefined, headers: Values): Promise<Json> {
  const answer = await fetch(url, { method, headers, body: body === undefined ? null : JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${text}`);
  return text === '' ? null : JSON.parse(text);
}
