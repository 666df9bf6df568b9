import type { HttpRequest, HttpResponse, Transport } from '../../src/http/transport.ts';
import type { WebSockets } from '../../src/http/web-socket.ts';
import type { Json } from '../../src/json.ts';
import { createKubeClient } from '../../src/kube/client.ts';

export function answer(status: number, body: Json): HttpResponse {
  return { status, headers: {}, body: typeof body === 'string' ? body : JSON.stringify(body) };
}

/** An API server's metav1.Status. */
export function status(code: number, message: string, more: { [field: string]: Json } = {}): HttpResponse {
  return answer(code, { kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code, ...more });
}

/** A client whose API server gives one answer to everything; an Error is a connection that failed. */
export function clientOn(outcome: HttpResponse | Error) {
  const requests: HttpRequest[] = [];
  const progress: string[] = [];
  const transport: Transport & WebSockets = {
    async send(request) {
      requests.push(request);
      if (outcome instanceof Error) throw outcome;
      return outcome;
    },
    open: (path, _, timeout) => transport.send({ method: 'GET', path, timeout }),
  };
  const client = createKubeClient(transport, transport, (message) => progress.push(message));
  return { client, requests, progress };
}
