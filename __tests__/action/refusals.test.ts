import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Values } from '../../simulator/runner.ts';
import type { SimulatorOptions } from '../../simulator/simulator.ts';
import { inventoryId, MEMBER_LABEL } from '../../src/desired/apply-set.ts';
import { startWorld, type World } from './world.ts';

let world: World;

beforeEach(async () => {
  world = await startWorld();
});

afterEach(() => world.close());

interface Refusal {
  name: string;
  target?: SimulatorOptions;
  inputs?: Values;
  /** Makes the target unfit. */
  spoil?: (world: World) => unknown;
  /** What the one error has to say: cause and next step. */
  says: RegExp[];
}

const REFUSALS: Refusal[] = [
  {
    name: 'five mistakes in the inputs, in one error',
    inputs: {
      namespace: 'Demo',
      log_level: 'debgu',
      replicas: '2',
      fsync_interval_seconds: '10s',
      spot_instances_enabled: 'true',
    },
    says: [
      /5 mistakes/,
      /namespace "Demo"/,
      /did you mean debug/,
      /replicas "2"/,
      /without a unit/,
      /did you mean spot_nodes_enabled/,
    ],
  },
  {
    name: 'a chart that is not known',
    inputs: { helm_version: '7.0.0' },
    says: [/helm_version "7\.0\.0"/, /8\.5\.0 to 8\.5\.4/],
  },
  {
    name: 'a namespace that does not exist',
    inputs: { namespace: 'nowhere' },
    says: [/namespace nowhere/, /create_namespace: true/],
  },
  {
    name: 'no cert-manager',
    target: { certManager: false },
    says: [/cert-manager is not installed/, /Install cert-manager/],
  },
  {
    name: 'a StorageClass that was asked for and does not exist',
    inputs: { persistence_storage_class_name: 'fast' },
    says: [/StorageClass fast/, /ebs-standard-retained, standard/],
  },
  {
    name: 'no StorageClass to fall back to',
    target: { storageClasses: ['slow'], defaultStorageClass: null },
    says: [/no class is marked as the default/, /slow/],
  },
  {
    name: 'a missing PriorityClass with adapt: false',
    target: { priorityClasses: [] },
    inputs: { adapt: 'false' },
    says: [/PriorityClass workload-important/, /adapt: true/],
  },
  {
    name: 'missing permissions, as rules',
    spoil: ({ behaviour }) => {
      behaviour.denied = ({ resource, verb }) => resource === 'statefulsets' && verb !== 'get';
    },
    says: [
      /what simulator may do: 3 permissions are missing; nothing was written/,
      /apiGroups: \["apps"\], resources: \[statefulsets\], verbs: \[list, create, patch\] \} # Role in namespace demo/,
    ],
  },
  {
    name: 'a Vault token that is not valid',
    inputs: { vault_token: 'hvs.no-such-token' },
    says: [/lookup-self/, /make a new one/],
  },
  {
    name: 'a sealed Vault',
    spoil: ({ behaviour }) => {
      behaviour.vaultSealed = true;
    },
    says: [/sealed/, /operator unseal/],
  },
  {
    name: 'a Vault without a ready pod',
    spoil: ({ behaviour }) => {
      behaviour.vaultEndpoints = false;
    },
    says: [/vault-active/, /ready pod|endpoint/],
  },
  {
    name: 'a Vault Service that does not exist',
    inputs: { vault_internal_url: 'http://vault.elsewhere.svc:8200' },
    says: [/elsewhere/, /vault_internal_url|Service/],
  },
  {
    name: 'no PKI engine at the mount',
    inputs: { vault_internal_pki_backend_mount_path: 'pki/other' },
    says: [/pki\/other/, /secrets enable|mount/],
  },
  {
    name: "a policy of another cluster's",
    spoil: (w) =>
      w.vaultRequest('PUT', 'sys/policies/acl/demo-issuer-nats', {
        policy: '# kube-nats-action owner: other-uid/demo/nats\n',
      }),
    says: [/namespace demo of another Kubernetes cluster .* uid other-uid/, /Choose another `name`/],
  },
  {
    name: 'a field that another manager holds',
    spoil: (w) => serviceOfSomebody(w, { [MEMBER_LABEL]: inventoryId('demo', 'nats') }),
    says: [/"somebody-else" holds \.spec\.type of Service demo\/nats/, /nothing was written/],
  },
  {
    name: 'an object of a name it needs that it did not make',
    spoil: (w) => serviceOfSomebody(w, {}),
    says: [/Service demo\/nats was not made by this action/, /nothing was written/, /input name/],
  },
  {
    name: 'a Secret of a name that its credentials need',
    spoil: (w) =>
      w.kube('POST', '/api/v1/namespaces/demo/secrets', {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'nats-admin-creds', namespace: 'demo' },
        data: { password: 'aHVudGVyMg==' },
      }),
    says: [/Secret demo\/nats-admin-creds was not made by this action/, /nothing was written/, /input name/],
  },
  {
    name: 'an older nats-server, while one that has run the newer is not back on another node',
    inputs: { nats_version: '2.12.8' },
    async spoil(w) {
      expect((await w.apply({ nats_version: '2.14.6' })).errors).toEqual([]);
      w.behaviour.unschedulable = true;
      await w.kube('DELETE', '/api/v1/namespaces/demo/pods/nats-2');
    },
    says: [
      /2\.14\.6 to 2\.12\.8/,
      /Nothing was written/,
      /nats-2 has served by 2\.14\.6/,
      /Bring these servers up first/,
    ],
  },
  {
    name: 'a kubeconfig whose server nobody answers at',
    inputs: { kubeconfig: kubeconfigAt('http://127.0.0.1:9') },
    says: [/Connecting to the Kubernetes API server/, /ECONNREFUSED/, /Nothing listens there/],
  },
  {
    name: 'a kubeconfig that is none',
    inputs: { kubeconfig: 'apiVersion: v1\nclusters: [' },
    says: [/not a kubeconfig/, /input kubeconfig/],
  },
  { name: 'an unknown context', inputs: { context: 'prod' }, says: [/no context "prod"/, /one of: simulator/] },
  {
    name: 'an expired Kubernetes token',
    spoil: (w) => {
      w.inputs.kubeconfig = w.kubeconfig.replace('simulator-token', 'expired-token');
    },
    says: [/401/, /expired/],
  },
];

