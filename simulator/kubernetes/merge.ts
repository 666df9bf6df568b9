import { isJsonObject, type Json, type JsonObject } from '../../src/json.ts';
import { type FieldSet, indexed, isEmpty } from './field-set.ts';
import { ATOMIC_ITEM, hasAtomicItems, isAtomicMap, itemElement, listType } from './list-types.ts';

/** The live object with an applied configuration laid over it (structured-merge-diff, Merge). */
export function mergeObjects(live: JsonObject, applied: JsonObject): JsonObject {
  const result: JsonObject = { ...live };
  for (const [key, value] of Object.entries(applied)) {
    if (value !== undefined) {
      result[key] = mergeValues(live[key], value, key);
    }
  }
  return result;
}

function mergeValues(live: Json | undefined, applied: Json, name: string): Json {
  if (isJsonObject(applied) && isJsonObject(live) && !isAtomicMap(name)) {
    return mergeObjects(live, applied);
  }
  if (Array.isArray(applied) && Array.isArray(live) && listType(name, applied).type !== 'atomic') {
    return mergeLists(live, applied, name);
  }
  return applied;
}

/** Applied items keep their order; live items that nobody applies keep their place among them. */
function mergeLists(live: Json[], applied: Json[], name: string): Json[] {
  const type = listType(name, applied);
  const itemName = hasAtomicItems(name) ? ATOMIC_ITEM : '';
  const liveItems = indexed(name, live);
  const appliedItems = indexed(name, applied);
  const liveOnlyBefore = (element: string | undefined): Json[] => {
    const taken: Json[] = [];
    for (const [key, item] of liveItems) {
      if (key === element) {
        break;
      }
      if (!appliedItems.has(key)) {
        taken.push(item);
        liveItems.delete(key);
      }
    }
    return taken;
  };
  const result: Json[] = [];
  for (const item of applied) {
    const element = itemElement(type, item);
    const liveItem = liveItems.get(element);
    if (liveItem !== undefined) {
      result.push(...liveOnlyBefore(element));
    }
    result.push(mergeValues(liveItem, item, itemName));
  }
  return [...result, ...liveOnlyBefore(undefined)];
}

/** The object without the fields and list items of `removed`; maps and lists that this empties go as well. */
export function withoutFields(object: JsonObject, removed: FieldSet): JsonObject {
  const result: JsonObject = {};
  for (const [key, value] of Object.entries(object)) {
    const node = removed.children.get(`f:${key}`);
    if (node === undefined || isEmpty(node) || value === undefined) {
      result[key] = value;
    } else if (!node.member) {
      const rest = withoutItems(value, node, key);
      if (rest !== undefined) {
        result[key] = rest;
      }
    }
  }
  return result;
}

function withoutItems(value: Json, removed: FieldSet, name: string): Json | undefined {
  if (isJsonObject(value)) {
    const rest = withoutFields(value, removed);
    return Object.keys(rest).length === 0 ? undefined : rest;
  }
  if (!Array.isArray(value)) {
    return value;
  }
  const rest = [...indexed(name, value)].flatMap(([element, item]) => {
    const node = removed.children.get(element);
    if (node === undefined) {
      return [item];
    }
    const kept = node.member ? undefined : withoutItems(item, node, '');
    return kept === undefined ? [] : [kept];
  });
  return rest.length === 0 ? undefined : rest;
}
