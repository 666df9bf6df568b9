import { isDeepStrictEqual } from 'node:util';
import { isJsonObject, type Json, type JsonObject } from '../../src/json.ts';
import { badRequest, StatusError } from './status.ts';

/** RFC 7386 */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isJsonObject(patch)) {
    return patch;
  }
  const result: JsonObject = isJsonObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) {
      delete result[key];
    } else if (value !== undefined) {
      result[key] = mergePatch(result[key], value);
    }
  }
  return result;
}

type Operation = (target: Json, path: string[], value: Json | undefined) => Json;

const OPERATIONS: { [op: string]: Operation } = {
  add: (target, path, value) => edit(target, path, value ?? null, 'add'),
  replace: (target, path, value) => edit(target, path, value ?? null, 'replace'),
  remove: (target, path) => edit(target, path, undefined, 'remove'),
  test: (target, path, value) => {
    if (!isDeepStrictEqual(valueAt(target, path), value)) {
      throw refused();
    }
    return target;
  },
};

/** RFC 6902 without copy and move; a failed test or a missing path is the API server's 422. */
export function jsonPatch(target: Json, operations: Json): Json {
  if (!Array.isArray(operations)) {
    throw badRequest('json: cannot unmarshal object into Go value of type jsonpatch.Patch');
  }
  return operations.reduce((result, operation) => {
    const fields = isJsonObject(operation) ? operation : {};
    const run = OPERATIONS[String(fields.op)];
    if (run === undefined) {
      throw badRequest(`Unexpected kind: ${String(fields.op)}`);
    }
    return run(result, segments(String(fields.path)), fields.value);
  }, target);
}

function edit(target: Json, path: string[], value: Json | undefined, mode: 'add' | 'replace' | 'remove'): Json {
  const [key, ...rest] = path;
  if (key === undefined) {
    return value ?? null;
  }
  if (Array.isArray(target)) {
    return editList(target, key, rest, value, mode);
  }
  if (!isJsonObject(target)) {
    throw refused();
  }
  const child = target[key];
  if (rest.length > 0) {
    if (child === undefined) {
      throw refused();
    }
    return { ...target, [key]: edit(child, rest, value, mode) };
  }
  if (mode !== 'add' && child === undefined) {
    throw refused();
  }
  const { [key]: _, ...others } = target;
  return value === undefined ? others : { ...others, [key]: value };
}

function editList(
  target: Json[],
  key: string,
  rest: string[],
  value: Json | undefined,
  mode: 'add' | 'replace' | 'remove',
): Json[] {
  const index = key === '-' ? target.length : Number(key);
  const child = target[index];
  if (rest.length === 0 && mode === 'add' && index <= target.length) {
    return target.toSpliced(index, 0, value ?? null);
  }
  if (child === undefined) {
    throw refused();
  }
  if (rest.length > 0) {
    return target.with(index, edit(child, rest, value, mode));
  }
  return value === undefined ? target.toSpliced(index, 1) : target.with(index, value);
}

function valueAt(target: Json, path: string[]): Json | undefined {
  return path.reduce<Json | undefined>((value, key) => {
    if (Array.isArray(value)) {
      return value[Number(key)];
    }
    return isJsonObject(value) ? value[key] : undefined;
  }, target);
}

function segments(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function refused(): StatusError {
  return new StatusError(422, 'Invalid', 'the server rejected our request due to an error in our request', {});
}
