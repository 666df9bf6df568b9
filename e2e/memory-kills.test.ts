import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Values } from '../simulator/runner.ts';
import { dig, digObjects } from '../src/json.ts';
import { PORTS } from '../src/nats/layout.ts';
import { Wire } from './attacks/wire.ts';
import { kube, waitFor } from './cluster.ts';
import { asRoot } from './deployer.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';
import { connectAs, credentials } from './nats.ts';
import { podsOf } from './observe.ts';
import { run } from './runs.ts';

const namespace = 'e2e-memory';
const inputs: Values = { ...asRoot(), namespace, replicas: '1' };

beforeAll(() => emptyNamespace(namespace));

afterAll(async () => {
  await leaveNamespace(namespace);
  kube.close();
});

describe('a server with too little memory', () => {
  it('is told of with what would hold, when it runs again', async () => {
    const { outputs } = await run(inputs);
    await startAnew(outputs);
    await killByMessages(outputs);
    const { log } = await run(inputs);
    const [warning] = /^::warning::Killed.*$/m.exec(log) ?? [];
    console.log(warning);
    expect(warning).toMatch(/at the memory limit: nats-.*-0 at .*Z\. Set the input minimum_memory_mb to 256 or more/);
  });

  /**
   * Where a server is the first of its image on a node, its program's pages count as its own memory: at the limit the kernel
   * takes them back and reads them again without end, and the server crawls. Its successor's are there already, and count
   * for nobody: the kernel has only the kill.
   */
  async function startAnew(outputs: Values): Promise<void> {
    const [first] = await podsOf(outputs);
    await kube.delete(`/api/v1/namespaces/${namespace}/pods/${first?.name}`);
    const isAnother = async () => (await podsOf(outputs)).some(({ uid, ready }) => ready && uid !== first?.uid);
    await waitFor(isAnother, 'the server has a successor', 60_000);
  }

  /** Has the server keep large messages for clients that do not read, until the kernel has killed it. */
  async function killByMessages(outputs: Values): Promise<void> {
    const publisher = await connectAs('admin', outputs);
    const readers = await Promise.all(Array.from({ length: 8 }, () => subscriber(outputs)));
    const publish = async () => {
      publisher.publish('big', new Uint8Array(7 * 1024 * 1024));
      return wasKilled();
    };
    try {
      await waitFor(publish, 'the kernel kills the server', 60_000);
    } finally {
      for (const reader of readers) reader.close();
      await publisher.close();
    }
  }

  /** One that subscribes and reads nothing from then on. */
  async function subscriber({ nats_url = '', namespace = '', admin_creds_secret = '' }: Values): Promise<Wire> {
    const wire = await Wire.secure(
      new URL(nats_url).hostname,
      PORTS.client,
      await credentials(namespace, admin_creds_secret),
    );
    wire.send('CONNECT {"verbose":false,"tls_required":true}\r\nSUB big 1\r\nPING\r\n');
    await wire.until(/PONG/);
    wire.pause();
    return wire;
  }

  async function wasKilled(): Promise<boolean> {
    const pods = await kube.list(`/api/v1/namespaces/${namespace}/pods`);
    const containers = pods.flatMap((pod) => digObjects(pod.status, 'containerStatuses'));
    return containers.some((container) => Number(dig(container, 'restartCount') ?? 0) > 0);
  }
});