describe('is refused with cause and next step, before anything is written', () => {
  test.each(REFUSALS)(
    '$name',
    async ({ target, inputs = {}, spoil, says }) => {
      if (target !== undefined) {
        await world.close();
        world = await startWorld(target);
      }
      await spoil?.(world);
      const writes = await world.writesDuring(async () => {
        const ending = await world.apply(inputs);
        expect(ending.exitCode).toBe(1);
        expect(ending.errors).toHaveLength(1);
        for (const words of says) expect(ending.errors[0]).toMatch(words);
        expect(ending.log).not.toMatch(/^\s+at .*\(/m);
        expect(ending.summary).toContain('**Failed**');
        expect(ending.seconds).toBeLessThan(30);
      });
      expect(writes).toEqual([]);
    },
    60_000,
  );
});

test('nothing is sent anywhere before the inputs are whole', async () => {
  const sent = world.requests.length;
  await world.apply({ replicas: 'three' });
  expect(world.requests).toHaveLength(sent);
});

function kubeconfigAt(server: string): string {
  return `apiVersion: v1
kind: Config
clusters: [{ name: far, cluster: { server: "${server}", insecure-skip-tls-verify: true } }]
users: [{ name: me, user: { token: "a-token-that-is-masked" } }]
contexts: [{ name: far, context: { cluster: far, user: me } }]
current-context: far
`;
}

/** Another Service under the name that the cluster's has. */
function serviceOfSomebody(world: World, labels: { [key: string]: string }): Promise<unknown> {
  return world.kube(
    'PATCH',
    '/api/v1/namespaces/demo/services/nats?fieldManager=somebody-else',
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'nats', namespace: 'demo', labels },
      spec: {
        type: 'NodePort',
        selector: { app: 'other' },
        ports: [{ name: 'client', port: 4222, protocol: 'TCP', targetPort: 1 }],
      },
    },
    'application/apply-patch+yaml',
  );
}
