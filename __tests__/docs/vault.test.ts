import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { type Login, logIn } from '../../simulator/vault/logins.ts';
import { capabilitiesAt } from '../../simulator/vault/policies.ts';
import { identities } from '../../src/desired/identities.ts';
import { clusterNames } from '../../src/desired/names.ts';
import type { DesiredVault } from '../../src/desired/state.ts';
import { vaultObjects } from '../../src/desired/vault-objects.ts';
import { parseInputs } from '../../src/inputs/parse.ts';
import type { Inputs } from '../../src/inputs/table.ts';
import type { JsonObject } from '../../src/json.ts';
import { neededCapabilities } from '../../src/vault/preflight.ts';
import { documentedSteps } from '../workflows.ts';

const PAGE = readFileSync('docs/vault.md', 'utf8');
const ROLES = new Map<string, JsonObject>(
  heredocs(/vault write auth\/jwt\/role\/(\S+) - <<'ROLE'\n([\s\S]*?)\nROLE/g).map(([name, role]) => [
    name,
    JSON.parse(role),
  ]),
);
const POLICIES = new Map(heredocs(/vault policy write (\S+) - <<'POLICY'\n([\s\S]*?)\nPOLICY/g));
const STEPS = documentedSteps();
const JOB = { aud: 'https://github.com/org', repository: 'org/app' };

function heredocs(command: RegExp): [name: string, text: string][] {
  return [...PAGE.matchAll(command)].map(([, name = '', text = '']) => [name, text]);
}

/** A job's login at the page's roles, as a Vault of the page checks it. */
function loginAs(role: string | null, claims: JsonObject): Login {
  const payload = Buffer.from(JSON.stringify({ ...JOB, ...claims })).toString('base64url');
  const method = { type: 'jwt', roles: ROLES, roleIds: new Map(), secretIds: new Set<string>() };
  return logIn(method, { role, jwt: `e30.${payload}.signature` });
}

/** What a run with the inputs writes in Vault. */
function objectsOf(inputs: Inputs): DesiredVault {
  const names = clusterNames(inputs.name ?? 'nats-1a2b3c4d', inputs.namespace);
  return vaultObjects(inputs, names, identities(inputs, names), 'uid');
}

/** The paths in Vault that a run with the inputs reads and writes. */
function pathsOf(inputs: Inputs): string[] {
  const { pkiRoles, policy, authRole } = objectsOf(inputs);
  return [...pkiRoles, authRole].map(({ path }) => path.join('/')).concat(`sys/policies/acl/${policy.name}`);
}

function capabilitiesOf({ role }: Login, path: string): string[] {
  return capabilitiesAt(path, [role.token_policies].flat().map(String), POLICIES);
}

/** What the steps that log in at that role need at the path, all of them together. */
function neededBySteps(role: string | null, path: string[]): string[] {
  const ofRole = STEPS.map(({ environment }) => parseInputs(environment).inputs).filter(
    ({ vault_role }) => vault_role === role,
  );
  const needs = ofRole.flatMap((inputs) => neededCapabilities(objectsOf({ ...inputs, replicas: 3 }), inputs.mode));
  const atPath = needs.filter((need) => need.path.join('/') === path.join('/'));
  return [...new Set(atPath.flatMap(({ capabilities }) => capabilities))].sort();
}

describe.each(STEPS)('the step in $file', ({ file, environment, claims }) => {
  const { inputs } = parseInputs(environment);

  test('logs in at the role of docs/vault.md', () => {
    expect(() => loginAs(inputs.vault_role, claims)).not.toThrow();
  });

  test('may do by the policy of docs/vault.md what it needs, and nothing more', () => {
    const login = loginAs(inputs.vault_role, claims);
    for (const { path } of neededCapabilities(objectsOf(inputs), inputs.mode)) {
      const at = path.join('/').replace('*', 'somebody-else');
      expect([at, capabilitiesOf(login, at)]).toEqual([at, neededBySteps(inputs.vault_role, path)]);
    }
  });

  test('and no other job does so', () => {
    expect(() => loginAs(inputs.vault_role, { ...claims, repository: 'org/other' })).toThrow('repository');
    expect(() => loginAs(inputs.vault_role, { event_name: 'schedule' })).toThrow('error validating claims');
    const others = STEPS.filter((step) => step.claims.event_name !== claims.event_name);
    expect(others.length).toBeGreaterThan(0);
    for (const other of others) {
      const elsewhere = parseInputs(other.environment).inputs;
      expect(() => loginAs(elsewhere.vault_role, claims)).toThrow('error validating claims');
      const login = loginAs(inputs.vault_role, claims);
      for (const path of pathsOf(elsewhere))
        expect([file, path, capabilitiesOf(login, path)]).toEqual([file, path, ['deny']]);
    }
  });
});
