import { type Ending, runMain, runPost, type Values } from '../../e2e/action.ts';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../simulator/simulator.ts';
import { writesIn } from '../../simulator/writes.ts';

/** One simulated target, and the bundle of dist/ run against it as a runner would. */
export interface World extends Simulator {
  /** What a workflow passes: a named cluster in namespace demo, by a handed-in Vault token. */
  inputs: Values;
  apply(overrides?: Values, environment?: Values): Promise<Ending>;
  post(main: Ending, overrides?: Values): Promise<Ending>;
  /** Runs the work and tells which writes were sent meanwhile: "PATCH /api/v1/...", without their query. */
  writesDuring(work: () => Promise<unknown>): Promise<string[]>;
  /** A request of an administrator to the simulated API server or Vault. */
  kube(method: string, path: string, body?: object, contentType?: string): Promise<Response>;
  vaultRequest(method: string, path: string, body?: object): Promise<Response>;
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
    post: (main, overrides = {}) => runPost({ ...inputs, ...overrides }, main.state),
    async writesDuring(work) {
      const before = simulator.requests.length;
      await work();
      return writesIn(simulator.requests.slice(before)).map(({ method, path }) => `${method} ${path.split('?')[0]}`);
    },
    kube: (method, path, body, contentType = 'application/json') =>
      fetch(`${simulator.kubernetesUrl}${path}`, {
        method,
        headers: { authorization: 'Bearer simulator-token', 'content-type': contentType },
        body: body === undefined ? null : JSON.stringify(body),
      }),
    vaultRequest: (method, path, body) =>
      fetch(`${simulator.vaultUrl}/v1/${path}`, {
        method,
        headers: { 'x-vault-token': simulator.vaultToken },
        body: body === undefined ? null : JSON.stringify(body),
      }),
  };
}
