import { isJsonObject, type Json, type JsonObject } from '../../src/json.ts';
import { badRequest } from './status.ts';

const REQUIREMENT = /^\s*(!?)\s*([A-Za-z0-9./_-]+)\s*(?:(==|=|!=)\s*([A-Za-z0-9._-]*)|\s(in|notin)\s*\(([^)]*)\))?\s*$/;

/** A labelSelector: equality, sets and existence, comma separated. An empty one selects everything. */
export function labelSelector(text: string): (labels: { [key: string]: string }) => boolean {
  const requirements = splitRequirements(text).map(toRequirement);
  return (labels) => requirements.every((requirement) => requirement(labels));
}

/** A fieldSelector: path=value, comma separated. */
export function fieldSelector(text: string): (object: JsonObject) => boolean {
  const requirements = text
    .split(',')
    .filter((part) => part !== '')
    .map((part) => {
      const [, path = '', operator = '', value = ''] = /^(.*?)(!=|==?)(.*)$/.exec(part) ?? [];
      return { path: path.split('.'), isNegated: operator === '!=', value };
    });
  return (object) =>
    requirements.every(({ path, isNegated, value }) => (String(valueAt(object, path) ?? '') === value) !== isNegated);
}

type Requirement = (labels: { [key: string]: string }) => boolean;

function toRequirement(text: string): Requirement {
  const [match, negation = '', key = '', operator, value = '', setOperator, set = ''] = REQUIREMENT.exec(text) ?? [];
  if (match === undefined) {
    throw badRequest(`unable to parse requirement: ${text}`);
  }
  if (operator !== undefined) {
    return (labels) => (labels[key] === value) === (operator !== '!=');
  }
  if (setOperator !== undefined) {
    const values = set.split(',').map((item) => item.trim());
    return (labels) => values.includes(labels[key] ?? '\0') === (setOperator === 'in');
  }
  return (labels) => key in labels === (negation === '');
}

/** Commas within parentheses belong to a set. */
function splitRequirements(text: string): string[] {
  return text.split(/,(?![^(]*\))/).filter((part) => part.trim() !== '');
}

function valueAt(object: JsonObject, path: string[]): Json | undefined {
  return path.reduce<Json | undefined>((value, key) => (isJsonObject(value) ? value[key] : undefined), object);
}
