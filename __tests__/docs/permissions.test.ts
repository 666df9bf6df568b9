import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { loadAll } from 'js-yaml';
import { dig, digObjects, digText, type Json, type JsonObject } from '../../src/json.ts';
import type { Access } from '../../src/kube/client.ts';
import { RESOURCES } from '../../src/kube/resources.ts';
import { imageCacheAccess, neededAccess } from '../../src/reconcile/permissions.ts';
import { vaultRoute } from '../../src/vault/route.ts';
import { inputsWith } from '../inputs/inputs-with.ts';

const text = ({ verb, group, resource, namespace = '*', name = '*' }: Access): string =>
  `${verb} ${group}/${resource} ${namespace}/${name}`;

/** What the page's roles grant, an access each. */
function granted(): string[] {
  const [, yaml = ''] = /```yaml\n([\s\S]*?)```/.exec(readFileSync('docs/permissions.md', 'utf8')) ?? [];
  return (loadAll(yaml) as Json[]).flatMap((role) => {
    const namespace = digText(role, 'metadata', 'namespace') || '*';
    return digObjects(role, 'rules').flatMap((rule) => accessesOf(rule, namespace));
  });
}

function accessesOf(rule: JsonObject, namespace: string): string[] {
  const texts = (field: string) => ((dig(rule, field) ?? []) as Json[]).map(String);
  const names = rule.resourceNames === undefined ? ['*'] : texts('resourceNames');
  return texts('apiGroups').flatMap((group) =>
    texts('resources').flatMap((resource) =>
      names.flatMap((name) => texts('verbs').map((verb) => text({ verb, group, resource, namespace, name }))),
    ),
  );
}

test('the roles of docs/permissions.md grant what a run needs and nothing more', () => {
  const inputs = inputsWith({
    namespace: 'messaging',
    create_namespace: true,
    certificate_issuer: 'internal',
    monitoring_enabled: true,
    voluntary_disruption_window_enabled: true,
  });
  const apis = new Set(Object.values(RESOURCES).map(({ apiVersion }) => apiVersion));
  const route = vaultRoute(inputs);
  const needed = [...neededAccess(inputs, apis), ...imageCacheAccess(), ...(route.direct ? [] : route.accesses)].map(
    text,
  );
  expect(needed.length).toBeGreaterThan(50);
  expect(granted().sort()).toEqual(needed.sort());
});
