import type { JsonObject } from '../json.ts';
import { readCidrs } from './cidrs.ts';
import { readInteger } from './integers.ts';
import { readLabels } from './labels.ts';
import { nearest } from './nearest.ts';
import { readNetworkPeers } from './network-peers.ts';
import type { Description, InputSpec, Reading } from './spec.ts';
import type { TextRule } from './text-rules.ts';

/** A string; a default of null means that empty is a choice of its own ("found", "derived", "none"). */
export function text<D extends string | null>(
  spec: Description & { rule: TextRule; default: D },
): InputSpec<string | D> {
  return {
    ...spec,
    rule: spec.rule.says,
    values: spec.rule.values,
    defaultText: spec.default ?? '',
    read: spec.rule.read,
  };
}

/** A string without which nothing can be done. */
export function requiredText(spec: Description & { rule: TextRule }): InputSpec<string> {
  return { ...spec, rule: spec.rule.says, values: spec.rule.values, defaultText: '', read: spec.rule.read };
}

/** true or false, in any case of letters. */
export function boolean<D extends boolean | null>(spec: Description & { default: D }): InputSpec<boolean | D> {
  const values = 'true or false';
  return { ...spec, rule: values, values, defaultText: spec.default?.toString() ?? '', read: readBoolean };
}

const SPELLINGS: { [text: string]: boolean } = {
  yes: true,
  y: true,
  on: true,
  '1': true,
  no: false,
  n: false,
  off: false,
  '0': false,
};

function readBoolean(given: string): Reading<boolean> {
  const lower = given.toLowerCase();
  if (lower === 'true' || lower === 'false') return { value: lower === 'true' };
  const meant = Object.hasOwn(SPELLINGS, lower) ? SPELLINGS[lower] : undefined;
  return { refusal: `must be true or false${meant === undefined ? '' : `: write ${meant}`}` };
}

/** A whole number between two bounds, both allowed; `unit` is what it counts ("seconds", "MB"). */
export function integer<D extends number | null>(
  spec: Description & { min: number; max: number; unit?: string; default: D },
): InputSpec<number | D> {
  const { min, max, unit } = spec;
  const rule = `a whole number${unit ? ` of ${unit}` : ''} from ${min} to ${max}`;
  const values = `${min} to ${max}${unit ? ` ${unit}` : ''}`;
  const read = (given: string) => readInteger(given, spec, rule);
  return { ...spec, rule, values, defaultText: spec.default?.toString() ?? '', read };
}

/** One of a few words or numbers. */
export function choice<const O extends string | number>(
  spec: Description & { options: readonly O[]; default: NoInfer<O> },
): InputSpec<O> {
  const { options } = spec;
  const values = options.join(', ');
  const rule = options.length === 1 ? values : `one of ${values}`;
  const read = (given: string): Reading<O> => {
    const found = options.find((option) => option.toString() === given);
    if (found !== undefined) return { value: found };
    const meant = nearest(given, options.map(String));
    return { refusal: `must be ${rule}${meant ? `: did you mean ${meant}?` : ''}` };
  };
  return { ...spec, rule, values, defaultText: spec.default.toString(), read };
}

/** A YAML map of Kubernetes labels. */
export function labelMap(spec: Description): InputSpec<{ readonly [key: string]: string }> {
  return { ...spec, rule: 'a YAML map of labels', values: 'YAML map', default: {}, defaultText: '', read: readLabels };
}

/** A list of networks. */
export function cidrList(spec: Description & { default: string[] }): InputSpec<string[]> {
  return {
    ...spec,
    values: 'list of networks',
    rule: 'networks such as 10.0.0.0/8 or fd00::/8, separated by commas or new lines',
    defaultText: spec.default.join(','),
    read: readCidrs,
  };
}

/** A YAML list of NetworkPolicyPeers. */
export function networkPeers(spec: Description): InputSpec<readonly JsonObject[]> {
  const rule = 'a YAML list of network policy peers';
  return { ...spec, rule, values: 'YAML list', default: [], defaultText: '', read: readNetworkPeers };
}
