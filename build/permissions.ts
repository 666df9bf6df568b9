// Renders what docs/permissions.md and docs/vault.md grant, from the tables that a run checks itself by.

import { IMAGE_CACHE_NAMESPACE } from '../src/desired/image-cache.ts';
import { parseInputs } from '../src/inputs/parse.ts';
import { INPUTS, type Inputs } from '../src/inputs/table.ts';
import { groupOf, RESOURCES } from '../src/kube/resources.ts';
import { rulesOf, ruleText } from '../src/reconcile/access-check.ts';
import {
  CLUSTER_WIDE,
  IN_IMAGE_CACHE,
  IN_NAMESPACE,
  OPTIONAL,
  type Rule,
  resourceText,
} from '../src/reconcile/permissions.ts';
import { vaultRoute } from '../src/vault/route.ts';

/** The example that the pages are about, in each mode: everything that inputs can ask for. */
const EXAMPLES: Inputs[] = INPUTS.mode.values.split(', ').map((mode) => {
  const { inputs } = parseInputs({
    INPUT_MODE: mode,
    INPUT_NAMESPACE: 'messaging',
    INPUT_CREATE_NAMESPACE: 'true',
    INPUT_MONITORING_ENABLED: 'true',
    INPUT_VOLUNTARY_DISRUPTION_WINDOW_ENABLED: 'true',
    INPUT_CERTIFICATE_ISSUER: 'internal',
    INPUT_VAULT_ROLE: 'nats-deployer',
    INPUT_VAULT_INTERNAL_PKI_BACKEND_MOUNT_PATH: 'pki/nats',
  });
  return inputs;
});

/** The Roles and the ClusterRole of each mode, as YAML. */
export function kubernetesRoles(): string {
  return perMode((inputs) => fence('yaml', rolesOf(inputs)));
}

function perMode(render: (inputs: Inputs) => string): string {
  return EXAMPLES.map((inputs) => `### \`mode: ${inputs.mode}\`\n\n${render(inputs)}\n`).join('\n');
}

function fence(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\``;
}

function rolesOf(inputs: Inputs): string {
  const lines = (rules: Rule[]) => rules.flatMap((rule) => ruleLines(rule, inputs));
  const route = vaultRoute(inputs);
  return [
    role('Role', inputs.namespace, lines([...IN_NAMESPACE, ...OPTIONAL])),
    role('ClusterRole', null, lines(CLUSTER_WIDE)),
    role(
      'Role',
      IMAGE_CACHE_NAMESPACE,
      lines(IN_IMAGE_CACHE),
      'Only where the cluster has a node image cache (this namespace), unless node_image_cached_enabled is false.',
    ),
    ...(route.direct
      ? []
      : [
          role(
            'Role',
            route.accesses[0]?.namespace ?? null,
            rulesOf(route.accesses).map((rule) => `  - ${ruleText(rule)}`),
            'Only without vault_url, when the action reaches Vault through the API server.',
          ),
        ]),
  ].join('\n---\n');
}

function role(kind: 'Role' | 'ClusterRole', namespace: string | null, rules: string[], when?: string): string {
  return [
    ...(when === undefined ? [] : [`# ${when}`]),
    'apiVersion: rbac.authorization.k8s.io/v1',
    `kind: ${kind}`,
    `metadata: { name: nats-deployer${namespace === null ? '' : `, namespace: ${namespace}`} }`,
    'rules:',
    ...rules,
  ].join('\n');
}

/** The rule with its comments; nothing where the mode does not need it. */
function ruleLines({ kinds, subresource, verbs, names, when, why }: Rule, inputs: Inputs): string[] {
  const [kind] = kinds;
  if (kind === undefined || verbs[inputs.mode].length === 0) return [];
  const rule = {
    group: groupOf(RESOURCES[kind]),
    resources: kinds.map((each) => resourceText(each, subresource)),
    names: (names?.(inputs) ?? []).filter((name) => name !== null),
    verbs: [...verbs[inputs.mode]],
  };
  return [
    ...(when === undefined ? [] : [`  # ${when}`]),
    `  - ${ruleText(rule)}${why === undefined ? '' : ` # ${why}`}`,
  ];
}
