import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { RecordedRequest } from '../../simulator/requests.ts';
import { type Ending, type Step, startMain } from '../../simulator/runner.ts';
import { digObjects, digText } from '../../src/json.ts';
import { during, startWorld, type World } from './world.ts';

const CLAIMS = ['data-nats-0', 'data-nats-1', 'data-nats-2'];
const LEASE = '/apis/coordination.k8s.io/v1/namespaces/demo/leases/nats';
const CACHE = '/api/v1/namespaces/node-image-cache/configmaps';
/** Every input that makes objects of kinds of its own. */
const EVERYTHING = { monitoring_enabled: 'true', voluntary_disruption_window_enabled: 'true' };

let world: World;

beforeEach(async () => {
  world = await startWorld({
    apiGroups: ['autoscaling.k8s.io', 'monitoring.coreos.com'],
    namespaces: ['demo', 'node-image-cache'],
    pkiMounts: ['pki/internal', 'pki/nats'],
    vaultNamespaces: ['team'],
    speed: 4,
  });
  for (const name of ['pinned-images-amd64', 'pinned-images-arm64'])
    await world.kube('POST', CACHE, { metadata: { name } });
});

afterEach(() => world.close());

async function succeeds(running: Promise<Ending>): Promise<Ending> {
  const ending = await running;
  expect(ending).toMatchObject({ errors: [], exitCode: 0 });
  return ending;
}

/** "Pod nats-0" */
function inNamespace(namespace = 'demo'): string[] {
  const objects = world.cluster.store.contents(namespace);
  return objects.map(({ resource, object }) => `${resource.kind} ${object.metadata.name}`).sort();
}

function inVault(namespace = ''): string[] {
  const { policies, pki, auth } = world.vault.namespace(namespace);
  const roles = [...pki.values(), ...auth.values()].flatMap((mount) => [...mount.roles.keys()]);
  return [...policies.keys(), ...roles].sort();
}

const KEPT = CLAIMS.map((claim) => `PersistentVolumeClaim ${claim}`);

function deletes(part: string): (request: RecordedRequest) => boolean {
  return ({ method, path }) => method === 'DELETE' && path.includes(part);
}

/** Kills a run that removes the cluster at its first request that matches, and takes its lock away. */
async function killedAt(part: string): Promise<void> {
  const matches = deletes(part);
  world.faults.add({ effect: 'hang', matches });
  const step = startMain({ ...world.inputs, mode: 'destroy' });
  while (!world.requests.some(matches) && step.process.exitCode === null)
    await new Promise((resolve) => setTimeout(resolve, 5));
  expect(world.requests.filter(matches)).not.toEqual([]);
  step.process.kill('SIGKILL');
  await step.ended;
  world.faults.clear();
  await world.kube('DELETE', LEASE);
}

describe('a cluster with everything', () => {
  test('goes with all that it has in Kubernetes and Vault, but for its data, which is told', async () => {
    await succeeds(world.apply(EVERYTHING));
    await world.kube('POST', '/api/v1/namespaces/demo/secrets', { metadata: { name: 'theirs' } });
    const ending = await succeeds(world.destroy());
    expect(inNamespace()).toEqual([...KEPT, 'Secret theirs']);
    expect(inVault()).toEqual([]);
    const lists = digObjects(await world.kube('GET', CACHE), 'items');
    expect(lists.map(({ data }) => data)).toEqual([undefined, undefined]);
    expect(ending.outputs).toMatchObject({ name: 'nats', changed: 'true' });
    expect(ending.log).toContain(
      'PersistentVolumeClaims data-nats-0 (1Gi), data-nats-1 (1Gi), data-nats-2 (1Gi) in namespace demo',
    );
    expect(ending.summary).toContain('**The cluster is removed.**');
    expect(ending.summary).toContain('| delete | `Vault sys/policies/acl/demo-issuer-nats` |');
  });

  test('goes in an order in which nothing is left behind, wherever the run ends', async () => {
    await succeeds(world.apply(EVERYTHING));
    const writes = await world.writesDuring(() => succeeds(world.destroy()));
    const at = (part: string) => writes.findIndex((write) => write.startsWith('DELETE') && write.includes(part));
    const order = [
      '/statefulsets/nats',
      '/poddisruptionbudgets/nats',
      '/certificates/nats-admin-creds',
      '/secrets/nats-admin-creds',
      '/auth/kubernetes/role/demo-issuer-nats',
      '/roles/nats-admin-nats',
      '/sys/policies/acl/demo-issuer-nats',
      '/issuers/nats-admin-nats',
      '/serviceaccounts/issuer-nats',
      '/configmaps/nats-inventory',
      '/leases/nats',
    ].map(at);
    expect(order).not.toContain(-1);
    expect(order).toEqual([...order].sort((a, b) => a - b));
  });

  test('is gone: another run finds nothing to remove, writes nothing and says so', async () => {
    await succeeds(world.apply());
    await succeeds(world.destroy());
    let again: Ending | undefined;
    expect(await world.writesDuring(async () => (again = await succeeds(world.destroy())))).toEqual([]);
    expect(again?.log).toContain('Nothing to remove: there is no NATS cluster nats in namespace demo.');
    expect(again?.outputs.changed).toBe('false');
    expect(again?.summary).toContain('**There was nothing to remove.** Nothing to change.');
  });

  test('made again under the same name has the same volumes', async () => {
    const uids = async () => {
      const claims = await world.kube('GET', '/api/v1/namespaces/demo/persistentvolumeclaims');
      return digObjects(claims, 'items').map((claim) => digText(claim, 'metadata', 'uid'));
    };
    await succeeds(world.apply());
    const before = await uids();
    await succeeds(world.destroy());
    await succeeds(world.apply());
    expect(await uids()).toEqual(before);
    expect(before).toHaveLength(3);
  });
});

