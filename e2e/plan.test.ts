import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Ending, Values } from '../simulator/runner.ts';
import { digObjects, type Json } from '../src/json.ts';
import { bindRole, kubeconfigOfAccount, makeRole, removeRoles, untilGranted } from './accounts.ts';
import { bothPlans } from './both-plans.ts';
import { auditWrites, hasAuditLog, kube, kubeconfig, vault } from './cluster.ts';
import { asRoot, tokenWith } from './deployer.ts';
import { emptyNamespace, leaveNamespace, withoutNamespace } from './namespace.ts';
import { rolesFor, vaultRulesFor } from './permissions-page.ts';
import { run } from './runs.ts';
import { paths } from './sandbox/topology.ts';

const namespace = 'e2e-plan';
/** Of the ServiceAccount that plans. */
const accounts = 'e2e-plan-ci';
const account = 'planner';
const name = 'planned';

const applied = { ...asRoot(), namespace, name, create_namespace: 'true', nats_version: '2.14.6' };

/** The inputs of a job that has what docs/permissions.md grants to mode plan, and nothing more. */
let reading: Values;

beforeAll(async () => {
  await cleanUp();
  await Promise.all([withoutNamespace(namespace), emptyNamespace(accounts)]);
  // There is no namespace yet to hold the first Role.
  const [first, ...others] = rolesFor(namespace, 'plan').filter((role) => role.namespace !== 'node-image-cache');
  const roles = others.map((role) =>
    role.namespace === null ? { ...role, rules: [...role.rules, ...(first?.rules ?? [])] } : role,
  );
  await Promise.all(roles.map((role) => makeRole('e2e-plan', role, namespace)));
  const planner = await kubeconfigOfAccount(accounts, account);
  await Promise.all(roles.map((role) => bindRole('e2e-plan', role, `${accounts}/${account}`, namespace)));
  await untilGranted(roles, `${accounts}/${account}`);
  const vault_token = await tokenWith('plan', vaultRulesFor(namespace, name, 'plan'));
  reading = { ...applied, mode: 'plan', kubeconfig: planner, vault_token };
});

afterAll(async () => {
  await cleanUp();
  kube.close();
});

async function cleanUp(): Promise<void> {
  await removeRoles(['vault'], namespace);
  await Promise.all([namespace, accounts].map(leaveNamespace));
  await vault().call('DELETE', 'sys/policies/acl/e2e-plan');
}

/** The objects of a plan: "StatefulSet demo/nats". */
function planned({ outputs }: Ending): string[] {
  const plan: Json = JSON.parse(outputs.plan_json ?? '');
  return digObjects(plan, 'changes')
    .map((change) => `${change.kind} ${change.namespace === undefined ? '' : `${change.namespace}/`}${change.name}`)
    .sort();
}

/** The objects that a run wrote, as its log tells; pods come and go by themselves. */
function written({ log }: Ending): string[] {
  const lines = [...log.matchAll(/^(?:Created|Updated|Deleted) (\S+ [^\s:]+)/gm)].map(([, object = '']) => object);
  return [...new Set(lines)].filter((object) => !object.startsWith('Pod ')).sort();
}

/** Plans by reading and applies as somebody who may; resolves to what both were about. */
async function planAndApply(inputs: Values): Promise<string[]> {
  const plan = await run({ ...reading, ...inputs });
  expect(plan.outputs).toMatchObject({ drift: 'true', changed: 'false' });
  const ending = await run({ ...applied, ...inputs });
  expect(written(ending)).toEqual(planned(plan));
  const after = await run({ ...reading, ...inputs, fail_on_drift: 'true' });
  expect(after.outputs).toMatchObject({ drift: 'false', plan: 'Plan: nothing to change.' });
  return planned(plan);
}

