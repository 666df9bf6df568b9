import { Problem } from '../problem.ts';

/** The segments of a mount path as people write it: "pki/internal", "/pki/internal/". */
export function mountSegments(mount: string): string[] {
  return mount.replace(/^\/+|\/+$/g, '').split('/');
}

/** For people, and for Vault's policies. */
export function pathText(path: string[]): string {
  return path.join('/');
}

/**
 * The path as it is sent. Every segment stays one segment: what could climb out of it (empty, ".", "..", control
 * characters) is a Problem, the rest is escaped.
 */
export function escapedPath(path: string[]): string {
  return path.map((segment) => escapedSegment(segment, path)).join('/');
}

function escapedSegment(segment: string, path: string[]): string {
  if (['', '.', '..'].includes(segment) || /\p{Cc}/u.test(segment) || !segment.isWellFormed()) {
    throw new Problem({
      kind: 'input',
      tried: `Using the Vault path ${JSON.stringify(pathText(path))}`,
      reason: `${JSON.stringify(segment)} cannot be a part of it.`,
      next: 'Correct the mount path, role or name among the inputs: parts are separated by one "/", and none is empty, "." or "..".',
    });
  }
  return encodeURIComponent(segment);
}
