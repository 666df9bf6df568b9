import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Ending, runMain, type Values } from '../simulator/runner.ts';
import { bindRole, kubeconfigOfAccount, makeRole, removeRoles, untilGranted } from './accounts.ts';
import { auditWrites, hasAuditLog, kube, vault } from './cluster.ts';
import { tokenWith } from './deployer.ts';
import { installImageCache, removeImageCache } from './image-cache.ts';
import { emptyNamespace, leaveNamespace, withoutNamespace } from './namespace.ts';
import { podsOf } from './observe.ts';
import {
  lineOf,
  type Role,
  type Rule,
  rolesFor,
  type VaultRule,
  vaultLineOf,
  vaultRulesFor,
} from './permissions-page.ts';
import { expectNoWrite, run } from './runs.ts';
import { installCrds, removeCrds } from './stack-crds.ts';

/** Where a cluster comes up, where none ever does, and which a run makes itself. */
const namespace = 'e2e-permissions';
const empty = 'e2e-permissions-empty';
const created = 'e2e-permissions-new';
/** Of the ServiceAccounts that deploy. */
const accounts = 'e2e-permissions-ci';
/** The cluster's name, and how those of Roles, policies and accounts begin. */
const name = 'least';

/** Runs side by side. */
const WIDTH = 4;

/** The features of what stack-crds.ts and image-cache.ts install; the rest of the Roles every run needs. */
const features = { monitoring_enabled: 'true', voluntary_disruption_window_enabled: 'true' };
const noFeatures = { vpa_enabled: 'false', node_image_cached_enabled: 'false' };

/** Of a server that starts fast. */
const server = { nats_version: '2.14.6', timeout: '150' };

beforeAll(async () => {
  await cleanUp();
  await Promise.all([emptyNamespace(namespace), emptyNamespace(empty), emptyNamespace(accounts)]);
  await installCrds('vpa');
  await installCrds('monitoring');
  await installImageCache({ k0000theirs: 'registry.example.com/theirs:1' });
});

afterAll(async () => {
  await cleanUp();
  kube.close();
});

async function cleanUp(): Promise<void> {
  await removeRoles([namespace, empty, 'vault']);
  await Promise.all([namespace, empty, created, accounts].map(leaveNamespace));
  await withoutNamespace(created);
  await removeImageCache();
  await removeCrds('monitoring');
  await removeCrds('vpa');
  const { data } = await vault().call('GET', 'sys/policies/acl?list=true');
  const policies = typeof data === 'object' && data !== null && 'keys' in data ? data.keys : [];
  for (const policy of Array.isArray(policies) ? policies.map(String) : []) {
    if (policy.startsWith('e2e-least')) await vault().call('DELETE', `sys/policies/acl/${policy}`);
  }
}

/** A kubeconfig of the ServiceAccount `account`, which has these Roles by that name and nothing else. */
async function deployer(account: string, roles: { name: string; role: Role }[]): Promise<string> {
  const text = await kubeconfigOfAccount(accounts, account);
  await Promise.all(roles.map(({ name, role }) => bindRole(name, role, `${accounts}/${account}`)));
  return text;
}

/** Inputs of a job with the Roles and the Vault policy of docs/permissions.md, all of them and nothing else. */
async function documented(
  target: string,
  account: string,
  roles: Role[],
  { cluster = name, mode = 'apply' as 'apply' | 'destroy' } = {},
): Promise<Values> {
  await Promise.all(roles.map((role) => makeRole(account, role)));
  const kubeconfig = await deployer(
    account,
    roles.map((role) => ({ name: account, role })),
  );
  await untilGranted(roles, `${accounts}/${account}`);
  const vault_token = await tokenWith(account, vaultRulesFor(target, cluster, mode));
  return { ...server, name: cluster, kubeconfig, vault_auth_method: 'token', vault_token, namespace: target };
}

/** Of the cluster with every feature. */
let inputs: Values;

