import { isJsonObject, type Json } from '../json.ts';

/** One field that differs; `from` or `to` is undefined where the field is absent. */
export interface FieldDifference {
  /** "spec.template.spec.containers[nats].image" */
  path: string;
  from: Json | undefined;
  to: Json | undefined;
}

/** The fields in which two JSON values differ, at the deepest level that tells them apart. */
export function differences(from: Json | undefined, to: Json | undefined, path = ''): FieldDifference[] {
  if (isJsonObject(from) && isJsonObject(to)) {
    const keys = new Set([...Object.keys(from), ...Object.keys(to)]);
    return [...keys].flatMap((key) => differences(from[key], to[key], path === '' ? key : `${path}.${key}`));
  }
  if (Array.isArray(from) && Array.isArray(to) && from.length === to.length) {
    return from.flatMap((item, index) => differences(item, to[index], `${path}[${labelOf(item, index)}]`));
  }
  return from === to ? [] : [{ path, from, to }];
}

function labelOf(item: Json, index: number): string {
  return isJsonObject(item) && typeof item.name === 'string' ? item.name : String(index);
}