describe('with consent', () => {
  const CONSENT = { delete_data: 'true', delete_namespace: 'true' };

  test('the data and the namespace go as well', async () => {
    await succeeds(world.apply());
    await succeeds(world.destroy(CONSENT));
    expect(inNamespace()).toEqual([]);
    await expect(world.kube('GET', '/api/v1/namespaces/demo')).rejects.toThrow('404');
    await succeeds(world.destroy(CONSENT));
  });

  test('a namespace with something of others in it is kept, and told', async () => {
    await succeeds(world.apply());
    await world.kube('POST', '/apis/apps/v1/namespaces/demo/deployments', { metadata: { name: 'theirs' } });
    await world.kube('POST', '/api/v1/namespaces/demo/configmaps', { metadata: { name: 'kube-root-ca.crt' } });
    const ending = await succeeds(world.destroy(CONSENT));
    expect(inNamespace()).toEqual(['ConfigMap kube-root-ca.crt', 'Deployment theirs']);
    expect(ending.log).toContain('Namespace demo is kept, as there is more in it: Deployment theirs.');
    const again = await succeeds(world.destroy(CONSENT));
    expect(again.log).toContain('Namespace demo is kept, as there is more in it: Deployment theirs.');
  });

  test('to the end of the namespace alone the data keeps it', async () => {
    await succeeds(world.apply());
    const ending = await succeeds(world.destroy({ delete_namespace: 'true' }));
    expect(inNamespace()).toEqual(KEPT);
    expect(ending.log).toContain('Namespace demo is kept, as there is more in it: PersistentVolumeClaim data-nats-0');
  });

  test("claims of the same names that are somebody else's stay", async () => {
    for (const name of CLAIMS)
      await world.kube('POST', '/api/v1/namespaces/demo/persistentvolumeclaims', { metadata: { name } });
    const ending = await succeeds(world.destroy(CONSENT));
    expect(inNamespace()).toEqual(KEPT);
    expect(ending.log).toContain(
      "Left, as nothing tells that they are this cluster's: PersistentVolumeClaims data-nats-0",
    );
  });
});

describe('a run that is killed', () => {
  test.each([
    '/statefulsets/nats',
    '/secrets/nats-admin-creds',
    '/sys/policies/acl/demo-issuer-nats',
    '/configmaps/nats-inventory',
  ])('at the deletion of %s is completed by the next', async (part) => {
    await succeeds(world.apply(EVERYTHING));
    await killedAt(part);
    await succeeds(world.destroy());
    expect(inNamespace()).toEqual(KEPT);
    expect(inVault()).toEqual([]);
  });

  test('while it brought the cluster up leaves nothing that the next one does not find', async () => {
    world.faults.add({
      effect: 'hang',
      matches: ({ method, path }) =>
        method === 'PATCH' && path.includes('/statefulsets/nats?') && !path.includes('dryRun'),
    });
    const step = startMain(world.inputs);
    await world.requestTo('/statefulsets/nats', step);
    step.process.kill('SIGKILL');
    await step.ended;
    world.faults.clear();
    await world.kube('DELETE', LEASE);
    await succeeds(world.destroy());
    expect(inNamespace()).toEqual([]);
    expect(inVault()).toEqual([]);
  });
});