describe('the Roles and the policy of docs/permissions.md, and nothing more,', () => {
  it('bring up a cluster with every feature, and find nothing to change', async () => {
    inputs = { ...(await documented(namespace, 'least', rolesFor(namespace))), ...features };
    const ending = await run(inputs);
    for (const kind of ['VerticalPodAutoscaler', 'PodMonitor', 'PrometheusRule', 'CronJob']) {
      expect(ending.summary).toContain(`${kind} ${namespace}/`);
    }
    expect(ending.summary).toContain('ConfigMap node-image-cache/');
    await expectNoWrite(inputs);
  });

  it('change it by a reload', async () => {
    const { outputs } = await run({ ...inputs, log_level: 'debug' });
    expect(outputs.changed).toBe('true');
  });

  it('change it by a restart, and remove what is switched off', async () => {
    const restarted = { ...inputs, monitoring_enabled: 'false', voluntary_disruption_window_enabled: 'false' };
    const ending = await run({ ...restarted, ...noFeatures, log_level: 'debug', fsync_interval_seconds: '5' });
    expect(ending.log).toMatch(/^Deleted (CronJob|VerticalPodAutoscaler|PodMonitor) /m);
    expect((await podsOf(ending.outputs)).map(({ ready }) => ready)).toEqual([true, true, true]);
  });

  it('make the namespace, where the rules of the first Role are in a ClusterRole', async () => {
    const [first, ...others] = rolesFor(created);
    const wide = { namespace: null, rules: first?.rules ?? [] };
    const roles = others.map((role) =>
      role.namespace === null ? { ...wide, rules: [...wide.rules, ...role.rules] } : role,
    );
    const made = await documented(created, 'least-new', roles, { cluster: 'least-new' });
    const ending = await run({ ...made, ...noFeatures, create_namespace: 'true', replicas: '1' });
    expect(ending.summary).toContain(`Namespace ${created}`);
  });
});

describe('those of mode destroy alone', () => {
  it('remove a cluster with every feature, its data and its namespace, and find nothing to remove then', async () => {
    await run({ ...inputs, ...features });
    const roles = rolesFor(namespace, 'destroy');
    const documentedInputs = await documented(namespace, 'least-destroy', roles, { mode: 'destroy' });
    const removal = { ...documentedInputs, mode: 'destroy', delete_data: 'true', delete_namespace: 'true' };
    const ending = await run(removal);
    for (const kind of ['VerticalPodAutoscaler', 'PodMonitor', 'CronJob', 'PersistentVolumeClaim']) {
      expect(ending.log).toContain(`Deleted ${kind} ${namespace}/`);
    }
    expect((await kube.send({ method: 'GET', path: `/api/v1/namespaces/${namespace}` })).status).toBe(404);
    // Its Role in the namespace is gone with that.
    expect((await run(removal)).outputs.changed).toBe('false');
  });
});

/** A permission that is taken away, and what has to be said then. */
interface Lack {
  title: string;
  line: string;
  inputs: Values;
  /** Who lacks it, as the error calls him. */
  who: string;
}

/** The work for each item, some at a time. */
async function some<Item, Result>(items: Item[], work: (item: Item, index: number) => Promise<Result>) {
  const results: Result[] = [];
  const queue = [...items.entries()];
  const worker = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      results[next[0]] = await work(next[1], next[0]);
    }
  };
  await Promise.all(Array.from({ length: WIDTH }, worker));
  return results;
}

