import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { FAILSAFE_SCHEMA, load, YAMLException } from 'js-yaml';
import { isJsonObject, type Json, type JsonObject } from '../json.ts';
import { refuseLabel } from './labels.ts';
import { nearest } from './nearest.ts';
import type { Reading } from './spec.ts';

const RULE = 'a YAML list of network policy peers, such as - podSelector: { matchLabels: { app: shop } }';

/**
 * Reads a YAML list of NetworkPolicyPeers, of which Kubernetes would refuse none. Scalars are texts, as typed: nothing
 * in a peer is a number. Syntax:
 * https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/#NetworkPolicySpec
 */
export function readNetworkPeers(given: string): Reading<JsonObject[]> {
  let list: Json;
  try {
    // Aliases become copies.
    list = JSON.parse(JSON.stringify(load(given, { schema: FAILSAFE_SCHEMA })));
  } catch (error) {
    const reason = error instanceof YAMLException ? error.reason : 'it cannot be read';
    return { refusal: `must be ${RULE}: ${reason}` };
  }
  if (!Array.isArray(list)) return { refusal: `must be ${RULE}` };
  if (list.length === 0) return { refusal: 'must name a peer: leave the input empty to let clients in from anywhere' };
  const refusals = list.flatMap((item, index) => peer(item, `[${index}]`));
  return refusals.length > 0 ? { refusals } : { value: list.filter(isJsonObject) };
}

/** What is wrong with a value, as phrases that follow the input's name; `at` is where the value is. */
type Check = (value: Json, at: string) => string[];

const text: Check = (value, at) => (typeof value === 'string' && value !== '' ? [] : [`${at} must be a text`]);

function listOf(item: Check): Check {
  return (value, at) => {
    if (!Array.isArray(value) || value.length === 0) return [`${at} must be a list that is not empty`];
    return value.flatMap((element, index) => item(element, `${at}[${index}]`));
  };
}

/** A map of these keys, and then what is wrong with their values together. */
function mapOf(keys: { [key: string]: Check }, together: (map: JsonObject, at: string) => string[] = () => []): Check {
  return (value, at) => {
    if (!isJsonObject(value)) return [`${at} must be a map of ${Object.keys(keys).join(', ')}`];
    const refusals = Object.entries(value).flatMap(([key, inner]) => {
      const check = Object.hasOwn(keys, key) ? keys[key] : undefined;
      if (check) return check(inner ?? null, `${at}.${key}`);
      const meant = nearest(key, Object.keys(keys));
      const known = meant ? `did you mean ${meant}?` : `it knows ${Object.keys(keys).join(', ')}`;
      return [`${at} must not have the key ${JSON.stringify(key)}: ${known}`];
    });
    return refusals.length > 0 ? refusals : together(value, at);
  };
}

const labels: Check = (value, at) => {
  if (!isJsonObject(value)) return [`${at} must be a map of labels`];
  const refusals = Object.entries(value).map(([key, label]) => refuseLabel(key, label));
  return refusals.filter((refusal) => refusal !== null).map((refusal) => `${at} ${refusal}`);
};

/** Operators, and whether they compare with values. */
const OPERATORS = new Map<Json | undefined, boolean>([
  ['In', true],
  ['NotIn', true],
  ['Exists', false],
  ['DoesNotExist', false],
]);

const requirement = mapOf(
  {
    key: text,
    operator: text,
    values: listOf((value, at) => (typeof value === 'string' ? [] : [`${at} must be a text`])),
  },
  ({ key, operator, values }, at) => {
    const compares = OPERATORS.get(operator);
    if (compares === undefined) return [`${at}.operator must be one of ${[...OPERATORS.keys()].join(', ')}`];
    if (compares !== (values !== undefined))
      return [`${at} must ${compares ? '' : 'not '}have values with ${operator}`];
    const listed = Array.isArray(values) ? values : [''];
    const flaws = listed.map((value) => refuseLabel(String(key ?? ''), value)).filter((refusal) => refusal !== null);
    return [...new Set(flaws)].map((refusal) => `${at} ${refusal}`);
  },
);

const selector = mapOf({ matchLabels: labels, matchExpressions: listOf(requirement) });

interface Network {
  address: string;
  prefix: number;
  family: 'ipv4' | 'ipv6';
}

function networkOf(value: Json | undefined): Network | null {
  const [, address = '', digits = ''] = /^([^/%]+)\/(0|[1-9]\d{0,2})$/.exec(String(value)) ?? [];
  const prefix = Number(digits);
  if (isIPv4(address)) return prefix <= 32 ? { address, prefix, family: 'ipv4' } : null;
  return isIPv6(address) && prefix <= 128 ? { address, prefix, family: 'ipv6' } : null;
}

const network: Check = (value, at) =>
  networkOf(value) ? [] : [`${at} must be a network such as 10.0.0.0/8 or fd00::/8, not ${JSON.stringify(value)}`];

const ipBlock = mapOf({ cidr: network, except: listOf(network) }, ({ cidr, except = [] }, at) => {
  const whole = networkOf(cidr);
  if (whole === null) return [`${at} must have a cidr`];
  const parts = Array.isArray(except) ? except : [];
  return parts
    .filter((part) => !isWithin(networkOf(part), whole))
    .map((part) => `${at}.except must be within ${cidr} and smaller, which ${part} is not`);
});

function isWithin(part: Network | null, whole: Network): boolean {
  if (part === null || part.family !== whole.family || part.prefix <= whole.prefix) return false;
  const list = new BlockList();
  list.addSubnet(whole.address, whole.prefix, whole.family);
  return list.check(part.address, part.family);
}

const peer = mapOf({ podSelector: selector, namespaceSelector: selector, ipBlock }, (map, at) => {
  const kinds = Object.keys(map);
  if (kinds.length === 0) return [`${at} must have a podSelector, a namespaceSelector or an ipBlock`];
  if (kinds.length > 1 && kinds.includes('ipBlock')) return [`${at} must not have an ipBlock beside a selector`];
  return [];
});