test('pods that their StatefulSet left behind go, and those of others stay', async () => {
  await succeeds(world.apply());
  await succeeds(world.destroy());
  const pods = '/api/v1/namespaces/demo/pods';
  const labels = { 'app.kubernetes.io/instance': 'nats', 'app.kubernetes.io/managed-by': 'kube-nats-action' };
  await world.kube('POST', pods, { metadata: { name: 'nats-0', labels } });
  await world.kube('POST', pods, {
    metadata: { name: 'nats-1', labels: { ...labels, 'app.kubernetes.io/managed-by': 'Helm' } },
  });
  await world.kube('POST', pods, { metadata: { name: 'nats-debug', labels } });
  await succeeds(world.destroy());
  expect(inNamespace()).toEqual([...KEPT, 'Pod nats-1', 'Pod nats-debug']);
});

describe('what tells of the cluster', () => {
  test('need not be its inventory: names and owners tell it too', async () => {
    await succeeds(world.apply(EVERYTHING));
    await world.kube('DELETE', '/api/v1/namespaces/demo/configmaps/nats-inventory');
    const unlabelled = { metadata: { labels: { 'applyset.kubernetes.io/part-of': null } } };
    for (const path of ['/api/v1/namespaces/demo/services/nats', '/apis/apps/v1/namespaces/demo/statefulsets/nats'])
      await world.kube('PATCH', path, unlabelled, 'application/merge-patch+json');
    await succeeds(world.destroy());
    expect(inNamespace()).toEqual(KEPT);
    expect(inVault()).toEqual([]);
  });

  test('are its Issuers: where it is in Vault no input has to tell', async () => {
    await succeeds(
      world.apply({
        vault_internal_pki_backend_mount_path: 'pki/nats',
        replicas: '1',
        network_policy_enabled: 'false',
      }),
    );
    await world.kube('DELETE', '/api/v1/namespaces/demo/configmaps/nats-inventory');
    expect(inVault()).not.toEqual([]);
    await succeeds(world.destroy());
    expect(inVault()).toEqual([]);
    expect(inNamespace()).toEqual(KEPT.slice(0, 1));
  });

  test('is its inventory where cert-manager is gone with all that it had', async () => {
    await succeeds(world.apply({ vault_internal_pki_backend_mount_path: 'pki/nats' }));
    for (const kind of ['issuers', 'certificates']) {
      const path = `/apis/cert-manager.io/v1/namespaces/demo/${kind}`;
      for (const object of digObjects(await world.kube('GET', path), 'items'))
        await world.kube('DELETE', `${path}/${digText(object, 'metadata', 'name')}`);
    }
    const isGone = ({ path }: RecordedRequest) => path.includes('/apis/cert-manager.io/');
    world.faults.add({ effect: 'answer', status: 404, body: '404 page not found\n', matches: isGone, times: Infinity });
    await succeeds(world.destroy());
    expect(inNamespace()).toEqual(KEPT);
    expect(inVault()).toEqual([]);
  });

  test('another Vault than the inputs tell is an error before anything is removed', async () => {
    await succeeds(world.apply({ vault_namespace: 'team' }));
    const before = inNamespace();
    const ending = await world.destroy();
    expect(ending.errors[0]).toMatch(
      /Issuer demo\/nats-\w+-nats uses another Vault .* Vault namespace team\. Nothing was removed/,
    );
    expect(inNamespace()).toEqual(before);
    await succeeds(world.destroy({ vault_namespace: 'team' }));
    expect(inVault('team')).toEqual([]);
  });
});

