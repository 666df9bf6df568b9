import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Ending, runMain, startMain, type Values } from '../simulator/runner.ts';
import { dig, digObjects } from '../src/json.ts';
import { PORTS } from '../src/nats/layout.ts';
import { Wire } from './attacks/wire.ts';
import { kube, waitFor } from './cluster.ts';
import { asRoot } from './deployer.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';
import { connectAs, credentials } from './nats.ts';
import { run } from './runs.ts';

const namespace = 'e2e-early-failure';
const inputs: Values = { ...asRoot(), namespace, replicas: '1' };
const storageClass = '/apis/storage.k8s.io/v1/storageclasses/e2e-none';

beforeAll(() => emptyNamespace(namespace));

afterAll(async () => {
  await kube.delete(storageClass);
  await leaveNamespace(namespace);
  kube.close();
});

/** Runs into an error, and prints it with the seconds that it took. */
async function failing(overrides: Values): Promise<Ending> {
  const ending = await runMain({ ...inputs, ...overrides });
  console.log(`${ending.seconds.toFixed(1)} s: ${ending.errors.join('\n')}`);
  expect(ending).toMatchObject({ exitCode: 1, errors: [expect.any(String)] });
  expect(ending.log).not.toMatch(/A defect of this action/);
  return ending;
}

describe('a quota', () => {
  const quota = `/api/v1/namespaces/${namespace}/resourcequotas/none`;

  async function allow(resource: string): Promise<void> {
    const metadata = { name: 'none', namespace };
    await kube.apply(quota, { apiVersion: 'v1', kind: 'ResourceQuota', metadata, spec: { hard: { [resource]: '0' } } });
    const isCounted = async () => dig((await kube.get(quota)).status, 'hard', resource) !== undefined;
    await waitFor(isCounted, 'the quota counts', 30_000);
  }

  it('that takes no StatefulSet ends the run at once', async () => {
    await allow('count/statefulsets.apps');
    const { errors } = await failing({});
    expect(errors[0]).toMatch(/StatefulSet .*exceeded quota: none.*A rule of the cluster/s);
    await kube.delete(quota);
  });

  it('that takes no pod ends the run in the words of the API server', async () => {
    await allow('pods');
    const { errors } = await failing({});
    expect(errors[0]).toMatch(/^Making the pods of StatefulSet .*exceeded quota: none.*A rule of the cluster/s);
    await kube.delete(quota);
  });
});

describe('a StorageClass whose provisioner is not there', () => {
  it('is told within the first minute, while the run still waits', async () => {
    await emptyNamespace(namespace);
    await kube.apply(storageClass, {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: 'e2e-none' },
      provisioner: 'example.com/none',
      volumeBindingMode: 'Immediate',
    });
    const step = startMain({ ...inputs, persistence_storage_class_name: 'e2e-none' });
    await waitFor(async () => step.printed().includes('::warning::'), 'a warning', 90_000);
    step.process.kill('SIGINT');
    const { log } = await step.ended;
    const [warning] = /^::warning::.*$/m.exec(log) ?? [];
    console.log(warning);
    expect(warning).toMatch(/not scheduled: .*claim data-.*example\.com\/none.*See that the StorageClass exists/);
  });
});

describe('a server with too little memory', () => {
  it('is told of with what would hold, when it runs again', async () => {
    await emptyNamespace(namespace);
    const { outputs } = await run(inputs);
    await killByMessages(outputs);
    const { log } = await run(inputs);
    const [warning] = /^::warning::Killed.*$/m.exec(log) ?? [];
    console.log(warning);
    expect(warning).toMatch(/at the memory limit: nats-.*-0 at .*Z\. Set the input minimum_memory_mb to 256 or more/);
  });

  /** Has the server keep large messages for clients that do not read, until the kernel has killed it. */
  async function killByMessages(outputs: Values): Promise<void> {
    const publisher = await connectAs('admin', outputs);
    const readers = await Promise.all(Array.from({ length: 8 }, () => subscriber(outputs)));
    const publish = async () => {
      publisher.publish('big', new Uint8Array(7 * 1024 * 1024));
      return wasKilled();
    };
    try {
      await waitFor(publish, 'the kernel kills the server', 60_000);
    } finally {
      for (const reader of readers) reader.close();
      await publisher.close();
    }
  }

  /** One that subscribes and reads nothing from then on. */
  async function subscriber({ nats_url = '', namespace = '', admin_creds_secret = '' }: Values): Promise<Wire> {
    const wire = await Wire.secure(
      new URL(nats_url).hostname,
      PORTS.client,
      await credentials(namespace, admin_creds_secret),
    );
    wire.send('CONNECT {"verbose":false,"tls_required":true}\r\nSUB big 1\r\nPING\r\n');
    await wire.until(/PONG/);
    wire.pause();
    return wire;
  }

  async function wasKilled(): Promise<boolean> {
    const pods = await kube.list(`/api/v1/namespaces/${namespace}/pods`);
    const containers = pods.flatMap((pod) => digObjects(pod.status, 'containerStatuses'));
    return containers.some((container) => Number(dig(container, 'restartCount') ?? 0) > 0);
  }
});
