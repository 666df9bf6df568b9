import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { rolesFor, vaultRulesFor } from '../../e2e/permissions-page.ts';
import type { RecordedRequest } from '../../simulator/requests.ts';
import type { Values } from '../../simulator/runner.ts';
import { type Permission, permissionsOf, textOf, usedBy, usedInVault } from './permissions-used.ts';
import { startWorld, type World } from './world.ts';

/** What a Panfactum cluster serves beside Kubernetes and cert-manager. */
const API_GROUPS = ['autoscaling.k8s.io', 'monitoring.coreos.com'];
const CACHE = '/api/v1/namespaces/node-image-cache/configmaps';
const STATEFUL_SET = '/apis/apps/v1/namespaces/demo/statefulsets/nats';

/** Every input that asks for a permission of its own. */
const EVERYTHING = { monitoring_enabled: 'true', voluntary_disruption_window_enabled: 'true' };

let world: World;
const requests: { [mode in 'apply' | 'destroy']: RecordedRequest[] } = { apply: [], destroy: [] };

/** Runs in which everything that may happen to a cluster happens once. */
beforeAll(async () => {
  world = await startWorld({ apiGroups: API_GROUPS, namespaces: ['node-image-cache'], speed: 4 });
  for (const name of ['pinned-images-amd64', 'pinned-images-arm64'])
    await world.kube('POST', CACHE, { metadata: { name } });

  // Pods of an older revision whose server does not run are replaced, whether the present one is better or not.
  for (const image of ['registry.example/nats:typo', 'registry.example/nats:another']) {
    world.behaviour.missingImages.add(image);
    const stuck = await world.apply({ ...EVERYTHING, create_namespace: 'true', nats_image: image });
    expect(stuck.errors[0]).toContain('ImagePull');
  }
  await succeeds(EVERYTHING);
  await succeeds({ ...EVERYTHING, log_level: 'debug' });
  await succeeds({
    vpa_enabled: 'false',
    node_image_cached_enabled: 'false',
    network_policy_enabled: 'false',
    vault_token_bound_cidrs: '10.0.0.0/8',
    certificate_issuer: 'internal',
  });

  world.behaviour.refusedCertificates.set('nats-admin-creds', 'the role is unknown');
  expect((await world.apply({ vault_credential_lifetime_hours: '24' })).errors[0]).toContain('the role is unknown');
  world.behaviour.refusedCertificates.clear();
  await succeeds({ vault_credential_lifetime_hours: '24' });

  // A single server has no certificate for the others.
  await world.kube('DELETE', STATEFUL_SET);
  for (const ordinal of [0, 1, 2])
    await world.kube('DELETE', `/api/v1/namespaces/demo/persistentvolumeclaims/data-nats-${ordinal}`);
  await succeeds({ replicas: '1' });

  await succeeds({ ...EVERYTHING, replicas: '1' });
  requests.apply = world.requests.splice(0);
  expect((await world.destroy()).errors).toEqual([]);
  // As kubectl delete --cascade=orphan leaves one behind.
  const labels = { 'app.kubernetes.io/instance': 'nats', 'app.kubernetes.io/managed-by': 'kube-nats-action' };
  await world.kube('POST', '/api/v1/namespaces/demo/pods', { metadata: { name: 'nats-0', labels } });
  expect((await world.destroy({ delete_data: 'true', delete_namespace: 'true' })).errors).toEqual([]);
  requests.destroy = world.requests.splice(0);
}, 300_000);

afterAll(() => world.close());

async function succeeds(inputs: Values): Promise<void> {
  expect((await world.apply(inputs)).errors).toEqual([]);
}

/** What the Roles of docs/permissions.md grant for a mode, a permission each. */
function granted(mode: keyof typeof requests): Permission[] {
  return rolesFor('demo', mode).flatMap((role) =>
    role.rules.flatMap((rule) => permissionsOf(rule, role.namespace ?? undefined)),
  );
}

/** What this action sent in a mode, and nobody else. */
function requestsOfAction(mode: keyof typeof requests): RecordedRequest[] {
  return requests[mode].filter(({ userAgent }) => userAgent.startsWith('kube-nats-action/'));
}

test.each(['apply', 'destroy'] as const)(
  'the Roles of docs/permissions.md grant what runs of mode %s do, and nothing more',
  (mode) => {
    const texts = granted(mode).map(textOf);
    const used = requestsOfAction(mode).flatMap(usedBy);
    // A permission without names is for every name.
    const held = used.map((permission) => {
      const anyName = textOf({ ...permission, name: undefined });
      return texts.includes(anyName) ? anyName : textOf(permission);
    });
    expect(texts.length).toBeGreaterThan(50);
    expect([...new Set(held)].sort()).toEqual([...new Set(texts)].sort());
  },
);

test.each(['apply', 'destroy'] as const)(
  'the Vault policy of docs/permissions.md allows what runs of mode %s do, and nothing more but what they can do without',
  (mode) => {
    const rules = vaultRulesFor('demo', 'nats', mode);
    const allowed = (optional: boolean) =>
      rules
        .filter((rule) => rule.optional === optional)
        .flatMap(({ path, capabilities }) => capabilities.map((capability) => `${capability} ${path}`));
    const needed = allowed(false);
    // A list is asked for at the path of what is listed, without the slash that policies see.
    const isSpare = (use: string) => allowed(true).some((rule) => `${use}/`.startsWith(rule.replace('*', '')));
    const used = [...new Set(usedInVault(requestsOfAction(mode)))];
    expect(needed.length).toBeGreaterThan(15);
    expect(used.filter((use) => needed.includes(use) || !isSpare(use)).sort()).toEqual(needed.sort());
  },
);