describe("what is not this cluster's", () => {
  test('stays: another cluster in the namespace, of which one has to be named', async () => {
    await succeeds(world.apply({ name: 'other' }));
    const others = { kubernetes: inNamespace(), vault: inVault() };
    await succeeds(world.apply());
    const nameless = await world.destroy({ name: '' });
    expect(nameless.errors[0]).toContain('There are several: nats, other.');
    await succeeds(world.destroy());
    expect(inNamespace()).toEqual([...others.kubernetes, ...KEPT].sort());
    expect(inVault()).toEqual(others.vault);
    await succeeds(world.destroy({ name: '' }));
    expect(inVault()).toEqual([]);
  });

  test('stays: a cluster of the same name in another namespace, whose roles in Vault are told', async () => {
    await world.kube('POST', '/api/v1/namespaces', { metadata: { name: 'theirs' } });
    await succeeds(world.apply({ namespace: 'theirs' }));
    const before = inVault();
    const ending = await succeeds(world.destroy());
    expect(inVault()).toEqual(before);
    expect(ending.log).toMatch(/Left in Vault.*nats-admin-nats belongs to NATS cluster nats in namespace theirs/);
  });

  test('stays: objects of the right names that somebody else made', async () => {
    await world.kube('POST', '/apis/apps/v1/namespaces/demo/statefulsets', {
      metadata: { name: 'nats' },
      spec: {
        replicas: 0,
        serviceName: 'nats',
        selector: { matchLabels: { a: 'b' } },
        template: { metadata: { labels: { a: 'b' } } },
      },
    });
    await world.kube('POST', '/api/v1/namespaces/demo/secrets', {
      metadata: { name: 'nats-admin-creds', annotations: { 'cert-manager.io/certificate-name': 'nats-admin-creds' } },
    });
    await world.kube('POST', LEASE.replace(/\/nats$/, ''), { metadata: { name: 'nats' }, spec: {} });
    expect(await world.writesDuring(() => succeeds(world.destroy()))).toEqual([]);
  });

  test('is an inventory that is not its own: nothing is removed', async () => {
    await succeeds(world.apply());
    await world.kube(
      'PATCH',
      '/api/v1/namespaces/demo/configmaps/nats-inventory',
      {
        metadata: { labels: { 'applyset.kubernetes.io/id': 'applyset-another-v1' } },
      },
      'application/merge-patch+json',
    );
    const writes = await world.writesDuring(async () => {
      const ending = await world.destroy();
      expect(ending.errors[0]).toMatch(/ConfigMap demo\/nats-inventory is not its inventory.*Nothing was removed/);
    });
    expect(writes).toEqual([]);
  });
});

