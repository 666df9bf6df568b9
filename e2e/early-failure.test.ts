import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Ending, runMain, startMain, type Values } from '../simulator/runner.ts';
import { dig } from '../src/json.ts';
import { kube, waitFor } from './cluster.ts';
import { asRoot } from './deployer.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';

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
