/** Under this name the Vault token that main minted waits for the post step, which revokes it. */
export const VAULT_TOKEN_STATE = 'vault_token';