describe('a Vault that', () => {
  test('is sealed keeps nothing in Kubernetes: the run ends with what is left, the next one removes it', async () => {
    await succeeds(world.apply({ vault_internal_pki_backend_mount_path: 'pki/nats' }));
    world.behaviour.vaultSealed = true;
    const ending = await world.destroy();
    expect(ending.exitCode).toBe(1);
    expect(ending.errors[0]).toMatch(
      /Vault is sealed[\s\S]*- pki\/nats\/roles\/nats-admin-nats[\s\S]*- sys\/policies\/acl\/demo-issuer-nats/,
    );
    expect(ending.errors[0]).toContain('ConfigMap demo/nats-inventory is kept until then');
    expect(inNamespace()).toEqual(['ConfigMap nats-inventory', ...KEPT]);
    world.behaviour.vaultSealed = false;
    await succeeds(world.destroy({ name: '' }));
    expect(inNamespace()).toEqual(KEPT);
    expect(inVault()).toEqual([]);
  });

  test('has an address that nobody knows, be it a typing error, is not taken for gone: the next run removes the rest', async () => {
    await succeeds(world.apply());
    const made = inVault();
    const ending = await world.destroy({ vault_url: 'https://vault.invalid' });
    expect(ending.exitCode).toBe(1);
    expect(ending.errors[0]).toMatch(
      /host of vault_url has no address[\s\S]*The next run of mode destroy removes them/,
    );
    expect(inNamespace()).toEqual(['ConfigMap nats-inventory', ...KEPT]);
    expect(inVault()).toEqual(made);
    await succeeds(world.destroy());
    expect(inNamespace()).toEqual(KEPT);
    expect(inVault()).toEqual([]);
  });

  test('is gone for good, as only its owner knows, leaves one object to be deleted by hand, which is told', async () => {
    await succeeds(world.apply());
    const ending = await world.destroy({ vault_url: 'https://vault.invalid' });
    const [, namespace, name] =
      /If that Vault is gone for good, delete it yourself \(kubectl -n (\S+) delete configmap (\S+)\)\.$/.exec(
        ending.errors[0] ?? '',
      ) ?? [];
    await world.kube('DELETE', `/api/v1/namespaces/${namespace}/configmaps/${name}`);
    expect(inNamespace()).toEqual(KEPT);
  });

  test.each(['/api/v1/namespaces/vault/services/vault-active', '/api/v1/namespaces/vault'])(
    'is gone with %s is told, with what it took along',
    async (path) => {
      await succeeds(world.apply());
      await world.kube('DELETE', path);
      const ending = await succeeds(world.destroy());
      expect(ending.log).toMatch(/Vault is gone .*sys\/policies\/acl\/demo-issuer-nats/);
      expect(inNamespace()).toEqual(KEPT);
    },
  );

  test('was only looked for in the wrong place is told how what is left there goes', async () => {
    await succeeds(world.apply());
    const issuers = '/apis/cert-manager.io/v1/namespaces/demo/issuers';
    // Without them nothing tells which Vault the cluster uses.
    for (const issuer of digObjects(await world.kube('GET', issuers), 'items'))
      await world.kube('DELETE', `${issuers}/${digText(issuer, 'metadata', 'name')}`);
    const ending = await succeeds(world.destroy({ vault_internal_url: 'http://vault.elsewhere.svc:8200' }));
    expect(ending.log).toMatch(/vault_internal_url: Vault is gone .*Where Vault is elsewhere.*again with name: nats/);
    expect(inVault()).not.toEqual([]);
    await succeeds(world.destroy());
    expect(inVault()).toEqual([]);
  });

  test('does not know the namespace ends the run before anything is removed', async () => {
    await succeeds(world.apply());
    const before = { kubernetes: inNamespace(), vault: inVault() };
    world.faults.add({
      effect: 'answer',
      status: 404,
      // As Vault Enterprise has it.
      body: { errors: ['no handler for route "typo/sys/capabilities-self". route entry not found.'] },
      matches: ({ path }) => path.includes('/v1/sys/capabilities-self'),
      times: Infinity,
    });
    const ending = await world.destroy();
    expect(ending.errors[0]).toMatch(/Vault has no namespace/);
    expect({ kubernetes: inNamespace(), vault: inVault() }).toEqual(before);
  });

  test('lost its PKI mount is told, and the rest there removed', async () => {
    await succeeds(world.apply());
    world.vault.namespace().pki.delete('pki/internal');
    const ending = await succeeds(world.destroy());
    expect(ending.log).toMatch(/Nothing to remove at these paths of Vault.*pki\/internal\/roles\/nats-admin-nats/);
    expect(inVault()).toEqual([]);
  });

  test('does not allow the removal ends the run before anything is removed', async () => {
    await succeeds(world.apply());
    const before = inNamespace();
    await world.vaultRequest('PUT', 'sys/policies/acl/reader', {
      policy: 'path "*" { capabilities = ["read", "update"] }',
    });
    const { id } = world.vault.tokens.issue(['reader', 'default'], 600);
    const ending = await world.destroy({ vault_token: id });
    expect(ending.errors[0]).toContain('path "sys/policies/acl/demo-issuer-nats" { capabilities = ["read","delete"] }');
    expect(inNamespace()).toEqual(before);
  });
});

test('data that would go with its StatefulSet, as somebody had it so, is not put at risk without consent', async () => {
  await succeeds(world.apply());
  const statefulSet = await world.kube('GET', '/apis/apps/v1/namespaces/demo/statefulsets/nats');
  const owner = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    name: 'nats',
    uid: digText(statefulSet, 'metadata', 'uid'),
  };
  const claim = '/api/v1/namespaces/demo/persistentvolumeclaims/data-nats-1';
  await world.kube('PATCH', claim, { metadata: { ownerReferences: [owner] } }, 'application/merge-patch+json');
  const before = inNamespace();
  const ending = await world.destroy();
  expect(ending.errors[0]).toMatch(/would go with what owns them: data-nats-1 \(1Gi\)\. Nothing was removed/);
  expect(inNamespace()).toEqual(before);
  await succeeds(world.destroy({ delete_data: 'true' }));
  expect(inNamespace()).toEqual([]);
});

test('what a deleted namespace leaves behind in Vault and in the image cache goes', async () => {
  await succeeds(world.apply());
  await world.kube('DELETE', '/api/v1/namespaces/demo');
  await succeeds(world.destroy());
  expect(inVault()).toEqual([]);
  const lists = digObjects(await world.kube('GET', CACHE), 'items');
  expect(lists.map(({ data }) => data)).toEqual([undefined, undefined]);
});

