import type http from 'node:http';
import { WebSocket } from 'ws';
import { readAnswer } from './round-trip.ts';
import type { HttpResponse } from './transport.ts';

/** One server, by WebSockets (RFC 6455). */
export interface WebSockets {
  /**
   * Resolves to an open WebSocket of the subprotocol, paused until who listens to it resumes it, or to the answer of a
   * server that opens none. Rejects when no answer arrives in time (milliseconds). Whoever asked closes it.
   */
  open(path: string, protocol: string, timeout: number): Promise<WebSocket | HttpResponse>;
}

/** Begins to open a WebSocket: `opened` is what WebSockets.open resolves to, `webSocket` is there to be ended any time. */
export function openWebSocket(
  url: string,
  protocol: string,
  timeout: number,
  options: { agent: http.Agent; headers: { [name: string]: string } },
): { webSocket: WebSocket; opened: Promise<WebSocket | HttpResponse> } {
  const webSocket = new WebSocket(url, [protocol], { ...options, perMessageDeflate: false });
  let timer: NodeJS.Timeout | undefined;
  const opened = new Promise<WebSocket | HttpResponse>((resolve, reject) => {
    webSocket.once('open', () => {
      webSocket.pause();
      resolve(webSocket);
    });
    webSocket.once('unexpected-response', (_, answer) => readAnswer(answer).then(resolve, reject));
    webSocket.on('error', reject);
    timer = setTimeout(() => reject(new Error(`no answer within ${timeout / 1000} s`)), timeout);
  });
  return {
    webSocket,
    opened: opened.finally(() => {
      clearTimeout(timer);
      if (webSocket.readyState === WebSocket.CONNECTING) webSocket.terminate();
    }),
  };
}
