/** The inputs that decide how this action logs in to Vault. */
export interface LoginInputs {
  vault_auth_method: 'jwt' | 'token' | 'approle' | 'kubernetes';
  /** Mount path of the auth method below auth/; '' for the method's name. */
  vault_auth_path: string;
  vault_role: string;
  /** Audience of the runner's ID token; '' for GitHub's default. */
  vault_jwt_audience: string;
  vault_token: string;
  vault_role_id: string;
  vault_secret_id: string;
}

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
  /** Whether the post step can and should revoke it. */
  revocable: boolean;
  /** Seconds the token lives; 0: without end, or unknown. */
  ttl: number;
}