test.each([
  ['looks into Vault', 1],
  ['is about to remove it from Vault', 2],
])(
  'a cluster that another run brings up again in a namespace that was gone is not robbed of Vault by one that %s',
  async (_, nth) => {
    await succeeds(world.apply());
    await world.kube('DELETE', '/api/v1/namespaces/demo');
    const policy = '/v1/sys/policies/acl/demo-issuer-nats';
    let isStopped = false;
    world.faults.add({
      effect: 'none',
      matches: ({ method, path }) => method === 'GET' && path.includes(policy),
      nth,
      struck: () => {
        isStopped = removing.process.kill('SIGSTOP');
      },
    });
    const removing = startMain({ ...world.inputs, mode: 'destroy' });
    await during(removing, 'its look into Vault', () => isStopped);
    await succeeds(world.apply({ create_namespace: 'true' }));
    const made = inVault();
    removing.process.kill('SIGCONT');
    const ending = await removing.ended;
    expect(ending.errors[0]).toMatch(/The namespace was made anew meanwhile.*Nothing more was removed/);
    expect(inVault()).toEqual(made);
    expect(made).toContain('demo-issuer-nats');
    expect(await world.writesDuring(() => succeeds(world.apply()))).toEqual([]);
  },
);

test('data that went with the namespace is not told as kept by a run that waited meanwhile', async () => {
  await succeeds(world.apply());
  await world.kube('PATCH', LEASE, { spec: { holderIdentity: 'another run' } }, 'application/merge-patch+json');
  const removing = startMain({ ...world.inputs, mode: 'destroy' });
  await printed(removing, 'Waiting for another run that works on nats: another run');
  await world.kube('DELETE', '/api/v1/namespaces/demo');
  const { log } = await succeeds(removing.ended);
  expect(log).not.toContain('The data is kept');
  expect(inVault()).toEqual([]);
});

test('two runs at once take turns', async () => {
  await succeeds(world.apply());
  await Promise.all([succeeds(world.destroy()), succeeds(world.destroy({ delete_data: 'true' }))]);
  expect(inNamespace().filter((object) => !KEPT.includes(object))).toEqual([]);
  expect(inVault()).toEqual([]);
});

test('what another run made while this one waited for it goes as well', async () => {
  await succeeds(world.apply());
  const namespace = '/api/v1/namespaces/demo';
  const merge = 'application/merge-patch+json';
  await world.kube('PATCH', LEASE, { spec: { holderIdentity: 'another run' } }, merge);
  const removing = startMain({ ...world.inputs, mode: 'destroy' });
  await printed(removing, 'Waiting for another run that works on nats: another run');
  const inventory = await world.kube('GET', `${namespace}/configmaps/nats-inventory`);
  const kinds = 'applyset.kubernetes.io/contains-group-kinds';
  const annotations = {
    [kinds]: `${digText(inventory, 'metadata', 'annotations', kinds)},PodMonitor.monitoring.coreos.com`,
  };
  await world.kube('PATCH', `${namespace}/configmaps/nats-inventory`, { metadata: { annotations } }, merge);
  const labels = {
    'applyset.kubernetes.io/part-of': digText(inventory, 'metadata', 'labels', 'applyset.kubernetes.io/id'),
  };
  await world.kube('POST', '/apis/monitoring.coreos.com/v1/namespaces/demo/podmonitors', {
    metadata: { name: 'nats', labels },
  });
  await world.kube('PATCH', LEASE, { spec: { holderIdentity: '' } }, merge);
  await succeeds(removing.ended);
  expect(inNamespace()).toEqual(KEPT);
});

test('a run that waits meanwhile brings the cluster up anew', async () => {
  await succeeds(world.apply());
  const path = '/api/v1/namespaces/demo/secrets/nats-admin-creds';
  const body = await world.kube('GET', path);
  const matches = (request: RecordedRequest) => request.method === 'GET' && request.path === path;
  // As if somebody made it again and again.
  world.faults.add({ effect: 'answer', status: 200, body, matches, times: Infinity });
  const removing = startMain({ ...world.inputs, mode: 'destroy' });
  await printed(removing, 'Still there: Secret nats-admin-creds');
  const applying = startMain(world.inputs);
  await printed(applying, 'Waiting for another run that works on nats');
  world.faults.clear();
  await Promise.all([succeeds(removing.ended), succeeds(applying.ended)]);
  expect(inNamespace()).toContain('StatefulSet nats');
  expect(await world.writesDuring(() => world.apply())).toEqual([]);
});

/** Resolves when the step has told that; rejects with its log when it ended without. */
async function printed(step: Step, text: string): Promise<void> {
  while (!step.printed().includes(text)) {
    if (step.process.exitCode !== null) throw new Error(`The step ended without "${text}":\n${step.printed()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
