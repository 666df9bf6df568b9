import http from 'node:http';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from '@jest/globals';
import { FaultInjector } from '../../simulator/faults.ts';
import { serve } from '../../simulator/http.ts';
import { type Dial, portForward } from '../../simulator/kubernetes/port-forward.ts';
import { createPool } from '../../src/http/pool.ts';
import { createKubeClient } from '../../src/kube/client.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A client of an API server with one pod, whose ports `dial` answers for. */
async function clientOf(dial: Dial) {
  const server = await serve('kubernetes', (request) => portForward('a-0', request, dial), [], new FaultInjector());
  const pool = createPool({ url: server.url, credentials: async () => ({ headers: {}, tls: {} }), userAgent: 'test' });
  closers.push(() => server.close());
  closers.push(() => pool.close());
  const client = createKubeClient(pool, pool);
  const dialPort = async (port: number) => {
    const connection = await client.dialPod('demo', 'a-0', port);
    if (connection === null) throw new Error(`port ${port} cannot be reached`);
    return connection;
  };
  return { client, dialPort, pool };
}

/** A pod that serves HTTP on port 8222. */
function serving(listener: http.RequestListener): Dial {
  return (port, connection) => port === 8222 && http.createServer(listener).emit('connection', connection);
}

describe('a connection to a port of a pod', () => {
  test('carries bytes both ways, and ends when the pod ends it', async () => {
    const megabyte = 'x'.repeat(1 << 20);
    const { dialPort } = await clientOf((port, connection) => {
      connection.once('data', (greeting) => connection.end(`${port}: ${greeting}${megabyte}`));
      return true;
    });
    const connection = await dialPort(6222);
    connection.write('hello ');
    expect(await text(connection)).toBe(`6222: hello ${megabyte}`);
  });

  test('ends with an error where nothing listens', async () => {
    const { dialPort } = await clientOf(() => false);
    const connection = await dialPort(4222);
    await expect(text(connection)).rejects.toThrow('error forwarding port 4222 to pod a-0');
  });

  test.each(['the client', 'the end of the run'])('is closed for the pod, too, by %s', async (whose) => {
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const { dialPort, pool } = await clientOf((_, connection) => {
      connection.on('end', resolve).resume();
      return true;
    });
    const connection = await dialPort(4222);
    if (whose === 'the client') connection.destroy();
    else pool.close();
    await closed;
  });
});

describe('a GET of a pod', () => {
  test('answers what its HTTP port tells', async () => {
    const { client } = await clientOf(
      serving(({ url, headers }, response) => response.end(JSON.stringify({ url, host: headers.host }))),
    );
    const answer = await client.getFromPod('demo', 'a-0', 8222, '/varz?a=b');
    expect(answer).toEqual({ url: '/varz?a=b', host: 'a-0:8222' });
  });

  test('answers what a server that is not well tells of itself', async () => {
    const { client } = await clientOf(serving((_, response) => response.writeHead(503).end('{"error":"not current"}')));
    await expect(client.getFromPod('demo', 'a-0', 8222, '/healthz')).resolves.toEqual({ error: 'not current' });
  });

  test('leaves no connection behind, when the pod would keep it', async () => {
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const { client } = await clientOf((_, connection) => {
      connection.once('data', () => connection.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}'));
      connection.on('end', resolve);
      return true;
    });
    await expect(client.getFromPod('demo', 'a-0', 8222, '/varz')).resolves.toEqual({});
    await closed;
  });

  test.each<[string, Dial]>([
    ['something else than JSON', serving((_, response) => void response.end('starting'))],
    ['half an answer', serving((_, response) => response.writeHead(200, { 'content-length': 9 }).socket?.end('{'))],
    ['nothing, as nothing listens', () => false],
  ])('is null when it answers %s', async (_, dial) => {
    const { client } = await clientOf(dial);
    await expect(client.getFromPod('demo', 'a-0', 8222, '/varz')).resolves.toBeNull();
  });
});
