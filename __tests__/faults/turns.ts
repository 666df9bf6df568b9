import { type RecordedRequest, writesIn } from '../../simulator/requests.ts';
import { digText } from '../../src/json.ts';
import { differencesOf, type NormalForm, wantedState } from './normal-form.ts';
import { type Process, startProcess } from './process.ts';
import { startWorld, undisturbed, type Values, type World, wordsOf } from './world.ts';

/** What two runs want of one cluster. */
const FIRST: Values = { log_level: 'debug', network_policy_enabled: 'false' };
const SECOND: Values = { log_level: 'trace', ping_interval_seconds: '10' };

export interface Turns {
  pairs: number;
  findings: string[];
}

/**
 * Has two runs with different inputs work on one cluster: the second begins while the first is at a request, and takes over at
 * a write of one whose machine sleeps there for longer than it may hold the lock.
 *
 * @param every so many requests, and writes, of the first are tried
 */
export async function takeTurns(every: number): Promise<Turns> {
  const world = await startWorld();
  const { simulator, time } = world;
  await undisturbed(world, {});
  const start = { restore: simulator.snapshot(), began: Date.now() };
  const rewind = (): void => {
    start.restore();
    time.set(start.began);
    simulator.requests.length = 0;
    simulator.faults.clear();
  };
  const wanted: { [name: string]: NormalForm } = {};
  let requests: RecordedRequest[] = [];
  for (const [name, values] of Object.entries({ second: SECOND, first: FIRST })) {
    rewind();
    await undisturbed(world, values);
    wanted[name] = wantedState(simulator);
    requests = [...simulator.requests];
  }
  const writes = writesIn(requests).map((write) => requests.indexOf(write));
  const turns: Turns = { pairs: 0, findings: [] };
  const pair = async (at: number, sleeps: boolean): Promise<void> => {
    rewind();
    const what = sleeps ? `the first sleeps at its request ${at}` : `the second begins at request ${at} of the first`;
    const wrong = await runPair(world, wanted, at, sleeps);
    turns.pairs += 1;
    turns.findings.push(...wrong.map((words) => `two runs at once, ${what}: ${words}`));
  };
  for (let at = 0; at < requests.length; at += every) await pair(at, false);
  for (let index = 0; index < writes.length; index += every) await pair(writes[index] ?? 0, true);
  await simulator.close();
  return turns;
}

async function runPair(
  { simulator, time, inputs }: World,
  wanted: { [name: string]: NormalForm },
  at: number,
  sleeps: boolean,
): Promise<string[]> {
  const begun = Promise.withResolvers<Process>();
  const beginSecond = () => begun.resolve(startProcess(time, { ...inputs, ...SECOND }, { name: 'second' }));
  let first: Process | undefined;
  let wake: (() => void) | undefined;
  simulator.faults.add({
    effect: 'none',
    matches: ({ userAgent }) => userAgent === 'first',
    nth: at + 1,
    struck: () => {
      if (sleeps) wake = first?.suspend();
      beginSecond();
    },
  });
  first = startProcess(time, { ...inputs, ...FIRST }, { name: 'first' });
  const second = (await time.during(begun.promise)).ended;
  if (sleeps) await time.during(second);
  wake?.();
  const [ended, secondEnded] = await time.during(Promise.all([first.ended, second]));
  const wrong = interleaved(simulator.requests);
  if (secondEnded.end !== 'done') wrong.push(`the second ${wordsOf(secondEnded)}`);
  if (ended.end !== 'done' && !sleeps) wrong.push(`the first ${wordsOf(ended)}`);
  const last = holders(simulator.requests).at(-1) ?? '';
  wrong.push(...differencesOf(wanted[last] ?? {}, wantedState(simulator)));
  return wrong;
}

/** Who held the lock, one after the other. */
function holders(requests: RecordedRequest[]): string[] {
  return requests.map(holderAfter).filter((holder) => holder !== undefined && holder !== '') as string[];
}

/** Who holds the lock after the request; undefined where it is not about that. */
function holderAfter({ method, path, status, body }: RecordedRequest): string | undefined {
  const isAboutLock = method !== 'GET' && path.includes('/leases') && status < 300;
  return isAboutLock ? digText(body, 'spec', 'holderIdentity') : undefined;
}

/** Writes of a run that did not hold the lock: of the servers' own files anybody may remind the kubelets. */
function interleaved(requests: RecordedRequest[]): string[] {
  let holder = '';
  const writes = new Set(writesIn(requests));
  return requests.flatMap((request) => {
    holder = holderAfter(request) ?? holder;
    const isWrite = writes.has(request) && !request.path.includes('/leases');
    return isWrite && request.userAgent !== holder
      ? [`${request.userAgent} writes while "${holder}" holds the lock: ${request.method} ${request.path}`]
      : [];
  });
}
