import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { PORTS } from '../../src/nats/layout.ts';
import type { Credentials } from '../nats.ts';

/** Milliseconds that a server has to answer or to refuse. */
const PATIENCE = 2_000;

/** A connection to a port of a NATS server, byte by byte: for what no client would say. */
export class Wire {
  readonly #socket: Socket;
  #received = '';
  #ended: string | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text) => {
      this.#received += text;
    });
    socket.on('error', (error) => {
      this.#ended ??= error.message;
    });
    socket.on('close', () => {
      this.#ended ??= 'the server closed the connection';
    });
  }

  /** Connects without TLS. Rejects when nobody listens. */
  static async plain(host: string, port: number): Promise<Wire> {
    const socket = connectTcp({ host, port, noDelay: true });
    await once(socket, 'connect', { signal: AbortSignal.timeout(PATIENCE) });
    return new Wire(socket);
  }

  /** Connects by TLS, with a certificate or without, whoever the server may be: clients read its INFO first, peers do not. */
  static async secure(host: string, port: number, credentials: Credentials | null): Promise<Wire> {
    const plain = await Wire.plain(host, port);
    if (port === PORTS.client) await plain.until(/^INFO .*\r\n/);
    plain.#socket.removeAllListeners('data');
    const { cert, key } = credentials ?? {};
    const socket = connectTls({ socket: plain.#socket, cert, key, rejectUnauthorized: false });
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(PATIENCE) });
    return new Wire(socket);
  }

  send(text: string): void {
    this.#socket.write(text, 'latin1');
  }

  /** What the server has said once it matches. Rejects when the server ends the connection or says nothing of the kind. */
  async until(pattern: RegExp): Promise<string> {
    const deadline = Date.now() + PATIENCE;
    while (!pattern.test(this.#received)) {
      if (this.#ended !== null) throw new Error(`${this.#ended} ${this.#errors()}`.trim());
      if (Date.now() > deadline) throw new Error(`no ${pattern} within ${PATIENCE} ms ${this.#errors()}`.trim());
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return this.#received;
  }

  /** Reads nothing more: what the server sends stays with the server. */
  pause(): void {
    this.#socket.pause();
  }

  close(): void {
    this.#socket.destroy();
  }

  /** What the server complained about. */
  #errors(): string {
    return (this.#received.match(/-ERR .*/g) ?? []).join(' ');
  }
}
