import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Values } from '../simulator/runner.ts';
import { digObjects, digText, type JsonObject } from '../src/json.ts';
import { kube, waitFor } from './cluster.ts';
import { asRoot } from './deployer.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';
import { podsOf } from './observe.ts';
import { expectNoWrite, run } from './runs.ts';
import { type Enforcement, enforceNetworkPolicies } from './sandbox/network-policy.ts';
import { run as runCommand } from './sandbox/process.ts';
import { paths } from './sandbox/topology.ts';

const namespace = 'e2e-network-policy';
const elsewhere = 'e2e-network-policy-clients';

/** Clients, or who claims to be one: pods by namespace and name. */
const shop: Probe = { namespace: elsewhere, name: 'shop' };
const batch: Probe = { namespace: elsewhere, name: 'batch' };
const neighbour: Probe = { namespace, name: 'neighbour' };

interface Probe {
  namespace: string;
  name: string;
}

let inputs: Values;
let outputs: Values;
let enforcement: Enforcement | undefined;

beforeAll(async () => {
  await emptyNamespace(namespace);
  await emptyNamespace(elsewhere);
  for (const probe of [shop, batch, neighbour]) await startProbe(probe);
  inputs = { ...asRoot(), namespace };
  ({ outputs } = await run(inputs));
});

afterAll(async () => {
  await enforcement?.stop();
  await leaveNamespace(namespace);
  await leaveNamespace(elsewhere);
  kube.close();
});

it('a network that enforces nothing lets everybody reach every port', async () => {
  for (const probe of [shop, neighbour]) expect(await reachable(probe)).toEqual([4222, 6222, 8222]);
});

describe('where the network enforces policies', () => {
  beforeAll(async () => {
    enforcement = await enforceNetworkPolicies(kube, namespace);
  });

  it('the ports of the servers among themselves and of the monitoring are closed to all other pods', async () => {
    for (const probe of [shop, batch, neighbour]) expect(await reachable(probe)).toEqual([4222]);
  });

  it('a run restarts the servers one by one, which find each other again, and verifies them', async () => {
    const before = await podsOf(outputs);
    inputs = { ...inputs, fsync_interval_seconds: '30' };
    await run(inputs);
    const after = await podsOf(outputs);
    expect(after.filter(({ uid }) => before.some((pod) => pod.uid === uid))).toEqual([]);
    for (const { name } of after) expect(await peersOf(name)).toHaveLength(2);
    await expectNoWrite(inputs);
    await enforcement?.settled();
    expect(await reachable(shop)).toEqual([4222]);
  });

  it('with network_policy_clients only those reach the client port', async () => {
    const clients = [
      {
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': elsewhere } },
        podSelector: { matchLabels: { app: 'shop' } },
      },
    ];
    inputs = { ...inputs, network_policy_clients: JSON.stringify(clients) };
    await run(inputs);
    await enforcement?.settled();
    expect(await reachable(shop)).toEqual([4222]);
    expect(await reachable(batch)).toEqual([]);
    expect(await reachable(neighbour)).toEqual([]);
    await expectNoWrite(inputs);
  });

  it('with network_policy_enabled false there is no policy, and every port is open', async () => {
    inputs = { ...inputs, network_policy_clients: '', network_policy_enabled: 'false' };
    await run(inputs);
    expect(await kube.list(`/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies`)).toEqual([]);
    await enforcement?.settled();
    for (const probe of [shop, neighbour]) expect(await reachable(probe)).toEqual([4222, 6222, 8222]);
    await expectNoWrite(inputs);
  });
});

async function startProbe({ namespace, name }: Probe): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
  const container = {
    name: 'probe',
    image: 'docker.io/alpine/kubectl:1.34.2',
    command: ['sleep', '3600'],
  };
  await kube.apply(path, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { app: name } },
    spec: { containers: [container], terminationGracePeriodSeconds: 0, automountServiceAccountToken: false },
  });
  const isRunning = async (): Promise<boolean> => digText((await kube.get(path)).status, 'phase') === 'Running';
  await waitFor(isRunning, `pod ${name} runs`, 60_000);
}

/** Runs a command in a pod, which no policy stops. */
function exec({ namespace, name }: Probe, container: string, command: string[]): Promise<string> {
  const pod = ['--kubeconfig', paths.kubeconfig, '--namespace', namespace, 'exec', name, '-c', container];
  return runCommand([paths.kubectl, ...pod, '--', ...command]);
}

/** The servers that a server has routes to. */
async function peersOf(name: string): Promise<string[]> {
  const url = 'http://localhost:8222/routez';
  const report: JsonObject = JSON.parse(await exec({ namespace, name }, 'nats', ['wget', '-qO-', url]));
  return [...new Set(digObjects(report, 'routes').map((route) => digText(route, 'remote_name')))];
}

/** The ports of the servers that a pod can connect to: of all of them or of none. */
async function reachable(probe: Probe): Promise<number[]> {
  const servers = await podsOf(outputs);
  const hosts = servers.map(
    (server) => `${server.name}.${outputs.name}-headless.${outputs.namespace}.svc.cluster.local`,
  );
  expect(hosts).toHaveLength(3);
  const script =
    `for port in 4222 6222 8222; do for host in ${hosts.join(' ')}; do ` +
    'nc -w 10 "$host" "$port" < /dev/null > /dev/null 2>&1 && echo "$port"; done; done; true';
  const printed = await exec(probe, 'probe', ['sh', '-c', script]);
  const open = printed.trim().split('\n').filter(Boolean).map(Number);
  const ports = [...new Set(open)];
  expect(open).toEqual(ports.flatMap((port) => hosts.map(() => port)));
  return ports;
}
