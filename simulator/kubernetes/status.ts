import type { JsonObject } from '../../src/json.ts';
import type { SimulatedResponse } from '../http.ts';
import { qualifiedName, type Resource } from './resources.ts';

/** A refusal, worded as the API server (1.34.4) words it; the router answers it as a metav1.Status. */
export class StatusError extends Error {
  readonly code: number;
  readonly reason: string | undefined;
  readonly details: JsonObject | undefined;

  constructor(code: number, reason: string | undefined, message: string, details?: JsonObject) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.details = details;
  }

  toResponse(): SimulatedResponse {
    const body: JsonObject = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      ...(this.reason === undefined ? {} : { reason: this.reason }),
      ...(this.details === undefined ? {} : { details: this.details }),
      code: this.code,
    };
    return { status: this.code, body };
  }
}

export interface Cause extends JsonObject {
  reason: string;
  message: string;
  field: string;
}

function detailsOf(resource: Resource, name: string): JsonObject {
  return { name, ...(resource.group === '' ? {} : { group: resource.group }), kind: resource.plural };
}

export function notFound(resource: Resource, name: string): StatusError {
  return new StatusError(404, 'NotFound', `${qualifiedName(resource)} "${name}" not found`, detailsOf(resource, name));
}

export function alreadyExists(resource: Resource, name: string): StatusError {
  const message = `${qualifiedName(resource)} "${name}" already exists`;
  return new StatusError(409, 'AlreadyExists', message, detailsOf(resource, name));
}

export function conflict(resource: Resource, name: string, why: string): StatusError {
  const message = `Operation cannot be fulfilled on ${qualifiedName(resource)} "${name}": ${why}`;
  return new StatusError(409, 'Conflict', message, detailsOf(resource, name));
}

export function modified(resource: Resource, name: string): StatusError {
  const why = 'the object has been modified; please apply your changes to the latest version and try again';
  return conflict(resource, name, why);
}

/** An update of a kind that allows none without a version; it names the resource, not the kind. */
export function missingVersion(resource: Resource, name: string): StatusError {
  const message = 'Invalid value: 0: must be specified for an update';
  const causes = [{ reason: 'FieldValueInvalid', message, field: 'metadata.resourceVersion' }];
  const sentence = `${qualifiedName(resource)} "${name}" is invalid: metadata.resourceVersion: ${message}`;
  return new StatusError(422, 'Invalid', sentence, { ...detailsOf(resource, name), causes });
}

/** A failed precondition of a DELETE names the kind, not the resource. */
export function failedPrecondition(resource: Resource, name: string, why: string): StatusError {
  const kind = resource.group === '' ? resource.kind : `${resource.kind}.${resource.group}`;
  const details = { name, ...(resource.group === '' ? {} : { group: resource.group }), kind: resource.kind };
  return new StatusError(409, 'Conflict', `Operation cannot be fulfilled on ${kind} "${name}": ${why}`, details);
}

export function invalid(resource: Resource, name: string, causes: Cause[]): StatusError {
  const kind = resource.group === '' ? resource.kind : `${resource.kind}.${resource.group}`;
  const sentences = causes.map((cause) => `${cause.field}: ${cause.message}`);
  const all = sentences.length === 1 ? sentences.join() : `[${sentences.join(', ')}]`;
  const details = {
    ...(name === '' ? {} : { name }),
    ...(resource.group === '' ? {} : { group: resource.group }),
    kind: resource.kind,
    causes,
  };
  return new StatusError(422, 'Invalid', `${kind} "${name}" is invalid: ${all}`, details);
}

export function badRequest(message: string): StatusError {
  return new StatusError(400, 'BadRequest', message);
}

export function unavailable(message: string): StatusError {
  return new StatusError(503, 'ServiceUnavailable', message);
}

export function unauthorized(): StatusError {
  return new StatusError(401, 'Unauthorized', 'Unauthorized');
}

export interface FieldConflict {
  manager: string;
  operation: string;
  apiVersion: string;
  subresource: string;
  /** ".spec.replicas" */
  field: string;
}

/** The conflict of a server-side apply without force (apimachinery, managedfields/internal/conflict.go). */
export function applyConflict(conflicts: FieldConflict[]): StatusError {
  const causes = conflicts.map((one) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${describe(one)}`,
    field: one.field,
  }));
  const count = conflicts.length === 1 ? '1 conflict' : `${conflicts.length} conflicts`;
  return new StatusError(409, 'Conflict', `Apply failed with ${count}: ${sentences(conflicts)}`, { causes });
}

function describe(one: FieldConflict): string {
  const subresource = one.subresource === '' ? '' : ` with subresource "${one.subresource}"`;
  const version = one.operation === 'Update' ? ` using ${one.apiVersion}` : '';
  return `"${one.manager}"${subresource}${version}`;
}

function sentences(conflicts: FieldConflict[]): string {
  const [only] = conflicts;
  if (conflicts.length === 1 && only !== undefined) {
    return `conflict with ${describe(only)}: ${only.field}`;
  }
  const managers = [...new Set(conflicts.map(describe))].sort();
  return managers
    .map((manager) => {
      const fields = conflicts.filter((one) => describe(one) === manager).map((one) => `- ${one.field}`);
      return `conflicts with ${manager}:\n${fields.sort().join('\n')}`;
    })
    .join('\n');
}
