import { randomUUID } from 'node:crypto';
import type { JsonObject } from '../../src/json.ts';
import type { SimulatedResponse } from '../http.ts';

/** A refusal as Vault words it: {"errors": [...]}. */
export class VaultError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }

  toResponse(): SimulatedResponse {
    return { status: this.status, body: { errors: this.message === '' ? [] : [this.message] } };
  }
}

/** Nothing is stored at the path. */
export function nothingHere(): VaultError {
  return new VaultError(404, '');
}

export function permissionDenied(): VaultError {
  return new VaultError(403, 'permission denied');
}

/** Vault's envelope around `data` or `auth`. */
export function answer(data: JsonObject | null, extra: JsonObject = {}): SimulatedResponse {
  return {
    status: 200,
    body: {
      request_id: randomUUID(),
      lease_id: '',
      renewable: false,
      lease_duration: 0,
      data,
      wrap_info: null,
      warnings: null,
      auth: null,
      ...extra,
    },
  };
}

export const NO_CONTENT: SimulatedResponse = { status: 204 };
