import { randomBytes, randomUUID } from 'node:crypto';
import type { JsonObject } from '../../src/json.ts';

export interface Token {
  id: string;
  accessor: string;
  policies: string[];
  /** The login path: auth/jwt/login. */
  path: string;
  metadata: JsonObject;
  issued: Date;
  /** Seconds from the login; 0 for a token that does not expire. */
  ttl: number;
}

/** The tokens that Vault has given out and not revoked. */
export class TokenStore {
  #tokens = new Map<string, Token>();

  constructor(rootToken: string) {
    const root = { id: rootToken, policies: ['root'], path: 'auth/token/root', metadata: {}, ttl: 0 };
    this.#tokens.set(rootToken, { ...root, accessor: accessor(), issued: new Date() });
  }

  /** Makes a token for a login, or for a test that wants one with certain policies. */
  issue(policies: string[], ttl: number, path = 'auth/token/create', metadata: JsonObject = {}): Token {
    const id = `hvs.${randomBytes(18).toString('base64url')}`;
    const token = { id, accessor: accessor(), policies, path, metadata, issued: new Date(), ttl };
    this.#tokens.set(id, token);
    return token;
  }

  /** Undefined for an unknown, revoked or expired token. */
  find(id: string): Token | undefined {
    const token = this.#tokens.get(id);
    return token === undefined || isExpired(token) ? undefined : token;
  }

  revoke(token: Token): void {
    this.#tokens.delete(token.id);
  }

  /** Remembers what is there; to call what it returns brings that back. */
  snapshot(): () => void {
    const tokens = new Map(this.#tokens);
    return () => {
      this.#tokens = new Map(tokens);
    };
  }

  /** Ids of the tokens that are still good, without the root token. */
  get alive(): string[] {
    return [...this.#tokens.values()].filter((token) => token.ttl > 0 && !isExpired(token)).map(({ id }) => id);
  }
}

function isExpired(token: Token): boolean {
  return token.ttl > 0 && Date.now() > token.issued.getTime() + 1000 * token.ttl;
}

/** The `auth` of a login's answer. */
export function authOf(token: Token): JsonObject {
  return {
    client_token: token.id,
    accessor: token.accessor,
    policies: token.policies,
    token_policies: token.policies,
    metadata: token.metadata,
    lease_duration: token.ttl,
    renewable: true,
    entity_id: randomUUID(),
    token_type: 'service',
    orphan: true,
    mfa_requirement: null,
    num_uses: 0,
  };
}

/** The `data` of auth/token/lookup-self. */
export function lookupOf(token: Token): JsonObject {
  const expires = new Date(token.issued.getTime() + 1000 * token.ttl);
  return {
    accessor: token.accessor,
    creation_time: Math.floor(token.issued.getTime() / 1000),
    creation_ttl: token.ttl,
    display_name: token.path.split('/')[1] ?? 'token',
    entity_id: '',
    expire_time: token.ttl === 0 ? null : expires.toISOString(),
    explicit_max_ttl: 0,
    id: token.id,
    issue_time: token.issued.toISOString(),
    meta: token.metadata,
    num_uses: 0,
    orphan: true,
    path: token.path,
    policies: token.policies,
    renewable: token.ttl > 0,
    ttl: token.ttl === 0 ? 0 : Math.ceil((expires.getTime() - Date.now()) / 1000),
    type: 'service',
  };
}

function accessor(): string {
  return randomBytes(18).toString('base64url');
}
