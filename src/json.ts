/** Any value that JSON can carry: what the Kubernetes and the Vault API speak. */
export type Json = string | number | boolean | null | Json[] | JsonObject;

export interface JsonObject {
  [key: string]: Json | undefined;
}

/** Tells objects from arrays, null and scalars. */
export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value at a path of keys; undefined where the path leaves the objects. */
export function dig(value: Json | undefined, ...path: string[]): Json | undefined {
  return path.reduce<Json | undefined>((at, key) => (isJsonObject(at) ? at[key] : undefined), value);
}

/** The objects in the list at a path of keys; none where there is no list. */
export function digObjects(value: Json | undefined, ...path: string[]): JsonObject[] {
  const list = dig(value, ...path);
  return Array.isArray(list) ? list.filter(isJsonObject) : [];
}

/** The items of a list as texts; none where there is no list. */
export function textsIn(list: Json | undefined): string[] {
  return Array.isArray(list) ? list.map(String) : [];
}

/** The text at a path of keys, '' where there is none; numbers as text. */
export function digText(value: Json | undefined, ...path: string[]): string {
  const text = dig(value, ...path);
  return typeof text === 'string' || typeof text === 'number' ? String(text) : '';
}
