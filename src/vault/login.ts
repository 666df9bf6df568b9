import type { Inputs } from '../inputs/table.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import { Problem, wordsOf } from '../problem.ts';
import type { VaultClient } from './client.ts';
import { mountSegments, pathText } from './path.ts';
import type { LoginAttempt } from './refusal.ts';

/** The inputs that decide how this action logs in to Vault. */
export type LoginInputs = Pick<
  Inputs,
  | 'vault_auth_method'
  | 'vault_auth_path'
  | 'vault_role'
  | 'vault_jwt_audience'
  | 'vault_token'
  | 'vault_role_id'
  | 'vault_secret_id'
  | 'vault_kubernetes_token_path'
>;

export interface LoginPorts {
  /** The runner's OpenID Connect token (getIDToken of @actions/core). */
  idToken(audience?: string): Promise<string>;
  readFile(path: string): Promise<string>;
}

export interface VaultLogin {
  /** To be masked in the log before anything else is done with it. */
  token: string;
  /** Whether this login created the token; a token that was handed in is never revoked. */
  minted: boolean;
  /** Whether the post step can and should revoke it: batch tokens cannot be revoked. */
  revocable: boolean;
  /** Seconds the token lives; 0: without end. */
  ttl: number;
}

/** What each method sends to its login path. */
const CREDENTIALS = {
  async jwt(inputs: LoginInputs, ports: LoginPorts): Promise<JsonObject> {
    return { role: inputs.vault_role, jwt: await idToken(inputs.vault_jwt_audience, ports) };
  },
  async kubernetes(inputs: LoginInputs, ports: LoginPorts): Promise<JsonObject> {
    return { role: inputs.vault_role, jwt: await serviceAccountToken(inputs.vault_kubernetes_token_path, ports) };
  },
  async approle(inputs: LoginInputs): Promise<JsonObject> {
    return { role_id: inputs.vault_role_id, secret_id: inputs.vault_secret_id };
  },
};

/** What each method's refusal asks to check. */
const ADVICE: { [method in keyof typeof CREDENTIALS]: (mount: string) => string } = {
  jwt: (mount) =>
    `Check vault_role, and what that role of ${mount} is bound to: repository, environment or branch (bound_claims) and ` +
    `audience (bound_audiences; vault_jwt_audience). ${mount}/config must trust GitHub's issuer.`,
  kubernetes: (mount) =>
    `Check vault_role, and what that role of ${mount} is bound to: ServiceAccount, namespace and audience of the token ` +
    'in vault_kubernetes_token_path.',
  approle: () =>
    'Check vault_role_id, and make a new vault_secret_id: this one may be wrong, expired, used up or bound to other networks.',
};

function describeLogin(method: keyof typeof CREDENTIALS, role: string | null, mount: string): LoginAttempt {
  return { by: role === null ? method : `${method}, role ${role}`, advice: ADVICE[method](mount) };
}

/** Logs in and makes the client send the token from now on. Fails with a Problem that tells what the method needs. */
export async function login(client: VaultClient, inputs: LoginInputs, ports: LoginPorts): Promise<VaultLogin> {
  const method = inputs.vault_auth_method;
  if (method === 'token') return useToken(client, inputs.vault_token ?? '');
  const mount = ['auth', ...mountSegments(inputs.vault_auth_path ?? method)];
  const path = [...mount, 'login'];
  const attempt = describeLogin(method, inputs.vault_role, pathText(mount));
  const answer = await client.write(path, await CREDENTIALS[method](inputs, ports), attempt);
  const auth = answer?.auth;
  if (!isJsonObject(auth) || typeof auth.client_token !== 'string' || auth.client_token === '') {
    throw new Problem({
      kind: 'vault',
      tried: `Logging in to Vault at ${pathText(path)}`,
      reason: 'Vault accepted the credentials but gave no token.',
      next: 'The auth method may ask for a second factor (MFA), which a workflow cannot give: use a role without it.',
    });
  }
  client.setToken(auth.client_token);
  return {
    token: auth.client_token,
    minted: true,
    revocable: auth.token_type !== 'batch',
    ttl: Number(auth.lease_duration ?? 0),
  };
}

/** Ends the client's token. Only for a login that is revocable. */
export async function revoke(client: VaultClient): Promise<void> {
  await client.write(['auth', 'token', 'revoke-self'], {});
  client.setToken(null);
}

async function useToken(client: VaultClient, token: string): Promise<VaultLogin> {
  client.setToken(token);
  const data = (await lookupSelf(client))?.data;
  return { token, minted: false, revocable: false, ttl: isJsonObject(data) ? Number(data.ttl ?? 0) : 0 };
}

async function lookupSelf(client: VaultClient): Promise<JsonObject | null> {
  try {
    return await client.read(['auth', 'token', 'lookup-self']);
  } catch (error) {
    if (!(error instanceof Problem) || error.details.kind !== 'permission') throw error;
    throw new Problem({
      ...error.details,
      next:
        'The token in vault_token is wrong, expired, revoked or of another namespace (vault_namespace): make a new one. ' +
        'A token without the default policy needs read on auth/token/lookup-self.',
    });
  }
}

async function idToken(audience: string | null, ports: LoginPorts): Promise<string> {
  try {
    return await (audience === null ? ports.idToken() : ports.idToken(audience));
  } catch (error) {
    const message = wordsOf(error);
    // @actions/core names the variable that the runner sets only with the permission.
    const missing = message.includes('ACTIONS_ID_TOKEN_REQUEST');
    throw new Problem({
      kind: missing ? 'permission' : 'connection',
      tried: "Getting the runner's ID token for the Vault login",
      reason: missing ? 'This job may not have one.' : `GitHub's token service failed: ${whyNoToken(message)}.`,
      next: missing
        ? 'Add `permissions: id-token: write` to the job. Workflows of pull requests from forks never get one.'
        : 'Run the job again; if it stays, set vault_auth_method to another method.',
    });
  }
}

/** Of an answer only its status: @actions/core quotes the whole of it, which may tell what was sent. */
function whyNoToken(message: string): string {
  const [, status] = /Error Code : (\d{3})\b/.exec(message) ?? [];
  return status === undefined ? message : `HTTP ${status}`;
}

async function serviceAccountToken(path: string, ports: LoginPorts): Promise<string> {
  try {
    return (await ports.readFile(path)).trim();
  } catch (error) {
    throw new Problem({
      kind: 'input',
      tried: `Reading the ServiceAccount token for the Vault login (vault_kubernetes_token_path)`,
      reason: `${wordsOf(error)}.`,
      next:
        'vault_auth_method kubernetes is for runners in a pod with automountServiceAccountToken; elsewhere use jwt, ' +
        'approle or token.',
    });
  }
}
