import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type Ending, runMain, type Values } from '../simulator/runner.ts';
import { kubeconfigOfAccount } from './accounts.ts';
import { auditWrites, hasAuditLog, kube } from './cluster.ts';
import { asRoot } from './deployer.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';
import { podsOf } from './observe.ts';

const namespace = 'e2e-turns';
const other = 'e2e-turns-other';
const binding = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/e2e-turns';
const waiting = /Waiting for another run that works on/;

/** Two deployers that may do everything, so that the audit log tells their writes apart. */
const accounts = ['one', 'two'];
const userOf = (account: string): string => `system:serviceaccount:${namespace}:${account}`;

let inputs: Values[];

beforeAll(async () => {
  await Promise.all([emptyNamespace(namespace), emptyNamespace(other)]);
  const kubeconfigs = await Promise.all(accounts.map((account) => kubeconfigOfAccount(namespace, account)));
  await kube.apply(binding, {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'e2e-turns' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: accounts.map((name) => ({ kind: 'ServiceAccount', name, namespace })),
  });
  inputs = kubeconfigs.map((kubeconfig) => ({ ...asRoot(), kubeconfig, namespace, replicas: '1' }));
});

afterAll(async () => {
  await kube.delete(binding);
  await Promise.all([leaveNamespace(namespace), leaveNamespace(other)]);
  kube.close();
});

/** Starts a run of each deployer at once. */
function atOnce(overrides: Values[]): Promise<Ending[]> {
  return Promise.all(inputs.map((own, index) => runMain({ ...own, ...overrides[index] })));
}

it('has two runs on one cluster, started at once, take turns: their writes do not mix', async () => {
  const since = new Date();
  const endings = await atOnce([{ log_level: 'info' }, { log_level: 'debug' }]);
  console.log(
    `two runs at once, from nothing: ${endings.map(({ seconds }) => `${seconds.toFixed(1)} s`).join(' and ')}`,
  );
  for (const ending of endings) expect(ending).toMatchObject({ exitCode: 0, errors: [] });
  expect(endings.filter(({ log }) => waiting.test(log))).toHaveLength(1);
  expect(await podsOf(endings[0]?.outputs ?? {})).toMatchObject([{ ready: true }]);
  if (!hasAuditLog()) return;
  const written = await Promise.all(accounts.map((account) => auditWrites(since, { user: userOf(account) })));
  const writers = written
    .flat()
    .sort((a, b) => a.time.getTime() - b.time.getTime())
    .map(({ user }) => user);
  const turns = writers.filter((user, index) => user !== writers[index - 1]);
  expect(turns).toHaveLength(2);
});

it('has runs on two clusters, started at once, not wait for each other', async () => {
  const endings = await atOnce([{ log_level: 'trace' }, { namespace: other }]);
  for (const ending of endings) {
    expect(ending).toMatchObject({ exitCode: 0, errors: [], outputs: { changed: 'true' } });
    expect(ending.log).not.toMatch(waiting);
  }
});
