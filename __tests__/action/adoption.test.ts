import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { installModuleCluster, write } from '../../simulator/module-cluster.ts';
import {
  KUBECTL,
  type ModuleCluster,
  moduleRequests,
  moduleVault,
  moduleWindow,
  type Writer,
} from '../../simulator/module-objects.ts';
import { startMain } from '../../simulator/runner.ts';
import { dig, digObjects, digText, isJsonObject, type Json, type JsonObject } from '../../src/json.ts';
import { startWorld, type World, writesTo } from './world.ts';

const NAME = 'nats-1a2b';
const NAMESPACE = '/api/v1/namespaces/demo';
const STATEFUL_SET = `/apis/apps/v1/namespaces/demo/statefulsets/${NAME}`;
const LEASE = `/apis/coordination.k8s.io/v1/namespaces/demo/leases/${NAME}`;

const PROVIDER: Writer = { manager: 'terraform-provider-helm_v3.1.1_x5', operation: 'Update' };

const moduleCluster: ModuleCluster = {
  namespace: 'demo',
  name: NAME,
  helm: PROVIDER,
  image: 'docker.io/bitnamilegacy/nats:2.10.22-debian-12-r3',
  storageClassName: 'ebs-standard-retained',
  clusterIssuer: 'internal',
  hasAutoscaler: true,
};

const LEFTOVERS = [
  'Policy/nats-1a2b-fixup',
  'Policy/update-pvc-metadata-n2m0zj',
  'Secret/nats-1a2b',
  'Secret/sh.helm.release.v1.nats-1a2b.v1',
  'ServiceAccount/nats-1a2b',
];

let world: World;

beforeEach(async () => {
  world = await startWorld({ apiGroups: ['autoscaling.k8s.io', 'kyverno.io'] });
  world.inputs.name = NAME;
});

afterEach(() => world.close());

