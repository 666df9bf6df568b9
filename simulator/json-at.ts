import { dig, isJsonObject, type Json, type JsonObject } from '../src/json.ts';

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

/** A deep copy. Not structuredClone: in a test's own realm its objects would never equal others by isDeepStrictEqual. */
export function copyOf<T extends JsonObject>(object: T): T {
  return JSON.parse(JSON.stringify(object));
}

/** The object itself, which nobody can change any more, nor anything in it. */
export function frozen<T extends Json | undefined>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const part of Object.values(value)) frozen(part);
    Object.freeze(value);
  }
  return value;
}
