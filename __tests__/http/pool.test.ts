import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { WebSocketServer } from 'ws';
import { type Credentials, createPool, type PoolOptions } from '../../src/http/pool.ts';
import { createAuthority } from '../fakes/certificates.ts';
import { problemOf } from '../fakes/problem.ts';

const NO_CREDENTIALS: Credentials = { headers: {}, tls: {} };
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A server on loopback that counts its connections. */
async function serve(listener: http.RequestListener, tls?: https.ServerOptions) {
  const server = tls === undefined ? http.createServer(listener) : https.createServer(tls, listener);
  const sockets: unknown[] = [];
  server.on(tls === undefined ? 'connection' : 'secureConnection', (socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`, sockets, server };
}

/** A server that opens every WebSocket, and sends on it at once what it was asked. */
async function serveWebSockets(tls?: https.ServerOptions) {
  const { url, server } = await serve(echo, tls);
  const webSockets = new WebSocketServer({ server });
  webSockets.on('connection', (webSocket, { url, headers }) => webSocket.send(JSON.stringify({ url, headers })));
  closers.push(() => {
    for (const webSocket of webSockets.clients) webSocket.terminate();
  });
  return url;
}

/** Opens a WebSocket at /api, and answers what the server sends first. */
async function asked(pool: ReturnType<typeof createPool>) {
  const webSocket = await pool.open('/api?x=1', 'v1.test', 5_000);
  if ('status' in webSocket) throw new Error(`refused: ${webSocket.status}`);
  // The message arrives meanwhile.
  await new Promise((resolve) => setTimeout(resolve, 20));
  const message = new Promise<string>((resolve) => webSocket.once('message', (data) => resolve(String(data))));
  webSocket.resume();
  return JSON.parse(await message);
}

function poolTo(url: string, options: Partial<PoolOptions> = {}) {
  const pool = createPool({ url, credentials: async () => NO_CREDENTIALS, userAgent: 'test/1', ...options });
  closers.push(() => pool.close());
  return pool;
}

const echo: http.RequestListener = (request, response) => {
  let body = '';
  request.on('data', (chunk) => {
    body += chunk;
  });
  request.on('end', () => {
    const { method, url, headers } = request;
    response.end(JSON.stringify({ method, url, headers, body }));
  });
};

describe('requests', () => {
  test('that are cut off by the end of the run are not told as a broken connection', async () => {
    const { url } = await serve(() => {});
    const pool = poolTo(url);
    const problem = problemOf(pool.send({ method: 'GET', path: '/slow?x=1' }));
    await new Promise((resolve) => setImmediate(resolve));
    pool.close();
    expect((await problem).details).toMatchObject({ kind: 'cancelled', tried: 'Sending GET /slow' });
  });

  test.each(['Bearer token-of-somebody', 'Basic dXNlcjpwYXNzd29yZA=='])(
    'that are refused with what was sent come back without the credentials: %s',
    async (authorization) => {
      const { url } = await serve((request, response) => response.writeHead(502).end(JSON.stringify(request.headers)));
      const pool = poolTo(url, { credentials: async () => ({ headers: { Authorization: authorization }, tls: {} }) });
      const { body } = await pool.send({ method: 'GET', path: '/' });
      expect(body).toContain(authorization.replace(/ .*/, ' ***'));
      expect(body).not.toContain(authorization);
    },
  );

  test('share few connections, which are kept', async () => {
    const { url, sockets } = await serve((_, response) => setTimeout(() => response.end('{}'), 1));
    const pool = poolTo(url);
    await Promise.all(Array.from({ length: 100 }, () => pool.send({ method: 'GET', path: '/' })));
    expect(sockets).toHaveLength(16);
    await pool.send({ method: 'GET', path: '/' });
    expect(sockets).toHaveLength(16);
  });

  test("carry the server's base path, the credentials' headers and a JSON body", async () => {
    const { url } = await serve(echo);
    const pool = poolTo(`${url}/clusters/a/`, {
      credentials: async () => ({ headers: { Authorization: 'Bearer t' }, tls: {} }),
    });
    const { status, body } = await pool.send({ method: 'POST', path: '/api?x=1', body: { name: 'Zürich' } });
    expect(status).toBe(200);
    expect(JSON.parse(body)).toMatchObject({
      method: 'POST',
      url: '/clusters/a/api?x=1',
      headers: {
        authorization: 'Bearer t',
        'user-agent': 'test/1',
        accept: 'application/json',
        'content-type': 'application/json',
        'content-length': '18',
      },
      body: '{"name":"Zürich"}',
    });
  });

  test('may name another type of content, and send text as it is', async () => {
    const { url } = await serve(echo);
    const headers = { 'content-type': 'application/apply-patch+yaml' };
    const { body } = await poolTo(url).send({ method: 'PATCH', path: '/', headers, body: 'a: 1' });
    expect(JSON.parse(body)).toMatchObject({ headers, body: 'a: 1' });
  });

  test('follow no redirect, and resolve for every status', async () => {
    const { url, sockets } = await serve((_, response) => {
      response.writeHead(307, { location: 'http://127.0.0.1:1/', 'set-cookie': ['a=1', 'b=2'] }).end('moved');
    });
    await expect(poolTo(url).send({ method: 'GET', path: '/' })).resolves.toMatchObject({
      status: 307,
      headers: { location: 'http://127.0.0.1:1/', 'set-cookie': 'a=1, b=2' },
      body: 'moved',
    });
    expect(sockets).toHaveLength(1);
  });
});

describe('a server that does not answer', () => {
  test.each<[string, http.RequestListener]>([
    ['at all', () => {}],
    ['to the end', (_, response) => void response.writeHead(200).write('{')],
  ])('%s is given up after the timeout', async (_, listener) => {
    const { url } = await serve(listener);
    await expect(poolTo(url).send({ method: 'GET', path: '/', timeout: 50 })).rejects.toThrow(
      'no answer within 0.05 s',
    );
  });

  test('because it hangs up rejects with the code of Node', async () => {
    const { url } = await serve((request) => request.socket.destroy());
    await expect(poolTo(url).send({ method: 'GET', path: '/' })).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  test('because nothing listens rejects with the code of Node', async () => {
    const { url } = await serve(echo);
    closers.splice(0).forEach((close) => {
      close();
    });
    await expect(poolTo(url).send({ method: 'GET', path: '/' })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});

describe('TLS', () => {
  const authority = createAuthority('Server CA');
  const server = authority.issue(['localhost']);
  const clients = createAuthority('Client CA');
  const client = clients.issue(['somebody']);
  const mutual = {
    cert: server.certificate,
    key: server.key,
    ca: clients.certificate,
    requestCert: true,
    rejectUnauthorized: true,
  };
  const tls = { ca: authority.certificate, servername: 'localhost' };

  test('authenticates both sides', async () => {
    const { url } = await serve((_, response) => response.end('ok'), mutual);
    const pool = poolTo(url, {
      credentials: async () => ({ headers: {}, tls: { ...tls, cert: client.certificate, key: client.key } }),
    });
    await expect(pool.send({ method: 'GET', path: '/' })).resolves.toMatchObject({ status: 200, body: 'ok' });
  });

  test('fails without the client certificate', async () => {
    const { url } = await serve(echo, mutual);
    const pool = poolTo(url, { credentials: async () => ({ headers: {}, tls }) });
    await expect(pool.send({ method: 'GET', path: '/' })).rejects.toMatchObject({
      code: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    });
  });

  test('refuses a server of another CA, unless the credentials say otherwise', async () => {
    const { url } = await serve((_, response) => response.end('ok'), { cert: server.certificate, key: server.key });
    const other = createAuthority('Another CA').certificate;
    const strict = poolTo(url, { credentials: async () => ({ headers: {}, tls: { ...tls, ca: other } }) });
    await expect(strict.send({ method: 'GET', path: '/' })).rejects.toMatchObject({
      code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    });
    const lenient = poolTo(url, { credentials: async () => ({ headers: {}, tls: { rejectUnauthorized: false } }) });
    await expect(lenient.send({ method: 'GET', path: '/' })).resolves.toMatchObject({ body: 'ok' });
  });

  test('is the same for WebSockets', async () => {
    const url = await serveWebSockets(mutual);
    const poolWith = (more: Credentials['tls']) =>
      poolTo(url, {
        credentials: async () => ({ headers: {}, tls: { ...tls, cert: client.certificate, key: client.key, ...more } }),
      });
    expect(await asked(poolWith({}))).toMatchObject({ url: '/api?x=1' });
    expect(await asked(poolWith({ ca: undefined, rejectUnauthorized: false }))).toMatchObject({ url: '/api?x=1' });
    await expect(asked(poolWith({ ca: clients.certificate }))).rejects.toMatchObject({
      code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    });
    await expect(asked(poolWith({ cert: undefined, key: undefined }))).rejects.toMatchObject({
      code: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    });
  });
});

describe('credentials', () => {
  test('are asked for each request; only other TLS options open new connections', async () => {
    const { url, sockets } = await serve(echo);
    let current: Credentials = { headers: { Authorization: 'Bearer one' }, tls: { cert: 'old' } };
    const pool = poolTo(url, { credentials: async () => current });
    const authorization = async () =>
      JSON.parse((await pool.send({ method: 'GET', path: '/' })).body).headers.authorization;

    await expect(authorization()).resolves.toBe('Bearer one');
    current = { headers: { Authorization: 'Bearer two' }, tls: { cert: 'old' } };
    await expect(authorization()).resolves.toBe('Bearer two');
    expect(sockets).toHaveLength(1);
    current = { headers: {}, tls: { cert: 'new' } };
    await expect(authorization()).resolves.toBeUndefined();
    expect(sockets).toHaveLength(2);
  });

  test('that change leave the requests under way alone', async () => {
    const waiting: http.ServerResponse[] = [];
    const arrived = Promise.withResolvers<void>();
    const { url } = await serve((request, response) => {
      if (request.url === '/slow') {
        waiting.push(response);
        arrived.resolve();
      } else {
        response.end('fast');
      }
    });
    let current: Credentials = { headers: {}, tls: { cert: 'old' } };
    const pool = poolTo(url, { credentials: async () => current });
    const slow = pool.send({ method: 'GET', path: '/slow' });
    await arrived.promise;
    current = { headers: {}, tls: { cert: 'new' } };
    await pool.send({ method: 'GET', path: '/' });
    waiting[0]?.end('slow');
    await expect(slow).resolves.toMatchObject({ body: 'slow' });
  });

  test('may bring an agent of their own', async () => {
    const { url, sockets } = await serve(echo);
    const agent = new http.Agent({ keepAlive: false });
    const pool = poolTo(url, { credentials: async () => ({ headers: {}, tls: {}, agent }) });
    await pool.send({ method: 'GET', path: '/' });
    await pool.send({ method: 'GET', path: '/' });
    expect(sockets).toHaveLength(2);
  });

  test('that cannot be had fail the request with their own error', async () => {
    const failing = poolTo('http://127.0.0.1:1', { credentials: () => Promise.reject(new Error('no plugin')) });
    await expect(failing.send({ method: 'GET', path: '/' })).rejects.toThrow('no plugin');
  });
});

describe('a WebSocket', () => {
  const credentials: Credentials = { headers: { Authorization: 'Bearer t' }, tls: {} };

  test("carries the server's base path, the credentials' headers and the subprotocol, and loses no message", async () => {
    const pool = poolTo(`${await serveWebSockets()}/clusters/a/`, { credentials: async () => credentials });
    expect(await asked(pool)).toMatchObject({
      url: '/clusters/a/api?x=1',
      headers: { authorization: 'Bearer t', 'user-agent': 'test/1', 'sec-websocket-protocol': 'v1.test' },
    });
  });

  test('goes through an agent of the credentials', async () => {
    const agent = new http.Agent();
    agent.createConnection = () => {
      throw new Error('through the agent');
    };
    const pool = poolTo(await serveWebSockets(), { credentials: async () => ({ ...credentials, agent }) });
    await expect(asked(pool)).rejects.toThrow('through the agent');
  });

  test('that the server does not open resolves to its answer, from which the credentials are cut', async () => {
    const { url } = await serve(({ headers }, response) => response.writeHead(403).end(`no ${headers.authorization}`));
    const pool = poolTo(url, { credentials: async () => ({ headers: { Authorization: 'Bearer S3CRET' }, tls: {} }) });
    const answer = await pool.open('/', 'v1.test', 5_000);
    expect(answer).toMatchObject({ status: 403, body: expect.stringMatching(/^no Bearer (?!S3CRET)/) });
  });

  test.each<[string, http.RequestListener]>([
    ['at all', () => {}],
    ['to the end', (_, response) => void response.writeHead(403).write('n')],
  ])('that the server does not answer %s is given up after the timeout', async (_, listener) => {
    const { url } = await serve(listener);
    await expect(poolTo(url).open('/', 'v1.test', 50)).rejects.toThrow('no answer within 0.05 s');
  });

  test('ends with the run, and none is opened after it', async () => {
    const pool = poolTo(await serveWebSockets());
    const webSocket = await pool.open('/', 'v1.test', 5_000);
    if ('status' in webSocket) throw new Error('refused');
    const closed = new Promise((resolve) => webSocket.once('close', resolve));
    const opening = problemOf(pool.open('/late', 'v1.test', 5_000));
    pool.close();
    await closed;
    expect((await opening).details).toMatchObject({ kind: 'cancelled', tried: 'Sending GET /late' });
  });
});
