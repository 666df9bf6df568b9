import type { Inputs } from '../inputs/table.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Names } from './names.ts';

/** What makes Prometheus scrape the servers, and alert and show what it finds. */
export function monitoring(_inputs: Inputs, _names: Names): KubeObject[] {
  return [];
}
