import { isJsonObject, type Json, type JsonObject } from './json.ts';

/** Gives a text back without the secrets that are known by then. */
export type Redact = (text: string) => string;

/** The text with *** in place of each of the secrets. */
export function redacted(text: string, secrets: string[]): string {
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, '***'), text);
}

/** The same of a value, wherever a text is in it: the keys as well, and a number that is a secret. */
export function redactedValue(value: Json, redact: Redact): Json {
  if (typeof value === 'string') return redact(value);
  if (Array.isArray(value)) return value.map((item) => redactedValue(item, redact));
  if (isJsonObject(value)) return redactedObject(value, redact);
  const text = String(value);
  return redact(text) === text ? value : redact(text);
}

/** The same of an object. */
export function redactedObject(object: JsonObject, redact: Redact): JsonObject {
  const entries = Object.entries(object).map(([key, value]) => [
    redact(key),
    value === undefined ? undefined : redactedValue(value, redact),
  ]);
  return Object.fromEntries(entries);
}
