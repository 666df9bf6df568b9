import type { JsonObject } from '../json.ts';

export interface ObjectMeta extends JsonObject {
  name: string;
  namespace?: string;
  labels?: { [key: string]: string };
  annotations?: { [key: string]: string };
}

/** A Kubernetes object as it is sent: what this action wants, or what the API server answered. */
export interface KubeObject extends JsonObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
}