describe('without a single one of them a run ends with the rule to add, before anything is written:', () => {
  /** Inputs that need every rule. */
  const everything = { ...server, name, ...features, create_namespace: 'true', certificate_issuer: 'internal' };
  const roles = rolesFor(empty);
  const vaultRules = vaultRulesFor(empty, name);

  /** Runs each, and expects its one error to be about that line alone. */
  async function expectLines(lacks: Lack[]): Promise<void> {
    const since = new Date();
    const endings = await some(lacks, ({ inputs }) => runMain(inputs));
    const seconds = endings.map((ending) => ending.seconds);
    console.log(
      `${lacks.length} permissions, each taken away alone: ${((Date.now() - since.getTime()) / 1000).toFixed(0)} s ` +
        `for all, ${Math.min(...seconds).toFixed(1)} to ${Math.max(...seconds).toFixed(1)} s a run`,
    );
    const told = endings.map((ending, index) => ({
      title: lacks[index]?.title,
      exitCode: ending.exitCode,
      who: whoIn(ending),
      lines: linesIn(ending),
    }));
    expect(told).toEqual(lacks.map(({ title, who, line }) => ({ title, exitCode: 1, who, lines: [line] })));
    if (!hasAuditLog()) return;
    const written = await auditWrites(since, { userAgent: 'kube-nats-action/' });
    expect(written.filter(({ user }) => user.startsWith(`system:serviceaccount:${accounts}:`))).toEqual([]);
  }

  /** The rules that the error names, and all of it where it is not about permissions. */
  function linesIn({ errors }: Ending): string[] {
    const lines = errors.flatMap((error) => error.split('\n')).filter((line) => /^( {2}- |path )/.test(line));
    return lines.length > 0 ? lines : errors;
  }

  function whoIn({ errors }: Ending): string {
    return /^(?:Checking what|Asking Vault what) (.*?) may do: /.exec(errors[0] ?? '')?.[1] ?? '';
  }

  it('each verb of each rule of the Roles', async () => {
    const lacking = roles.flatMap((role) =>
      role.rules.flatMap((rule) => rule.verbs.map((verb) => ({ role, rule, verb }))),
    );
    await Promise.all(roles.map((role) => makeRole(name, role)));
    const vault_token = await tokenWith(name, vaultRules);
    const lacks = await some(lacking, async ({ role, rule, verb }, index): Promise<Lack> => {
      const account = `${name}-${index}`;
      await makeRole(account, { ...role, rules: role.rules.flatMap((other) => withoutVerb(other, rule, verb)) });
      const kubeconfig = await deployer(
        account,
        roles.map((other) => ({ name: other === role ? account : name, role: other })),
      );
      return {
        title: `${verb} ${rule.resource}`,
        line: lineOf(role, rule, verb),
        inputs: { ...everything, namespace: empty, kubeconfig, vault_auth_method: 'token', vault_token },
        who: `system:serviceaccount:${accounts}:${account}`,
      };
    });
    await documented(empty, `${name}-all`, roles);
    await expectLines(lacks);
    expect(lacks.length).toBeGreaterThan(80);
  });

  it('each capability of each rule of the Vault policy', async () => {
    const kubeconfig = (await documented(empty, `${name}-all`, roles)).kubeconfig ?? '';
    const lacking = vaultRules
      .filter(({ optional, path }) => !optional && path !== 'auth/token/lookup-self')
      .flatMap((rule) => rule.capabilities.map((capability) => ({ rule, capability })));
    const lacks = await some(lacking, async ({ rule, capability }, index): Promise<Lack> => {
      const vault_token = await tokenWith(
        `${name}-${index}`,
        vaultRules.flatMap((other) => withoutCapability(other, rule, capability)),
      );
      const isAsking = rule.path === 'sys/capabilities-self';
      return {
        title: `${capability} at ${rule.path}`,
        line: vaultLineOf(rule),
        inputs: {
          ...everything,
          certificate_issuer: '',
          namespace: empty,
          kubeconfig,
          vault_auth_method: 'token',
          vault_token,
        },
        who: isAsking ? 'its token' : `the Vault token of token-${name}-${index} (policies e2e-${name}-${index})`,
      };
    });
    await expectLines(lacks);
    expect(lacks.length).toBeGreaterThan(15);
  });

  it('looking up a token that was handed in', async () => {
    const inputs = await documented(empty, `${name}-all`, roles);
    const rules = vaultRules.filter(({ path }) => path !== 'auth/token/lookup-self');
    const { errors } = await runMain({ ...inputs, vault_token: await tokenWith(`${name}-blind`, rules) });
    expect(errors).toEqual([expect.stringMatching(/needs read on auth\/token\/lookup-self/)]);
  });
});

function withoutVerb(rule: Rule, lacking: Rule, verb: string): Rule[] {
  if (rule !== lacking) return [rule];
  const verbs = rule.verbs.filter((other) => other !== verb);
  return verbs.length === 0 ? [] : [{ ...rule, verbs }];
}

function withoutCapability(rule: VaultRule, lacking: VaultRule, capability: string): VaultRule[] {
  if (rule !== lacking) return [rule];
  const capabilities = rule.capabilities.filter((other) => other !== capability);
  return capabilities.length === 0 ? [] : [{ ...rule, capabilities }];
}
