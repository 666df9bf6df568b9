import type { JsonObject } from '../json.ts';

export interface HttpRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Absolute path with query, already escaped: "/api/v1/namespaces/demo?dryRun=All". */
  path: string;
  headers?: { [name: string]: string };
  /** Sent as JSON; a string is sent as it is. */
  body?: JsonObject | JsonObject[] | string;
  /** Milliseconds until the request is given up; 12,000 by default. */
  timeout?: number;
  /** Aborted: the request is ended without an answer. */
  signal?: AbortSignal;
  /**
   * Whether sending it again can do no harm; true for GET by default. Only such requests are retried after a reset
   * connection or a 5xx, as the server may have acted on the first.
   */
  idempotent?: boolean;
}

export interface HttpResponse {
  status: number;
  headers: { [name: string]: string };
  /** The body as text; empty when there was none. */
  body: string;
}

/** One server, one pool of kept-alive connections. Rejects only when no answer arrived; a status is the caller's to judge. */
export interface Transport {
  send(request: HttpRequest): Promise<HttpResponse>;
}
