import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { systemClock } from '../../../src/clock.ts';
import type { KubeObject } from '../../../src/kube/object.ts';
import { Problem } from '../../../src/problem.ts';
import { isNext, type LockOptions, presentTurn, withLock } from '../../../src/reconcile/lock/lock.ts';
import { fakeKube } from '../../fakes/kube.ts';
import { recordedLog } from '../../fakes/log.ts';
import { problemOf } from '../../fakes/problem.ts';

beforeEach(() => {
  jest.useFakeTimers({ now: Date.UTC(2026, 10, 22) });
});
afterEach(() => {
  jest.useRealTimers();
});

/** By these a Lease is one of this action's, for this cluster. */
const LABELS = {
  'app.kubernetes.io/name': 'nats',
  'app.kubernetes.io/instance': 'nats-a',
  'app.kubernetes.io/managed-by': 'kube-nats-action',
};

function setUp() {
  const kube = fakeKube();
  kube.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'demo' } });
  const optionsOf = (holder: string, seconds = 600): LockOptions & { log: ReturnType<typeof recordedLog> } => ({
    kube,
    leaving: { kube },
    clock: systemClock(new AbortController().signal),
    log: recordedLog(),
    namespace: 'demo',
    name: 'nats-a',
    labels: LABELS,
    holder,
    deadline: Date.now() + seconds * 1000,
  });
  return { kube, optionsOf };
}

function leaseHeldBy(holder: string): KubeObject {
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'nats-a', namespace: 'demo', labels: LABELS },
    spec: { holderIdentity: holder, leaseDurationSeconds: 60 },
  };
}

const seconds = (count: number) => jest.advanceTimersByTimeAsync(count * 1000);

function work(result = 'done') {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  return { promise, finish: () => resolve(result), fail: reject };
}

