import { FAILSAFE_SCHEMA, load, YAMLException } from 'js-yaml';
import { isDnsSubdomain } from './names.ts';
import type { Reading } from './spec.ts';

/** Labels that this action sets itself: they select its pods and its inventory. */
const RESERVED = /^(app\.kubernetes\.io\/(name|instance|managed-by)|applyset\.kubernetes\.io\/.*)$/;

/** The name part of a label's key, and its value when there is one. */
const LABEL_PART = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

/**
 * Reads a YAML map of labels. The failsafe schema knows strings only, so that `1.10` and `true` stay as typed.
 * Syntax: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
 */
export function readLabels(given: string): Reading<{ [key: string]: string }> {
  let map: unknown;
  try {
    map = load(given, { schema: FAILSAFE_SCHEMA });
  } catch (error) {
    const reason = error instanceof YAMLException ? error.reason : 'it cannot be read';
    return { refusal: `must be a YAML map of labels: ${reason}` };
  }
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    return { refusal: 'must be a YAML map of labels, such as team: payments' };
  }
  const labels = new Map<string, string>();
  const refusals: string[] = [];
  for (const [key, value] of Object.entries(map)) {
    const refusal = RESERVED.test(key) ? `must not set ${key}, which this action sets itself` : refuseLabel(key, value);
    if (refusal === null) labels.set(key, value);
    else refusals.push(refusal);
  }
  return refusals.length > 0 ? { refusals } : { value: Object.fromEntries(labels) };
}

/** What is wrong with a label's syntax, as a phrase that begins with "must"; null when nothing is. */
export function refuseLabel(key: string, value: unknown): string | null {
  const slash = key.lastIndexOf('/');
  const prefixFits = slash === -1 || isDnsSubdomain(key.slice(0, slash));
  if (!prefixFits || !LABEL_PART.test(key.slice(slash + 1))) {
    return `must have keys such as team or example.com/team, not ${JSON.stringify(key)}`;
  }
  if (typeof value !== 'string') return `must have a text as value of ${JSON.stringify(key)}, not a list or a map`;
  if (value === '' || LABEL_PART.test(value)) return null;
  return (
    `must have at most 63 letters, digits, "-", "_" and "." as value of ${JSON.stringify(key)}, ` +
    `a letter or digit first and last, not ${JSON.stringify(value)}`
  );
}
