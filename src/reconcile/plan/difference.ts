import { isJsonObject, type Json } from '../../json.ts';

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
  if (Array.isArray(from) && Array.isArray(to)) {
    const names = inOneOrder(namesOf(from), namesOf(to));
    if (names !== null)
      return names.flatMap((name) => differences(named(from, name), named(to, name), `${path}[${name}]`));
    if (from.length === to.length)
      return from.flatMap((item, index) => differences(item, to[index], `${path}[${index}]`));
  }
  return from === to ? [] : [{ path, from, to }];
}

/** The names of a list's items; null where they do not tell them apart. */
function namesOf(list: Json[]): string[] | null {
  const names = list.map(nameOf);
  return new Set(names).size === names.length && !names.includes('') ? names : null;
}

function nameOf(item: Json): string {
  return isJsonObject(item) && typeof item.name === 'string' ? item.name : '';
}

function named(list: Json[], name: string): Json | undefined {
  return list.find((item) => nameOf(item) === name);
}

/** All names of both lists; null where those in both change their order, which may be all that differs. */
function inOneOrder(from: string[] | null, to: string[] | null): string[] | null {
  if (from === null || to === null) return null;
  const order = to.filter((name) => from.includes(name));
  const isSame = from.filter((name) => to.includes(name)).every((name, index) => name === order[index]);
  return isSame ? [...new Set([...from, ...to])] : null;
}
