import { isDeepStrictEqual } from 'node:util';
import type { JsonObject } from '../../src/json.ts';
import { mapAt } from '../json-at.ts';
import type { Resource } from './resources.ts';
import { badRequest, type Cause, invalid } from './status.ts';

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const SUBDOMAIN_RULE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const MUTABLE_STATEFUL_SET_FIELDS = new Set([
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
]);
const STATEFUL_SET_RULE =
  "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";

/** Throws the API server's 422 for what this project could get wrong; most of the real validation is not here. */
export function validate(resource: Resource, name: string, object: JsonObject, live: JsonObject | undefined): void {
  if (resource.kind === 'Lease') {
    requireMicroTimes(mapAt(object, 'spec'));
  }
  const causes = [
    ...nameCauses(name),
    ...(resource.kind === 'StatefulSet' ? statefulSetCauses(object, live) : []),
    ...(resource.kind === 'RoleBinding' ? roleRefCauses(object, live) : []),
  ];
  if (causes.length > 0) {
    throw invalid(resource, name, causes);
  }
}

const MICRO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(?:Z|[+-]\d\d:\d\d)$/;
const MICRO_TIME_LAYOUT = '2006-01-02T15:04:05.000000Z07:00';

/** A MicroTime has six digits after the point, no fewer: the API server cannot even decode others. */
function requireMicroTimes(spec: JsonObject): void {
  for (const field of ['acquireTime', 'renewTime']) {
    const time = spec[field];
    if (typeof time === 'string' && !MICRO_TIME.test(time)) {
      const rest = time.replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/, '');
      const why = `parsing time "${time}" as "${MICRO_TIME_LAYOUT}": cannot parse "${rest}" as ".000000"`;
      throw badRequest(`Lease in version "v1" cannot be handled as a Lease: ${why}`);
    }
  }
}

function nameCauses(name: string): Cause[] {
  const isValid = SUBDOMAIN.test(name) || name.includes(':');
  const message = `Invalid value: ${JSON.stringify(name)}: ${SUBDOMAIN_RULE}`;
  return isValid ? [] : [{ reason: 'FieldValueInvalid', message, field: 'metadata.name' }];
}

function statefulSetCauses(object: JsonObject, live: JsonObject | undefined): Cause[] {
  const spec = mapAt(object, 'spec');
  const labels = mapAt(spec, 'template', 'metadata', 'labels');
  const wanted = Object.entries(mapAt(spec, 'selector', 'matchLabels'));
  const causes: Cause[] = [];
  if (!wanted.every(([key, value]) => labels[key] === value)) {
    const message = `Invalid value: ${JSON.stringify(labels)}: \`selector\` does not match template \`labels\``;
    causes.push({ reason: 'FieldValueInvalid', message, field: 'spec.template.metadata.labels' });
  }
  if (live !== undefined && !isDeepStrictEqual(fixedPart(spec), fixedPart(mapAt(live, 'spec')))) {
    causes.push({ reason: 'FieldValueForbidden', message: STATEFUL_SET_RULE, field: 'spec' });
  }
  return causes;
}

function fixedPart(spec: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(spec).filter(([field]) => !MUTABLE_STATEFUL_SET_FIELDS.has(field)));
}

function roleRefCauses(object: JsonObject, live: JsonObject | undefined): Cause[] {
  if (live === undefined || isDeepStrictEqual(object.roleRef, live.roleRef)) {
    return [];
  }
  const message = `Invalid value: ${JSON.stringify(object.roleRef)}: cannot change roleRef`;
  return [{ reason: 'FieldValueInvalid', message, field: 'roleRef' }];
}