async function install(cluster: ModuleCluster = moduleCluster): Promise<void> {
  installModuleCluster(world, cluster);
  while (dig(await world.kube('GET', STATEFUL_SET), 'status', 'readyReplicas') !== 3) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function namesAndUids(path: string): Promise<string[]> {
  const items = digObjects(await world.kube('GET', path), 'items');
  return items.map((item) => `${digText(item, 'metadata', 'name')} ${digText(item, 'metadata', 'uid')}`);
}

/** Who holds fields of the object, but for what controllers report. */
async function managersOf(path: string): Promise<string[]> {
  const entries = digObjects(await world.kube('GET', path), 'metadata', 'managedFields');
  return entries
    .filter(({ subresource }) => subresource === undefined)
    .map(({ manager, operation }) => `${manager} ${operation}`);
}

/** Every object of the cluster that the module made as well, by its path. */
function takenOver(): string[] {
  const made = moduleRequests(moduleCluster).map(({ body }) => body);
  const kept = made.filter(({ kind, metadata }) => !LEFTOVERS.includes(`${kind}/${metadata.name}`));
  const paths = kept.map(({ apiVersion, kind, metadata }) => {
    const plural = kind === 'NetworkPolicy' ? 'networkpolicies' : `${kind.toLowerCase()}s`;
    return `${apiVersion === 'v1' ? '/api/' : '/apis/'}${apiVersion}/namespaces/demo/${plural}/${metadata.name}`;
  });
  return [...new Set(paths)];
}

async function recordedLeftovers(): Promise<string> {
  const inventory = await world.kube('GET', `${NAMESPACE}/configmaps/${NAME}-inventory`);
  return digText(inventory, 'data', 'module-leftovers');
}

describe('a cluster that the module made', () => {
  test.each<[string, Writer]>([
    ["Terraform's provider, by Helm 3", PROVIDER],
    ['Helm 4', { manager: 'helm', operation: 'Apply' }],
  ])('through %s is taken over in place, and then there is nothing to do', async (_, helm) => {
    await install({ ...moduleCluster, helm });
    const before = await world.kube('GET', STATEFUL_SET);
    const claims = await namesAndUids(`${NAMESPACE}/persistentvolumeclaims`);
    const pods = await namesAndUids(`${NAMESPACE}/pods`);

    const ending = await world.apply();
    expect(ending.errors).toEqual([]);
    expect(ending.outputs).toMatchObject({ name: NAME, changed: 'true', admin_creds_secret: `${NAME}-admin-creds` });
    expect(ending.log).toContain('::notice::name: The Terraform module made this cluster: it is taken over in place');
    expect(ending.log).toContain(`Took over StatefulSet demo/${NAME}`);

    const after = await world.kube('GET', STATEFUL_SET);
    const fixed = (statefulSet: Json) => ({
      uid: dig(statefulSet, 'metadata', 'uid'),
      podManagementPolicy: dig(statefulSet, 'spec', 'podManagementPolicy'),
      selector: dig(statefulSet, 'spec', 'selector'),
      volumeClaimTemplates: dig(statefulSet, 'spec', 'volumeClaimTemplates'),
    });
    expect(fixed(after)).toEqual(fixed(before));
    expect(await namesAndUids(`${NAMESPACE}/persistentvolumeclaims`)).toEqual(claims);
    const restarted = await namesAndUids(`${NAMESPACE}/pods`);
    expect(restarted).toHaveLength(3);
    expect(restarted.filter((pod) => pods.includes(pod))).toEqual([]);
    expect(await world.writesDuring(() => world.apply())).toEqual([]);
  });

  test('has one manager then, and nothing of the chart', async () => {
    await install();
    await world.apply();
    const managers = await Promise.all(takenOver().map(async (path) => [path, await managersOf(path)]));
    const own = ['kube-nats-action Apply'];
    // Kyverno and this action say the same of the database.
    const expected = takenOver().map((path) => [path, path === STATEFUL_SET ? ['kyverno Apply', ...own] : own]);
    expect(managers).toEqual(expected);

    const { metadata, spec } = object(await world.kube('GET', STATEFUL_SET));
    expect(Object.keys(object(dig(metadata, 'labels'))).sort()).toEqual([
      'app.kubernetes.io/instance',
      'app.kubernetes.io/managed-by',
      'app.kubernetes.io/name',
      'applyset.kubernetes.io/part-of',
    ]);
    const pod = dig(spec, 'template', 'spec');
    const [server] = digObjects(pod, 'containers');
    expect(dig(pod, 'serviceAccountName')).toBeUndefined();
    expect(digObjects(pod, 'volumes')[0]).toEqual({ name: 'config', configMap: { name: NAME, defaultMode: 288 } });
    expect(digObjects(server, 'env').map(({ name }) => name)).toEqual(['POD_NAME', 'GOMEMLIMIT']);
    expect(digObjects(server, 'volumeMounts').map(({ mountPath }) => mountPath)).not.toContain('/opt/bitnami/nats/tmp');
    const ports = digObjects(await world.kube('GET', `${NAMESPACE}/services/${NAME}`), 'spec', 'ports');
    expect(ports.map(({ name }) => name)).toEqual(['client', 'monitoring']);
  });

  test('is planned without a write: what is taken over, with a diff', async () => {
    await install();
    const writes = await world.writesDuring(async () => {
      const { outputs, errors } = await world.apply({ mode: 'plan' });
      expect(errors).toEqual([]);
      const { changes, conflicts, refusals } = JSON.parse(outputs.plan_json ?? '{}');
      const adopted = changes.filter(({ action }: JsonObject) => action === 'adopt');
      expect(adopted).toHaveLength(takenOver().length);
      expect([conflicts, refusals]).toEqual([[], []]);
      expect(outputs.plan).toContain(`adopt StatefulSet demo/${NAME}`);
      expect(outputs.plan).toMatch(/^-.*BITNAMI_DEBUG$/m);
      expect(outputs.plan).toMatch(/^\+.*GOMEMLIMIT$/m);
    });
    expect(writes).toEqual([]);
  });

  test('has its volumes kept before anything else is written, and its objects recorded before one is taken over', async () => {
    await install();
    const writes = await world.writesDuring(() => world.apply());
    expect(writes.filter((write) => !write.includes('/leases')).slice(0, 2)).toEqual([
      `PATCH ${STATEFUL_SET}`,
      `PATCH ${NAMESPACE}/configmaps/${NAME}-inventory`,
    ]);
    const retention = dig(await world.kube('GET', STATEFUL_SET), 'spec', 'persistentVolumeClaimRetentionPolicy');
    expect(retention).toEqual({ whenDeleted: 'Retain', whenScaled: 'Retain' });
  });

  test('is left alone by a run that does not name it', async () => {
    await install();
    const before = await world.kube('GET', STATEFUL_SET);
    const ending = await world.apply({ name: '' });
    expect(ending.outputs.name).not.toBe(NAME);
    expect(await world.kube('GET', STATEFUL_SET)).toEqual(before);
  });

  test('but that is another release now is refused before anything is written', async () => {
    await install();
    for (const { path } of moduleVault(moduleCluster)) await world.vaultRequest('DELETE', path);
    const patch = { metadata: { annotations: { 'meta.helm.sh/release-name': 'other' } } };
    await world.kube('PATCH', `${STATEFUL_SET}?fieldManager=helm`, patch, 'application/merge-patch+json');
    let error = '';
    const writes = await world.writesDuring(async () => {
      error = (await world.apply()).errors[0] ?? '';
    });
    expect(error).toContain(`StatefulSet demo/${NAME} was not made by this action`);
    expect(writes).toEqual([]);
  });

  test('and somebody else changed is refused before anything is written, with who it was', async () => {
    await install();
    const patch = { spec: { template: { spec: { terminationGracePeriodSeconds: 5 } } } };
    await world.kube('PATCH', `${STATEFUL_SET}?fieldManager=argocd-controller`, patch, 'application/merge-patch+json');
    let error = '';
    const writes = await world.writesDuring(async () => {
      error = (await world.apply()).errors[0] ?? '';
    });
    expect(error).toContain(
      `"argocd-controller" holds .spec.template.spec.terminationGracePeriodSeconds of StatefulSet demo/${NAME}`,
    );
    expect(error).not.toContain('terraform-provider-helm');
    expect(writes).toEqual([]);
  });

  test('cannot be taken over by who may not look for what is left of the module', async () => {
    await install();
    world.behaviour.denied = ({ resource, verb }) => resource === 'secrets' && verb === 'list';
    let error = '';
    const writes = await world.writesDuring(async () => {
      error = (await world.apply()).errors[0] ?? '';
    });
    expect(error).toContain('to take over what the Terraform module made: 1 permission is missing');
    expect(error).toContain('{ apiGroups: [""], resources: [secrets], verbs: [list] } # Role in namespace demo');
    expect(writes).toEqual([]);
  });

  test('cannot be made smaller', async () => {
    await install();
    expect((await world.apply({ replicas: '1' })).errors[0]).toContain('from 3 to 1');
  });
});

describe('a take-over that is killed', () => {
  test.each([
    ['before the inventory', `/configmaps/${NAME}-inventory`, 1],
    ['between the hand-over and the apply of the StatefulSet', '/statefulsets/', 3],
    ['amid the restarts', `/pods/${NAME}-`, 2],
  ])('%s is completed by the next run, which loses nothing', async (_, part, nth) => {
    await install();
    const uid = digText(await world.kube('GET', STATEFUL_SET), 'metadata', 'uid');
    const claims = await namesAndUids(`${NAMESPACE}/persistentvolumeclaims`);
    world.faults.add({ effect: 'hang', matches: writesTo(part), nth });
    const step = startMain(world.inputs);
    await sent(part, nth);
    step.process.kill('SIGKILL');
    await step.ended;
    world.faults.clear();
    await world.kube('DELETE', LEASE);

    expect((await world.apply()).errors).toEqual([]);
    expect(digText(await world.kube('GET', STATEFUL_SET), 'metadata', 'uid')).toBe(uid);
    expect(await namesAndUids(`${NAMESPACE}/persistentvolumeclaims`)).toEqual(claims);
    expect((await recordedLeftovers()).split('\n')).toEqual(LEFTOVERS);
    for (const path of takenOver()) expect(await managersOf(path)).toContain('kube-nats-action Apply');
    for (const path of takenOver()) expect(await managersOf(path)).not.toContain('kubectl Apply');
    expect(await world.writesDuring(() => world.apply())).toEqual([]);
  });

  /** Resolves when that many writes were sent there. */
  async function sent(part: string, count: number): Promise<void> {
    const isSent = writesTo(part);
    const before = world.requests.length;
    while (world.requests.slice(before - 1).filter(isSent).length < count) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
});

describe('what is left of the module', () => {
  test('is named in every run, and removed with consent', async () => {
    await install();
    const secrets = await namesAndUids(`${NAMESPACE}/secrets`);
    const first = await world.apply();
    const named = `The Terraform module left ${LEFTOVERS.join(', ')}. While Terraform and Helm know of the cluster`;
    expect(first.log).toContain(named);
    const second = await world.apply();
    expect(second.log).toContain(named);
    expect(second.summary).toContain('`remove_module_leftovers`');

    const consent = { remove_module_leftovers: 'true' };
    const writes = await world.writesDuring(async () => {
      expect((await world.apply(consent)).errors).toEqual([]);
    });
    expect(writes.filter((write) => write.startsWith('DELETE')).sort()).toEqual([
      `DELETE /api/v1/namespaces/demo/secrets/${NAME}`,
      `DELETE /api/v1/namespaces/demo/secrets/sh.helm.release.v1.${NAME}.v1`,
      `DELETE /api/v1/namespaces/demo/serviceaccounts/${NAME}`,
      `DELETE /apis/kyverno.io/v1/namespaces/demo/policies/${NAME}-fixup`,
      'DELETE /apis/kyverno.io/v1/namespaces/demo/policies/update-pvc-metadata-n2m0zj',
    ]);
    const kept = secrets.filter((secret) => !LEFTOVERS.includes(`Secret/${secret.split(' ')[0]}`));
    expect(await namesAndUids(`${NAMESPACE}/secrets`)).toEqual(expect.arrayContaining(kept));
    expect(await recordedLeftovers()).toBe('');
    for (const inputs of [consent, {}]) {
      const writes = await world.writesDuring(async () => {
        expect((await world.apply(inputs)).log).not.toContain('The Terraform module left');
      });
      expect(writes).toEqual([]);
    }
  });

  test('is removed by the run that takes the cluster over, when all is well', async () => {
    await install();
    let log = '';
    const writes = await world.writesDuring(async () => {
      log = (await world.apply({ remove_module_leftovers: 'true' })).log;
    });
    expect(log).not.toContain('The Terraform module left');
    const last = writes.lastIndexOf(`PATCH ${STATEFUL_SET}`);
    expect(writes.findIndex((write) => write.startsWith('DELETE') && /secrets|policies/.test(write))).toBeGreaterThan(
      last,
    );
    expect(writes.filter((write) => write.startsWith('DELETE') && /secrets|policies/.test(write))).toHaveLength(4);
  });

  test('stays where nobody waits, as a server of the module needs its configuration to restart', async () => {
    await install();
    const ending = await world.apply({ remove_module_leftovers: 'true', wait: 'false' });
    expect(ending.errors).toEqual([]);
    expect(ending.log).toContain('The Terraform module left');
    expect(await namesAndUids(`${NAMESPACE}/secrets`)).toEqual(
      expect.arrayContaining([expect.stringMatching(new RegExp(`^${NAME} `))]),
    );
  });

  test('are also the windows of the module, which are found by its budget', async () => {
    await install();
    for (const request of moduleWindow(moduleCluster)) write(world, request);
    const ending = await world.apply({ voluntary_disruption_window_enabled: 'true' });
    expect(ending.errors).toEqual([]);
    for (const left of [
      'CronJob/disruption-window-enabler-0123456789abcdef',
      'CronJob/disruption-window-disabler-0123456789abcdef',
      'Role/controller-0123456789abcdef',
      'RoleBinding/enabler-0123456789abcdef',
      'ServiceAccount/fedcba9876543210',
    ]) {
      expect(ending.log).toContain(left);
    }
    expect((await world.apply({ voluntary_disruption_window_enabled: 'true' })).log).toContain('Role/controller-');
  });

  test('is not what somebody else made since under its name', async () => {
    await install();
    await world.apply();
    await world.kube('DELETE', `${NAMESPACE}/secrets/${NAME}`);
    const theirs = { apiVersion: 'v1', kind: 'Secret', metadata: { name: NAME }, data: {} };
    await world.kube('POST', `${NAMESPACE}/secrets?fieldManager=${KUBECTL.manager}`, theirs);
    const ending = await world.apply({ remove_module_leftovers: 'true' });
    expect(ending.errors).toEqual([]);
    expect(await world.kube('GET', `${NAMESPACE}/secrets/${NAME}`)).toMatchObject({ metadata: { name: NAME } });
  });
});

function object(value: Json | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}
