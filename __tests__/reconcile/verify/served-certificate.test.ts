import net, { type AddressInfo, type Socket } from 'node:net';
import tls from 'node:tls';
import { afterEach, expect, jest, test } from '@jest/globals';
import { PORTS } from '../../../src/nats/layout.ts';
import { servedCertificate } from '../../../src/reconcile/verify/served-certificate.ts';
import { createAuthority } from '../../fakes/certificates.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A pod whose every port is that server's. */
async function podWith(onConnection: (socket: Socket) => void) {
  const server = net.createServer((socket) => {
    closers.push(() => socket.destroy());
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  return { dialPod: async () => net.connect(port, '127.0.0.1') };
}

const own = createAuthority('Servers').issue(['nats-0']);
const clients = createAuthority('Clients');

/** TLS as nats-server speaks it; `ends` are how its connections end. */
function natsServer(greeting: string, ends: string[]): (socket: Socket) => void {
  const options = { cert: own.certificate, key: own.key, ca: clients.certificate, requestCert: true };
  const server = tls.createServer(options, (socket) => {
    socket.on('error', (error) => ends.push(error.message));
    socket.on('end', () => ends.push('in order')).resume();
  });
  server.on('tlsClientError', (error) => ends.push(error.message));
  return (socket) => socket.write(greeting, () => server.emit('connection', socket));
}

test.each([
  ['clients', PORTS.client, 'INFO {"tls_required":true}\r\n'],
  ['routes', PORTS.cluster, ''],
] as const)(
  'a server shows its certificate on its port for %s, to who shows none and to who is trusted',
  async (_, port, greeting) => {
    const ends: string[] = [];
    const pod = await podWith(natsServer(greeting, ends));
    const trusted = await servedCertificate(pod, 'demo', 'a-0', port, clients.issue(['user']));
    expect(trusted?.subjectAltName).toBe('DNS:nats-0');
    expect(ends).toEqual(['in order']);
    const seen = await servedCertificate(pod, 'demo', 'a-0', port);
    expect(seen?.raw).toEqual(trusted?.raw);
  },
);

test.each<[string, (socket: Socket) => void]>([
  ['hangs up', (socket) => socket.destroy()],
  ['hangs up after its greeting', (socket) => socket.end('INFO {}\r\n')],
  ['speaks no TLS', (socket) => socket.end('INFO {}\r\n-ERR\r\n')],
])('a server that %s shows none', async (_, onConnection) => {
  const pod = await podWith(onConnection);
  await expect(servedCertificate(pod, 'demo', 'a-0', PORTS.client)).resolves.toBeNull();
});

test('a pod that cannot be reached shows none', async () => {
  await expect(servedCertificate({ dialPod: async () => null }, 'demo', 'a-0', PORTS.client)).resolves.toBeNull();
});

test.each([
  ['', PORTS.client],
  ['INFO {}\r\n', PORTS.client],
  ['', PORTS.cluster],
] as const)('a server that stays silent after "%s" is given up', async (greeting, port) => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] });
  try {
    const { promise: waiting, resolve } = Promise.withResolvers<void>();
    const pod = await podWith((socket) => socket.write(greeting, () => resolve()));
    const certificate = servedCertificate(pod, 'demo', 'a-0', port);
    await waiting;
    jest.advanceTimersByTime(5_000);
    await expect(certificate).resolves.toBeNull();
  } finally {
    jest.useRealTimers();
  }
});
