import { dig, isJsonObject, type Json } from '../src/json.ts';

/** The map at a path of keys; an empty one where there is none. */
export function mapAt(value: Json | undefined, ...path: string[]): { [key: string]: Json | undefined } {
  const found = dig(value, ...path);
  return isJsonObject(found) ? found : {};
}

/** The list at a path of keys; an empty one where there is none. */
export function listAt(value: Json | undefined, ...path: string[]): Json[] {
  const found = dig(value, ...path);
  return Array.isArray(found) ? found : [];
}
