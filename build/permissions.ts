// Renders what docs/permissions.md and docs/vault.md grant, from the tables that a run checks itself by.

import { identities } from '../src/desired/identities.ts';
import { IMAGE_CACHE_NAMESPACE } from '../src/desired/image-cache.ts';
import { clusterNames } from '../src/desired/names.ts';
import { vaultObjects } from '../src/desired/vault-objects.ts';
import { parseInputs } from '../src/inputs/parse.ts';
import { INPUTS, type Inputs } from '../src/inputs/table.ts';
import { groupOf, RESOURCES } from '../src/kube/resources.ts';
import { rulesOf, ruleText } from '../src/reconcile/access/access-check.ts';
import {
  CLUSTER_WIDE,
  IN_IMAGE_CACHE,
  IN_NAMESPACE,
  OF_MODULE,
  OPTIONAL,
  type Rule,
  resourceText,
} from '../src/reconcile/access/permissions.ts';
import { pathText } from '../src/vault/path.ts';
import { type Need, neededCapabilities, OF_POLICY_DEFAULT } from '../src/vault/preflight.ts';
import { policyRule } from '../src/vault/refusal.ts';
import { vaultRoute } from '../src/vault/route.ts';

/** The example that the pages are about: everything that inputs can ask for. */
function exampleOf(mode: string): Inputs {
  const { inputs } = parseInputs({
    INPUT_MODE: mode,
    INPUT_NAMESPACE: 'messaging',
    INPUT_CREATE_NAMESPACE: 'true',
    INPUT_DELETE_DATA: `${mode === 'destroy'}`,
    INPUT_DELETE_NAMESPACE: `${mode === 'destroy'}`,
    INPUT_MONITORING_ENABLED: 'true',
    INPUT_VOLUNTARY_DISRUPTION_WINDOW_ENABLED: 'true',
    INPUT_CERTIFICATE_ISSUER: 'internal',
    INPUT_VAULT_ROLE: 'nats-deployer',
    INPUT_VAULT_INTERNAL_PKI_BACKEND_MOUNT_PATH: 'pki/nats',
  });
  return inputs;
}

/** The Roles and the ClusterRole of each mode, as YAML. */
export function kubernetesRoles(): string {
  return perMode((inputs) => fence('yaml', rolesOf(inputs)));
}

/** The Role that taking over a cluster of the Terraform module needs besides. */
export function adoptionRole(): string {
  const inputs = { ...exampleOf('apply'), remove_module_leftovers: true };
  const rules = OF_MODULE.flatMap((rule) => ruleLines(rule, inputs));
  return fence('yaml', role('Role', inputs.namespace, rules, undefined, 'nats-adoption'));
}

/** The rules of each mode's Vault policy, with those of Vault's own policy `default`. */
export function vaultPolicies(): string {
  return perMode((inputs) => {
    const { ask, lookUp, revoke } = OF_POLICY_DEFAULT;
    const own = [
      '# Of the policy default, which a token has unless its role says token_no_default_policy.',
      ...policyLines([ask]),
      '# With vault_auth_method token only.',
      ...policyLines([lookUp]),
      ...policyLines([revoke]),
    ];
    return fence('hcl', [...policyLines(needsOf(inputs)), ...own].join('\n'));
  });
}

/** The command of docs/vault.md that writes the policy for production. */
export function productionPolicy(): string {
  return policyCommand('nats-deployer', needsOf(exampleOf('apply')));
}

/** And that for previews, whose namespaces and names all begin alike. */
export function previewPolicy(): string {
  const mount = { vault_internal_pki_backend_mount_path: 'pki/preview' };
  const previews = { namespace: 'preview-*', name: 'preview-*', ...mount };
  const needs = ['apply', 'destroy'].flatMap((mode) => needsOf({ ...exampleOf(mode), ...previews }));
  return policyCommand('nats-preview', merged(needs));
}

/** One rule for each path, with all that is needed there. */
function merged(needs: Need[]): Need[] {
  const paths = [...new Set(needs.map(({ path }) => pathText(path)))];
  return paths.flatMap((path) => {
    const [first, ...others] = needs.filter((need) => pathText(need.path) === path);
    if (first === undefined) return [];
    const capabilities = [first, ...others].flatMap((need) => need.capabilities);
    return [{ ...first, capabilities: [...new Set(capabilities)] }];
  });
}

function policyCommand(policy: string, needs: Need[]): string {
  const rules = policyLines(needs).join('\n');
  return fence('sh', `vault policy write ${policy} - <<'POLICY'\n${rules}\nPOLICY`);
}

/** What clusters of the inputs need whose own Issuers sign everything; without a name, of any name. */
function needsOf(inputs: Inputs): Need[] {
  const ownIssuers = { ...inputs, certificate_issuer: null };
  const names = clusterNames(inputs.name ?? '*', inputs.namespace);
  return neededCapabilities(vaultObjects(ownIssuers, names, identities(ownIssuers, names), ''), inputs.mode);
}

/** Rules of a policy, what can be done without after the rest. */
function policyLines(needs: Need[]): string[] {
  return needs.flatMap(({ path, capabilities, optionalFor }) => [
    ...(optionalFor === undefined ? [] : [`# Only for ${optionalFor}:`]),
    policyRule(pattern(pathText(path)), capabilities),
  ]);
}

/** A policy knows "*" at the end of a path only. */
function pattern(path: string): string {
  const [start, ...rest] = path.split('*');
  return rest.length === 0 ? path : `${start}*`;
}

function perMode(render: (inputs: Inputs) => string): string {
  const modes = INPUTS.mode.values.split(', ');
  return modes.map((mode) => `### \`mode: ${mode}\`\n\n${render(exampleOf(mode))}\n`).join('\n');
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

function role(
  kind: 'Role' | 'ClusterRole',
  namespace: string | null,
  rules: string[],
  when?: string,
  name = 'nats-deployer',
): string {
  return [
    ...(when === undefined ? [] : [`# ${when}`]),
    'apiVersion: rbac.authorization.k8s.io/v1',
    `kind: ${kind}`,
    `metadata: { name: ${name}${namespace === null ? '' : `, namespace: ${namespace}`} }`,
    'rules:',
    ...rules,
  ].join('\n');
}

/** The rule with its comments; nothing where the mode does not need it. */
function ruleLines({ kinds, subresource, verbs, names, when, why }: Rule, inputs: Inputs): string[] {
  const [kind] = kinds;
  const sent = verbs[inputs.mode] ?? [];
  if (kind === undefined || sent.length === 0) return [];
  const rule = {
    group: groupOf(RESOURCES[kind]),
    resources: kinds.map((each) => resourceText(each, subresource)),
    names: (names?.(inputs) ?? []).filter((name) => name !== null),
    verbs: [...sent],
  };
  return [
    ...(when === undefined ? [] : [`  # ${when}`]),
    `  - ${ruleText(rule)}${why === undefined ? '' : ` # ${why}`}`,
  ];
}
