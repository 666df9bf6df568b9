import type { Json, JsonObject } from '../json.ts';

/** What Vault holds now, in the order of DesiredVault; null where there is nothing. */
export interface LiveVault {
  pkiRoles: (JsonObject | null)[];
  policy: string | null;
  authRole: JsonObject | null;
}

export interface FieldChange {
  name: string;
  from: Json;
  to: Json;
}

export interface VaultChange {
  kind: 'policy' | 'pkiRole' | 'authRole';
  path: string[];
  action: 'create' | 'update';
  fields: FieldChange[];
  /** The whole body to write. */
  body: JsonObject;
}