describe('a plan', () => {
  it('by an identity that may only read, before there is a namespace, is what the apply then writes', async () => {
    const since = new Date();
    const objects = await planAndApply({});
    console.log(`a first plan lists ${objects.length} objects`);
    expect(objects).toContain(`Namespace ${namespace}`);
    expect(objects).toContain(`PersistentVolumeClaim ${namespace}/data-${name}-2`);
    if (hasAuditLog())
      expect(await auditWrites(since, { user: `system:serviceaccount:${accounts}:${account}` })).toEqual([]);
  });

  it('is what the apply of a change writes', async () => {
    const objects = await planAndApply({ log_level: 'debug', labels: 'team: a', fsync_interval_seconds: '5' });
    expect(objects).toContain(`ConfigMap ${namespace}/${name}`);
    await planAndApply({});
  });

  it.each<[string, Values]>([
    ['nothing', {}],
    ['the version', { nats_version: '2.12.8' }],
    ['memory', { minimum_memory_mb: '1024' }],
    ['labels', { labels: '{ team: b, tier: "2" }' }],
    ['what is switched off', { network_policy_enabled: 'false', persistence_backups_enabled: 'false' }],
    ['clients', { network_policy_clients: '[{ podSelector: { matchLabels: { app: x } } }]' }],
    ['hosts and zones', { host_anti_affinity: 'preferred', zone_spread: 'off' }],
    ['nodes', { arm_nodes_enabled: 'false', burstable_nodes_enabled: 'true', controller_nodes_enabled: 'true' }],
    ['windows', { voluntary_disruption_window_enabled: 'true' }],
    ['no disruptions', { voluntary_disruptions_enabled: 'false' }],
    ['credentials', { vault_credential_lifetime_hours: '24', vault_token_bound_cidrs: '10.0.0.0/8' }],
    ['images', { nats_image: 'registry.example/nats:1', reloader_image: 'registry.example/reloader:1' }],
    ['more servers', { replicas: '5', reader_access: 'consuming' }],
  ])('names the objects and fields that dry runs do: %s', async (_, inputs) => {
    const { reading: byReading, dryRun } = await bothPlans({ ...applied, ...inputs });
    expect(byReading).toEqual(dryRun);
    expect(byReading.length > 0).toBe(Object.keys(inputs).length > 0);
  });
});

describe('drift', () => {
  const program = kubeconfig === paths.kubeconfig ? paths.kubectl : 'kubectl';
  const kubectl = (...args: string[]) =>
    execFileSync(program, ['--kubeconfig', kubeconfig, '-n', namespace, ...args], { encoding: 'utf8' });

  it('lists what somebody changed by hand, and the apply takes it back', async () => {
    kubectl('patch', 'networkpolicy', name, '--type=merge', '-p', '{"spec":{"ingress":[]}}');
    kubectl('label', 'service', name, '--overwrite', 'app.kubernetes.io/managed-by=me');
    kubectl('label', 'service', `${name}-headless`, 'app.kubernetes.io/name-');
    kubectl('annotate', 'pvc', `data-${name}-0`, '--overwrite', 'resize.topolvm.io/storage_limit=1Ti');
    kubectl('scale', 'statefulset', name, '--replicas=2');
    kubectl('delete', 'poddisruptionbudget', name);
    kubectl('label', 'networkpolicy', name, 'theirs=stays');
    expect(await planAndApply({})).toEqual(
      [
        `NetworkPolicy ${namespace}/${name}`,
        `PersistentVolumeClaim ${namespace}/data-${name}-0`,
        `PodDisruptionBudget ${namespace}/${name}`,
        `Service ${namespace}/${name}`,
        `Service ${namespace}/${name}-headless`,
        `StatefulSet ${namespace}/${name}`,
      ].sort(),
    );
    expect(kubectl('get', 'networkpolicy', name, '--show-labels')).toContain('theirs=stays');
  });

  it('is reported where another manager holds the field, and its own where both do', async () => {
    const theirs = (value: string) =>
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name, namespace, labels: { 'app.kubernetes.io/managed-by': value } },
      });
    const apply = (value: string) =>
      execFileSync(
        program,
        [
          ...['--kubeconfig', kubeconfig, 'apply', '--server-side', '--force-conflicts'],
          ...['--field-manager=argocd-controller', '-f', '-'],
        ],
        { input: theirs(value) },
      );
    apply('kube-nats-action');
    expect((await run({ ...reading, fail_on_drift: 'true' })).outputs.drift).toBe('false');
    apply('argo');
    const { outputs } = await run(reading);
    expect(JSON.parse(outputs.plan_json ?? '').conflicts).toEqual([
      {
        kind: 'Service',
        namespace,
        name,
        manager: 'argocd-controller',
        path: 'metadata.labels.app.kubernetes.io/managed-by',
        from: 'argo',
        to: 'kube-nats-action',
      },
    ]);
  });
});