describe('one run', () => {
  test('holds the Lease while it works, and gives it back', async () => {
    const { kube, optionsOf } = setUp();
    let during: KubeObject | undefined;
    await expect(
      withLock(optionsOf('me'), async () => {
        during = kube.stored('Lease', 'nats-a');
        return 7;
      }),
    ).resolves.toBe(7);
    expect(during?.spec).toEqual({
      holderIdentity: 'me',
      leaseDurationSeconds: 60,
      acquireTime: '2026-11-22T00:00:00.000000Z',
      renewTime: '2026-11-22T00:00:00.000000Z',
      leaseTransitions: 0,
    });
    expect(kube.stored('Lease', 'nats-a').spec).toMatchObject({ holderIdentity: '' });
  });

  test.each([
    ['gives it back', false, ['']],
    ['removes it where its work was to remove the cluster', true, []],
  ])('%s also when it is cancelled at the end of its work', async (_, removes, holders) => {
    const { kube, optionsOf } = setUp();
    const cancelled = new Problem({ kind: 'cancelled', tried: 'Running', reason: 'Cancelled.', next: '' });
    const refuse = () => Promise.reject(cancelled);
    const sending = { ...kube };
    await withLock({ ...optionsOf('me'), kube: sending, leaving: { kube }, removes }, async () => {
      Object.assign(sending, { get: refuse, replace: refuse, removeUnchanged: refuse });
    });
    expect(kube.all('Lease').map(({ spec }) => spec)).toMatchObject(
      holders.map((holderIdentity) => ({ holderIdentity })),
    );
  });

  test('gives it back when the work fails', async () => {
    const { kube, optionsOf } = setUp();
    await expect(withLock(optionsOf('me'), () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(kube.stored('Lease', 'nats-a').spec).toMatchObject({ holderIdentity: '' });
  });

  test('renews it every 10 s, keeping the time at which it was acquired', async () => {
    const { kube, optionsOf } = setUp();
    const { promise, finish } = work();
    const run = withLock(optionsOf('me'), () => promise);
    await seconds(25);
    expect(kube.stored('Lease', 'nats-a').spec).toMatchObject({
      acquireTime: '2026-11-22T00:00:00.000000Z',
      renewTime: '2026-11-22T00:00:20.000000Z',
    });
    finish();
    await run;
    const { length } = kube.writes;
    await seconds(60);
    expect(kube.writes).toHaveLength(length);
  });

  test('only warns when it cannot give it back', async () => {
    const { kube, optionsOf } = setUp();
    const options = optionsOf('me');
    await withLock(options, async () => {
      kube.replace = () => Promise.reject(new Error('unreachable'));
    });
    expect(options.log.lines).toEqual([
      'warning The lock on nats-a could not be released; it expires by itself after 60 s.',
    ]);
  });
});

describe('a turn', () => {
  const turnOf = (options: LockOptions, meanwhile = async () => {}) =>
    withLock(options, async () => {
      await meanwhile();
      return presentTurn(options);
    });

  test('is next to the one before while nobody else has had the lock, however often that was renewed', async () => {
    const { optionsOf } = setUp();
    const before = await turnOf(optionsOf('me'), async () => void (await seconds(25)));
    expect(isNext(await turnOf(optionsOf('me')), before)).toBe(true);
  });

  test('is not once another run has had it, or has removed it with the cluster', async () => {
    const { kube, optionsOf } = setUp();
    const before = await turnOf(optionsOf('me'));
    await turnOf(optionsOf('another'));
    expect(isNext(await turnOf(optionsOf('me')), before)).toBe(false);
    const again = await turnOf(optionsOf('me'));
    await turnOf({ ...optionsOf('another'), removes: true });
    expect(kube.all('Lease')).toEqual([]);
    for (let turn = 0; turn <= again.number; turn++) await turnOf(optionsOf('another'));
    const next = await turnOf(optionsOf('me'));
    expect(next.number).toBe(again.number + 1);
    expect(isNext(next, again)).toBe(false);
  });
});

describe('two runs', () => {
  test('never interleave; the second is told whom it waits for', async () => {
    const { optionsOf } = setUp();
    const events: string[] = [];
    const task = (name: string, promise: Promise<string>) => async () => {
      events.push(`${name} starts`);
      await promise;
      events.push(`${name} ends`);
    };
    const first = work();
    const second = work();
    const late = optionsOf('second');
    const a = withLock(optionsOf('first'), task('first', first.promise));
    const b = withLock(late, task('second', second.promise));
    await seconds(120);
    expect(events).toEqual(['first starts']);
    expect(late.log.lines).toEqual(['info Waiting for another run that works on nats-a: first']);
    first.finish();
    await seconds(2);
    expect(events).toEqual(['first starts', 'first ends', 'second starts']);
    second.finish();
    await Promise.all([a, b]);
  });

  test('that start at the same time and find a free Lease come one after the other', async () => {
    const { kube, optionsOf } = setUp();
    kube.put(leaseHeldBy(''));
    const active: string[] = [];
    const task = (name: string) => async () => {
      active.push(name);
      expect(active).toEqual([name]);
      await new Promise((resolve) => setTimeout(resolve, 5_000));
      active.pop();
      return name;
    };
    const runs = ['a', 'b', 'c'].map((name) => withLock(optionsOf(name), task(name)));
    await seconds(60);
    await expect(Promise.all(runs)).resolves.toEqual(['a', 'b', 'c']);
  });

  test('wait for each other no longer than the timeout', async () => {
    const { optionsOf } = setUp();
    const first = work();
    const a = withLock(optionsOf('first'), () => first.promise);
    const refused = problemOf(withLock(optionsOf('second', 60), async () => 'never'));
    await seconds(70);
    expect((await refused).message).toBe(
      'Waiting for the lock on NATS cluster nats-a (Lease demo/nats-a): Another run still works on it: first. ' +
        'Run again when it has ended, and give the workflow a concurrency group so that its runs queue up.',
    );
    first.finish();
    await a;
  });
});

describe('a dead holder', () => {
  test('is taken over after a minute without renewal, whatever its clock said', async () => {
    const { kube, optionsOf } = setUp();
    kube.put(leaseHeldBy('killed'));
    const options = optionsOf('me');
    let started = 0;
    const run = withLock(options, async () => {
      started = Date.now();
    });
    await seconds(60);
    expect(started).toBe(0);
    await seconds(4);
    await run;
    expect(started).toBeGreaterThan(0);
    expect(options.log.lines).toEqual([
      'info Waiting for another run that works on nats-a: killed',
      'warning The run that held the lock on nats-a stopped renewing it: killed. Taking over.',
    ]);
  });

  test('that was this very run, whose first answer got lost, is nobody to wait for', async () => {
    const { kube, optionsOf } = setUp();
    const create = kube.create;
    kube.create = async (object) => {
      await create(object);
      return null;
    };
    const run = withLock(optionsOf('me'), async () => Date.now());
    await seconds(2);
    await expect(run).resolves.toBeLessThanOrEqual(Date.UTC(2026, 10, 22) + 2_000);
  });
});

describe('a Lease that cannot be renewed', () => {
  test('because an answer was lost is renewed the next time', async () => {
    const { kube, optionsOf } = setUp();
    const { promise, finish } = work();
    const replace = kube.replace;
    let lost = 1;
    kube.replace = async (object) => {
      const stored = await replace(object);
      return lost-- > 0 ? Promise.reject(new Error('reset')) : stored;
    };
    let check = () => {};
    const run = withLock(optionsOf('me'), (assertHeld) => {
      check = assertHeld;
      return promise;
    });
    await seconds(125);
    expect(kube.stored('Lease', 'nats-a').spec).toMatchObject({ renewTime: '2026-11-22T00:02:00.000000Z' });
    check();
    finish();
    await run;
    expect(kube.stored('Lease', 'nats-a').spec).toMatchObject({ holderIdentity: '' });
  });

  test('for 30 s stops the work at its next write, before another run may take over', async () => {
    const { kube, optionsOf } = setUp();
    const { promise, finish } = work();
    const replace = kube.replace;
    let check = () => {};
    const refused = problemOf(
      withLock(optionsOf('me'), async (assertHeld) => {
        check = assertHeld;
        await promise;
        assertHeld();
      }),
    );
    await seconds(1);
    kube.replace = () => Promise.reject(new Error('unreachable'));
    await seconds(29);
    check();
    await seconds(2);
    finish();
    expect((await refused).message).toBe(
      'Holding the lock on NATS cluster nats-a (Lease demo/nats-a): It could not be renewed for 30 s, so another run may ' +
        'have taken it. Nothing more was written. Run again: the next run completes what is missing.',
    );
    kube.replace = replace;
  });

  test('because another run took it over is left to that one', async () => {
    const { kube, optionsOf } = setUp();
    await withLock(optionsOf('me'), async () => {
      kube.put({ ...kube.stored('Lease', 'nats-a'), spec: { holderIdentity: 'another' } });
    });
    expect(kube.stored('Lease', 'nats-a').spec).toEqual({ holderIdentity: 'another' });
  });

  test('because another run took it stops the work at its next write', async () => {
    const { kube, optionsOf } = setUp();
    const { promise, finish } = work();
    const refused = problemOf(
      withLock(optionsOf('me'), async (assertHeld) => {
        await promise;
        assertHeld();
      }),
    );
    await seconds(1);
    kube.put({ ...kube.stored('Lease', 'nats-a'), spec: { holderIdentity: 'another' } });
    await seconds(10);
    finish();
    expect((await refused).message).toMatch(/Another run has taken it\. Nothing more was written\./);
    expect(kube.stored('Lease', 'nats-a').spec).toEqual({ holderIdentity: 'another' });
  });

  test('that somebody deletes meanwhile is made again by its holder, before another run takes it', async () => {
    const { kube, optionsOf } = setUp();
    const { promise, finish } = work();
    const run = withLock(optionsOf('me'), async (assertHeld) => {
      await promise;
      assertHeld();
    });
    await seconds(1);
    kube.take('Lease', 'nats-a');
    await seconds(10);
    expect(kube.stored('Lease', 'nats-a').spec).toMatchObject({ holderIdentity: 'me' });
    finish();
    await run;
    expect(kube.stored('Lease', 'nats-a').spec).toMatchObject({ holderIdentity: '' });
  });

  test('that somebody deleted is created again by the next run', async () => {
    const { kube, optionsOf } = setUp();
    await withLock(optionsOf('me'), async () => kube.take('Lease', 'nats-a'));
    await expect(withLock(optionsOf('next'), async () => 'done')).resolves.toBe('done');
  });
});

test('a Lease of somebody else is never taken, however long nobody renews it', async () => {
  const { kube, optionsOf } = setUp();
  const lease = leaseHeldBy('a controller');
  kube.put({ ...lease, metadata: { name: 'nats-a', namespace: 'demo', labels: {} } });
  const { details } = await problemOf(withLock(optionsOf('me'), async () => 'done'));
  expect(details).toMatchObject({ kind: 'conflict', reason: expect.stringContaining('not one of this action') });
  expect(kube.writes).toEqual([]);
});
