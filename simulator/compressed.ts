import { gunzipSync } from 'node:zlib';
import type { Json } from '../src/json.ts';

/** For JSON.stringify: writes out what a ConfigMap holds compressed, under keys such as "last-good.json.gz". */
export function unpacked(key: string, value: Json): Json {
  if (!key.endsWith('.json.gz') || typeof value !== 'string') return value;
  return JSON.parse(gunzipSync(Buffer.from(value, 'base64')).toString('utf8'));
}
