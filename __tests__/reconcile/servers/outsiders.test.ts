import { describe, expect, it } from '@jest/globals';
import { outsiders, type ServerReport } from '../../../src/nats/health.ts';
import { outsiderRestarts } from '../../../src/reconcile/servers/outsiders.ts';
import { contextWith, LABELS } from '../context.ts';

const SERVERS = ['nats-a-0', 'nats-a-1', 'nats-a-2'];

/** What three servers answer whose leader, nats-a-1, counts these among its peers. */
function reportsWith(peers: string[], leader = 'nats-a-1'): ServerReport[] {
  return SERVERS.map((server) => ({
    server,
    jsz: {
      config: {},
      meta_cluster: {
        leader,
        ...(server === leader && { replicas: peers.map((name) => ({ name, current: true })) }),
      },
    },
    routez: { routes: [] },
  }));
}

const whole = reportsWith(['nats-a-0', 'nats-a-2']);
const withoutZero = reportsWith(['nats-a-2']);

function contextOfPods() {
  const context = contextWith();
  for (const name of SERVERS) {
    context.kube.put({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'demo', labels: LABELS } });
  }
  return context;
}

describe('outsiders', () => {
  it('are the servers that the meta leader does not list', () => {
    expect(outsiders(whole)).toEqual([]);
    expect(outsiders(withoutZero)).toEqual(['nats-a-0']);
  });

  it('are also those that it hears nothing of, though they answer', () => {
    const heard = (active: number, current = false) =>
      reportsWith(['nats-a-2']).map((report) =>
        report.server === 'nats-a-1'
          ? {
              ...report,
              jsz: {
                config: {},
                meta_cluster: {
                  leader: 'nats-a-1',
                  replicas: [
                    { name: 'nats-a-0', current, active },
                    { name: 'nats-a-2', current: true, active: 3e8 },
                  ],
                },
              },
            }
          : report,
      );
    expect(outsiders(heard(12e9))).toEqual(['nats-a-0']);
    expect(outsiders(heard(2e9))).toEqual([]);
    expect(outsiders(heard(12e9, true))).toEqual([]);
  });

  it('cannot be told without a leader, or while a server is silent', () => {
    expect(outsiders(reportsWith([], ''))).toEqual([]);
    expect(
      outsiders(withoutZero.map((report) => (report.server === 'nats-a-0' ? { ...report, jsz: null } : report))),
    ).toEqual([]);
  });
});

describe('outsiderRestarts', () => {
  it('restarts a server that stays one for 10 s, and reports it', async () => {
    const context = contextOfPods();
    const look = outsiderRestarts(context);
    await look(withoutZero);
    await context.clock.sleep(9_999);
    await look(withoutZero);
    expect(context.kube.all('Pod')).toHaveLength(3);
    await context.clock.sleep(1);
    await look(withoutZero);
    expect(context.kube.all('Pod').map(({ metadata }) => metadata.name)).toEqual(['nats-a-1', 'nats-a-2']);
    expect(context.report.changes).toEqual([{ action: 'delete', object: 'Pod demo/nats-a-0', fields: [] }]);
  });

  it('restarts each server once in a run: whoever took it out of the group on purpose would see it killed for ever', async () => {
    const context = contextOfPods();
    const look = outsiderRestarts(context);
    for (let round = 0; round < 5; round++) {
      await look(withoutZero);
      await context.clock.sleep(10_000);
    }
    expect(context.report.changes).toHaveLength(1);
  });

  it('gives each server its own time', async () => {
    const context = contextOfPods();
    const look = outsiderRestarts(context);
    await look(withoutZero);
    await context.clock.sleep(9_000);
    await look(reportsWith(['nats-a-0']));
    await context.clock.sleep(9_000);
    await look(reportsWith(['nats-a-0']));
    expect(context.report.changes).toEqual([]);
    await context.clock.sleep(1_000);
    await look(reportsWith(['nats-a-0']));
    expect(context.report.changes).toEqual([{ action: 'delete', object: 'Pod demo/nats-a-2', fields: [] }]);
  });

  it('restarts the next one only when the former is a peer again', async () => {
    const context = contextOfPods();
    const look = outsiderRestarts(context);
    const restartsAfter = async (reports: ServerReport[]) => {
      await look(reports);
      await context.clock.sleep(10_000);
      await look(reports);
      return context.report.changes.map(({ object }) => object);
    };
    expect(await restartsAfter(reportsWith([]))).toEqual(['Pod demo/nats-a-0']);
    expect(await restartsAfter(reportsWith([]))).toEqual(['Pod demo/nats-a-0']);
    const gone = reportsWith([]).filter(({ server }) => server !== 'nats-a-0');
    expect(await restartsAfter(gone)).toEqual(['Pod demo/nats-a-0']);
    expect(await restartsAfter(reportsWith(['nats-a-0']))).toEqual(['Pod demo/nats-a-0', 'Pod demo/nats-a-2']);
  });

  it('counts anew once all are peers', async () => {
    const context = contextOfPods();
    const look = outsiderRestarts(context);
    for (const reports of [withoutZero, whole, withoutZero]) {
      await look(reports);
      await context.clock.sleep(9_000);
    }
    await look(whole);
    expect(context.kube.all('Pod')).toHaveLength(3);
  });
});
