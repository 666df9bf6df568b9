import type http from 'node:http';
import type https from 'node:https';
import type { HttpRequest, HttpResponse } from './transport.ts';

/** Sends one request and waits for the whole answer. Rejects when none arrives in time (milliseconds). */
export function roundTrip(
  client: typeof http | typeof https,
  request: HttpRequest,
  options: Omit<http.RequestOptions, 'headers' | 'timeout'> & { headers: { [name: string]: string }; timeout: number },
): Promise<HttpResponse> {
  const payload = typeof request.body === 'object' ? JSON.stringify(request.body) : request.body;
  const headers: http.OutgoingHttpHeaders = { accept: 'application/json', ...options.headers, ...request.headers };
  if (payload !== undefined) {
    headers['content-type'] ??= 'application/json';
    headers['content-length'] = Buffer.byteLength(payload);
  }
  const { timeout, ...connection } = options;

  return new Promise((resolve, reject) => {
    const outgoing = client.request(
      { ...connection, headers, ...(request.signal === undefined ? {} : { signal: request.signal }) },
      (incoming) => {
        readAnswer(incoming).then(succeed, fail);
      },
    );
    const timer = setTimeout(() => {
      outgoing.destroy(new Error(`no answer within ${timeout / 1000} s`));
    }, timeout);
    function succeed(response: HttpResponse) {
      clearTimeout(timer);
      resolve(response);
    }
    function fail(error: Error) {
      clearTimeout(timer);
      reject(error);
    }
    outgoing.on('error', fail);
    outgoing.end(payload);
  });
}

/** The whole answer. Rejects when the connection breaks before its end. */
export function readAnswer(incoming: http.IncomingMessage): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('error', reject);
    incoming.on('end', () => {
      resolve({
        status: incoming.statusCode ?? 0,
        headers: singleValues(incoming.headers),
        body: Buffer.concat(chunks).toString('utf8'),
      });
    });
  });
}

function singleValues(headers: http.IncomingHttpHeaders): { [name: string]: string } {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]),
  );
}
