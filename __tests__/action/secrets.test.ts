import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Provider, startProvider } from '../../simulator/github-oidc.ts';
import { type Ending, runMain, runPost, type Values } from '../../simulator/runner.ts';
import { startWorld, type World } from './world.ts';

let world: World;
let provider: Provider;

beforeAll(async () => {
  world = await startWorld();
  provider = await startProvider();
  await world.vaultRequest('POST', 'auth/jwt/role/deployer', {
    role_type: 'jwt',
    user_claim: 'repository',
    token_policies: ['root'],
  });
});

afterAll(async () => {
  provider.close();
  await world.close();
});

interface Case {
  name: string;
  inputs: () => Values;
  /** Strings that nobody may see. */
  secrets: () => string[];
}

const SENTINEL = 'sentinel-9d1f7c3a';

const CASES: Case[] = [
  { name: 'a run that succeeds', inputs: () => ({}), secrets: () => [world.vaultToken] },
  {
    name: 'a Vault token that is refused',
    inputs: () => ({ vault_token: `hvs.${SENTINEL}` }),
    secrets: () => [SENTINEL],
  },
  {
    name: 'a secret ID that is refused',
    inputs: () => ({ vault_auth_method: 'approle', vault_role_id: 'role', vault_secret_id: `id-${SENTINEL}` }),
    secrets: () => [SENTINEL],
  },
  {
    name: 'a Kubernetes token that is refused',
    inputs: () => ({ kubeconfig: world.kubeconfig.replace('simulator-token', `token-${SENTINEL}`) }),
    secrets: () => [SENTINEL],
  },
  {
    name: 'a kubeconfig with broken YAML',
    inputs: () => ({ kubeconfig: `${world.kubeconfig.replace('simulator-token', `"${SENTINEL}`)}` }),
    secrets: () => [SENTINEL],
  },
  {
    name: 'secrets beside inputs that are wrong',
    inputs: () => ({ vault_token: `hvs.${SENTINEL}`, replicas: '2', name: `hvs.${SENTINEL}` }),
    secrets: () => [SENTINEL],
  },
  {
    name: 'a login whose token is minted',
    inputs: () => ({ vault_auth_method: 'jwt', vault_role: 'deployer' }),
    secrets: () => [],
  },
];

test.each(CASES)('nothing shows a secret: $name', async ({ inputs, secrets }) => {
  const given = { ...world.inputs, ...inputs() };
  const debug = { ...provider.environment, RUNNER_DEBUG: '1' };
  const main = await runMain(given, debug);
  const post = await runPost(given, main.state);
  const hidden = [...secrets(), ...Object.values(main.state)];
  expect(hidden.length).toBeGreaterThan(0);
  for (const secret of hidden) {
    expect(shownOf(main)).not.toContain(secret);
    expect(shownOf(post)).not.toContain(secret);
  }
});

test('each secret is masked before the first line that anything else writes', async () => {
  const main = await runMain(world.inputs);
  const lines = main.printed.split('\n');
  const firstWords = lines.findIndex((line) => line !== '' && !line.startsWith('::add-mask::'));
  for (const secret of [world.vaultToken, 'simulator-token']) {
    const masked = lines.indexOf(`::add-mask::${secret}`);
    expect(masked).toBeGreaterThanOrEqual(0);
    expect(masked).toBeLessThan(firstWords);
  }
});

test('no secret reaches the objects in the cluster', () => {
  const written = JSON.stringify(
    world.requests.filter(({ method, path }) => method !== 'GET' && !path.includes('/proxy/')).map(({ body }) => body),
  );
  expect(written).not.toContain(world.vaultToken);
  expect(written).not.toContain('simulator-token');
  expect(written).not.toContain('PRIVATE KEY');
});

/** All that a reader of the workflow run can get at, debug lines included; the runner swallows what it has to mask. */
function shownOf({ printed, outputs, summary }: Ending): string {
  return JSON.stringify({ log: printed.replace(/^::add-mask::.*$/gm, ''), outputs, summary });
}
