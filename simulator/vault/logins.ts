import { isJsonObject, type Json, type JsonObject } from '../../src/json.ts';
import { VaultError } from './responses.ts';

/** An auth method at its mount: roles by name, in lower case. */
export interface AuthMethod {
  type: string;
  roles: Map<string, JsonObject>;
  /** AppRole: role by role id, and the secret ids that are good. */
  roleIds: Map<string, string>;
  secretIds: Set<string>;
}

export interface Login {
  role: JsonObject;
  metadata: JsonObject;
}

/** Checks a login's body and finds its role; refusals as OpenBao 2.6.2 words them. */
export function logIn(method: AuthMethod, body: JsonObject): Login {
  const check = METHODS[method.type];
  if (check === undefined) {
    throw new VaultError(400, `auth method ${method.type} has no login`);
  }
  return check(method, body);
}

const METHODS: { [type: string]: (method: AuthMethod, body: JsonObject) => Login } = {
  jwt: (method, body) => {
    if (typeof body.jwt !== 'string' || body.jwt === '') {
      throw new VaultError(400, 'missing token');
    }
    const name = String(body.role);
    const role = method.roles.get(name);
    if (role === undefined) {
      throw new VaultError(400, `role "${name}" could not be found`);
    }
    const claims = claimsOf(body.jwt);
    if (claims === undefined) {
      const reason = 'error verifying token signature: go-jose/go-jose: compact JWS format must have three parts';
      throw new VaultError(400, `error validating token: ${reason}`);
    }
    const bound = texts(role.bound_audiences);
    if (bound.length > 0 && !texts(claims.aud).some((audience) => bound.includes(audience))) {
      const reason = 'invalid audience (aud) claim: audience claim does not match any expected audience';
      throw new VaultError(400, `error validating token: ${reason}`);
    }
    checkBoundClaims(role.bound_claims, claims);
    return { role, metadata: { role: name } };
  },
  approle: (method, body) => {
    const name = method.roleIds.get(String(body.role_id));
    const role = name === undefined ? undefined : method.roles.get(name);
    if (role === undefined || !method.secretIds.has(String(body.secret_id))) {
      throw new VaultError(400, 'invalid role or secret ID');
    }
    return { role, metadata: { role_name: name } };
  },
  kubernetes: (method, body) => {
    const name = String(body.role).toLowerCase();
    const role = method.roles.get(name);
    if (role === undefined) {
      throw new VaultError(400, `invalid role name "${String(body.role)}"`);
    }
    const claims = claimsOf(String(body.jwt));
    const [, , namespace = '', account = ''] = String(claims?.sub).split(':');
    if (!isBound(role.bound_service_account_namespaces, namespace)) {
      throw new VaultError(403, 'namespace not authorized');
    }
    if (!isBound(role.bound_service_account_names, account)) {
      throw new VaultError(403, 'service account name not authorized');
    }
    return { role, metadata: { role: name, service_account_name: account, service_account_namespace: namespace } };
  },
};

/** A token's claims; its signature is not checked. Undefined for text that is no JWT. */
function claimsOf(token: string): JsonObject | undefined {
  const [, payload, signature] = token.split('.');
  if (payload === undefined || signature === undefined) {
    return undefined;
  }
  try {
    const claims: Json = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    return isJsonObject(claims) ? claims : undefined;
  } catch {
    return undefined;
  }
}

/** Each claim, or an item of it, must be one of its bound values: https://developer.hashicorp.com/vault/docs/auth/jwt#bound-claims */
function checkBoundClaims(bound: Json | undefined, claims: JsonObject): void {
  for (const [claim, values] of Object.entries(isJsonObject(bound) ? bound : {})) {
    const actual = listOf(claims[claim]);
    if (actual.length === 0) {
      throw new VaultError(400, `error validating claims: claim "${claim}" is missing`);
    }
    if (!listOf(values).some((value) => actual.includes(value))) {
      const reason = `claim "${claim}" does not match any associated bound claim values`;
      throw new VaultError(400, `error validating claims: ${reason}`);
    }
  }
}

function listOf(value: Json | undefined): Json[] {
  return (Array.isArray(value) ? value : [value]).filter((item) => item !== undefined && item !== null);
}

function isBound(bound: Json | undefined, name: string): boolean {
  const names = texts(bound);
  return names.includes('*') || names.includes(name);
}

function texts(value: Json | undefined): string[] {
  return listOf(value).map(String);
}
