import type { Transport } from '../http/transport.ts';
import type { JsonObject } from '../json.ts';

/** Time as this client needs it: tests pass one that does not wait. */
export interface Clock {
  /** Milliseconds since any fixed moment. */
  now(): number;
  /** Resolves after so many milliseconds. */
  sleep(milliseconds: number): Promise<void>;
}

export interface VaultHealth {
  initialized: boolean;
  sealed: boolean;
  standby: boolean;
  version: string;
}

/**
 * Vault's HTTP API as far as this action uses it. Paths are below /v1/, in segments. Every failure is a Problem; a token
 * or secret is never part of one.
 */
export interface VaultClient {
  /** The answer's JSON, or null where nothing is stored at the path (404). */
  read(path: string[]): Promise<JsonObject | null>;
  /** The answer as text (PEM); null where nothing is stored at the path. */
  readText(path: string[]): Promise<string | null>;
  /** The answer's JSON, or null where Vault answers with nothing (204). */
  write(path: string[], body: JsonObject): Promise<JsonObject | null>;
  delete(path: string[]): Promise<void>;
  /** Works on a sealed or uninitialised server too. */
  health(): Promise<VaultHealth>;
  /** The token sent from now on; null: none. */
  setToken(token: string | null): void;
}

export interface VaultConnection {
  transport: Transport;
  /** What stands before /v1/: the API server's service proxy, or '' when Vault is reached directly. */
  pathPrefix: string;
  /** Vault (Enterprise, HCP) or OpenBao namespace; '' for the root namespace. */
  namespace: string;
  clock: Clock;
  /** Called with a sentence when a sealed or failing Vault is waited for. */
  progress(message: string): void;
}
