import { isJsonObject, type Json, type JsonObject } from '../../src/json.ts';
import { timestamp } from '../kubernetes/object-store.ts';

export interface Condition extends JsonObject {
  type: string;
  status: 'True' | 'False';
  reason?: string;
  message?: string;
  observedGeneration?: number;
}

export function conditionsOf(object: JsonObject): JsonObject[] {
  const { status } = object;
  return isJsonObject(status) && Array.isArray(status.conditions) ? status.conditions.filter(isJsonObject) : [];
}

/** Whether the condition is True. */
export function isTrue(object: JsonObject, type: string): boolean {
  return conditionsOf(object).some((condition) => condition.type === type && condition.status === 'True');
}

/** The conditions with one set; its lastTransitionTime moves only with its status. */
export function withCondition(conditions: JsonObject[], condition: Condition): JsonObject[] {
  const live = conditions.find((candidate) => candidate.type === condition.type);
  const time: Json = live?.status === condition.status ? (live.lastTransitionTime ?? timestamp()) : timestamp();
  const others = conditions.filter((candidate) => candidate !== live);
  return [...others, { ...condition, lastTransitionTime: time }];
}

export function withoutCondition(conditions: JsonObject[], type: string): JsonObject[] {
  return conditions.filter((condition) => condition.type !== type);
}
