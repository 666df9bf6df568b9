import type { RecordedRequest } from '../../simulator/requests.ts';
import { writesIn } from '../../simulator/requests.ts';
import type { Simulator } from '../../simulator/simulator.ts';
import { Problem } from '../../src/problem.ts';
import { FAULTS, patienceWith } from './faults.ts';
import { differencesOf, isLocked, leftState, type NormalForm, wantedState } from './normal-form.ts';
import { type Process, startProcess } from './process.ts';
import type { VirtualTime } from './virtual-time.ts';
import { type Furniture, startWorld, undisturbed, type Values, type World, wordsOf } from './world.ts';

/** Runs one after the other; the last one is what is disturbed. */
export interface Scenario {
  before: Values[];
  inputs: Values;
  /** What there is before any run; a plain cluster by default. */
  furniture?: Furniture;
}

/** One request of the undisturbed run: the nth of its method and path. */
interface Place {
  request: RecordedRequest;
  nth: number;
}

export interface Tally {
  cases: number;
  done: number;
  failed: number;
  killed: number;
  /** Of requests that the disturbed run did not make: how often it asks how far the cluster is depends on the machine. */
  notReached: number;
  /** That were ended where they went on as the undisturbed run. */
  wentOn: number;
  /** What was left, where nobody else has left just that: each time the next run was made. */
  statesLeft: number;
  findings: string[];
}

/** Where an answer that is lost leaves a token that nobody can revoke any more: it expires. */
const ANSWERS_ABOUT_TOKENS = /\/v1\/auth\/(approle\/login|token\/revoke-self)$/;

/** Where a run that gets no answer cannot give the lock back: it runs out. */
const ABOUT_LOCKS = /\/leases\b/;

/** Milliseconds, in real time, after which a server that hangs is given up: at first, and to be sure of a finding. */
const HASTE = 100;
const CARE = 3_000;

/** What a run has asked for, and how often, and what there is at that moment. */
interface Stand {
  asked: Map<string, number>;
  state: string;
}

/** Of so many runs that go on as the undisturbed one did, one is not ended there but followed to its end. */
const FOLLOWED = 8;

/**
 * A simulated world in which one run is disturbed again and again. What a run does next follows from what it was answered, and
 * that from what there is: one that has asked the same as the undisturbed run, but for one request again, and finds the same
 * there before one of its writes, goes on as that did, and is mostly ended there.
 */
export class Exhaustive {
  readonly #simulator: Simulator;
  readonly #time: VirtualTime;
  readonly #inputs: Values;
  readonly #restore: () => void;
  readonly #began: number;
  readonly #wanted: NormalForm;
  readonly #stands: Map<string, Stand>;
  readonly places: Place[];
  #goingOn = 0;
  /** Reasons of rejections that nobody handles. */
  readonly #unheard: unknown[] = [];
  /** What disturbed runs have left and the next ones have made good. */
  readonly #known = new Set<string>();

  private constructor(
    { simulator, time }: World,
    inputs: Values,
    start: { restore: () => void; began: number },
    undisturbed: { wanted: NormalForm; places: Place[]; stands: Map<string, Stand> },
  ) {
    this.#simulator = simulator;
    this.#time = time;
    this.#inputs = inputs;
    this.#restore = start.restore;
    this.#began = start.began;
    this.#wanted = undisturbed.wanted;
    this.places = undisturbed.places;
    this.#stands = undisturbed.stands;
    process.on('unhandledRejection', (reason) => this.#unheard.push(reason));
  }

  static async prepare({ before, inputs, furniture }: Scenario): Promise<Exhaustive> {
    const world = await startWorld(furniture);
    const { simulator, time } = world;
    for (const values of before) await undisturbed(world, values);
    const start = { restore: simulator.snapshot(), began: Date.now() };
    // The first time a process does something it is slow, and may ask more often how far the cluster is.
    await undisturbed(world, inputs);
    start.restore();
    time.set(start.began);
    const seen = simulator.requests.length;
    const stands = new Map<string, Stand>();
    beforeEachWrite(simulator, (request) => {
      const asked = countsOf(simulator.requests.slice(seen));
      stands.set(turnOf(request, asked), { asked, state: leftState(simulator) });
    });
    await undisturbed(world, inputs);
    simulator.faults.clear();
    const places = placesOf(simulator.requests.slice(seen));
    return new Exhaustive(world, { ...world.inputs, ...inputs }, start, {
      wanted: wantedState(simulator),
      places,
      stands,
    });
  }

  close(): Promise<void> {
    return this.#simulator.close();
  }

  /** Has each request meet the fault, one in each run. */
  async tally(fault: string, places = this.places): Promise<Tally> {
    const tally: Tally = {
      cases: 0,
      done: 0,
      failed: 0,
      killed: 0,
      notReached: 0,
      wentOn: 0,
      statesLeft: 0,
      findings: [],
    };
    for (const place of places) await this.#disturb(fault, place, tally);
    return tally;
  }

  async #disturb(fault: string, place: Place, tally: Tally): Promise<void> {
    let attempt = await this.#attempt(fault, place, HASTE);
    // A machine that does much else may have taken a slow answer for none.
    if (attempt.wrong.length > 0) attempt = await this.#attempt(fault, place, CARE);
    const { struck, outcome, wrong, isNew, goesOn } = attempt;
    tally.cases += 1;
    tally[outcome.end] += 1;
    if (!struck) tally.notReached += 1;
    if (isNew) tally.statesLeft += 1;
    if (goesOn) tally.wentOn += 1;
    const name = `${place.request.method} ${place.request.path} (${place.nth}) meets ${fault}`;
    tally.findings.push(...wrong.map((words) => `${name}: ${words}`));
  }

  async #attempt(fault: string, place: Place, patience: number) {
    this.#restore();
    this.#time.set(this.#began);
    this.#simulator.requests.length = 0;
    this.#unheard.length = 0;
    const { struck, outcome, goesOn, hadToken } = await this.#runWith(fault, place, patience);
    const unheard = this.#unheard.map((reason) => `a failure that nobody hears of would end the process: ${reason}`);
    if (goesOn) return { struck, outcome, wrong: unheard, isNew: false, goesOn };
    const wrong =
      outcome.end === 'done'
        ? differencesOf(this.#wanted, wantedState(this.#simulator))
        : outcome.end === 'failed'
          ? unclear(outcome.error)
          : [];
    const { alive } = this.#simulator.vault.tokens;
    if (alive.length > 0 && hadToken && !ANSWERS_ABOUT_TOKENS.test(place.request.path)) {
      wrong.push('a token of Vault stays');
    }
    if (outcome.end !== 'killed' && isLocked(this.#simulator) && !ABOUT_LOCKS.test(place.request.path)) {
      wrong.push('it keeps the lock');
    }
    wrong.push(...unheard);
    const left = leftState(this.#simulator);
    const isNew = !this.#known.has(left);
    if (isNew) {
      const later = await this.#goOn(patience);
      wrong.push(...later);
      if (later.length === 0) this.#known.add(left);
    }
    return { struck, outcome, wrong, isNew, goesOn };
  }

  async #runWith(fault: string, { request, nth }: Place, patience: number) {
    const { faults } = this.#simulator;
    let struck = false;
    let goesOn = false;
    let process: Process | undefined;
    const effect = FAULTS[fault]?.(request);
    if (effect === undefined) throw new Error(`no such fault: ${fault}`);
    faults.clear();
    faults.add({
      ...(effect.effect === 'kill' || effect.effect === 'cancel' ? { effect: 'none' } : effect),
      matches: (other) => placeOf(other) === placeOf(request),
      nth,
      struck: () => {
        struck = true;
        if (effect.effect === 'kill') process?.kill();
        if (effect.effect === 'cancel') process?.cancel();
        if (effect.effect === 'hang') this.#time.pass(patienceWith(request));
      },
    });
    const mayGoOn = effect.effect !== 'kill' && effect.effect !== 'cancel';
    beforeEachWrite(this.#simulator, (write) => {
      if (!mayGoOn || !struck || goesOn || !this.#isAsUndisturbed(write, request)) return;
      this.#goingOn += 1;
      goesOn = this.#goingOn % FOLLOWED !== 0;
      if (goesOn) process?.kill();
    });
    process = startProcess(this.#time, this.#inputs, { patience });
    const outcome = await this.#time.during(process.ended);
    faults.clear();
    // What a dead process has sent may arrive still.
    await this.#time.settled();
    return { struck, goesOn, hadToken: process.hasToken(), outcome: goesOn ? ({ end: 'done' } as const) : outcome };
  }

  /** Whether a run that comes to this write has asked the same as the undisturbed one, but for one request again. */
  #isAsUndisturbed(write: RecordedRequest, disturbed: RecordedRequest): boolean {
    const asked = countsOf(this.#simulator.requests);
    const place = placeOf(disturbed);
    asked.set(place, (asked.get(place) ?? 0) - 1);
    const stand = this.#stands.get(turnOf(write, asked));
    if (stand === undefined || stand.asked.size !== asked.size) return false;
    if ([...asked].some(([place, count]) => stand.asked.get(place) !== count)) return false;
    return stand.state === leftState(this.#simulator);
  }

  /** What is wrong with the next run, and with the one after that, which must have nothing to write. */
  async #goOn(patience: number): Promise<string[]> {
    const next = await this.#time.during(startProcess(this.#time, this.#inputs, { patience }).ended);
    if (next.end !== 'done') return [`the next run ${wordsOf(next)}`];
    const wrong = differencesOf(this.#wanted, wantedState(this.#simulator)).map(
      (words) => `after the next run ${words}`,
    );
    const seen = this.#simulator.requests.length;
    const third = await this.#time.during(startProcess(this.#time, this.#inputs, { patience }).ended);
    if (third.end !== 'done') wrong.push(`the run after the next ${wordsOf(third)}`);
    const writes = writesIn(this.#simulator.requests.slice(seen)).map(({ method, path }) => `${method} ${path}`);
    if (writes.length > 0) wrong.push(`the run after the next writes: ${writes.join(', ')}`);
    return wrong;
  }
}

/** Calls back when a write has arrived, before anything comes of it. */
function beforeEachWrite({ faults }: Simulator, tell: (request: RecordedRequest) => void): void {
  faults.add({
    effect: 'none',
    matches: (request) => {
      if (writesIn([request]).length > 0) tell(request);
      return false;
    },
  });
}

/** How often each place was asked at. */
function countsOf(requests: RecordedRequest[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const request of requests) counts.set(placeOf(request), (counts.get(placeOf(request)) ?? 0) + 1);
  return counts;
}

/** The request, and the how manieth of its place it is. */
function turnOf(request: RecordedRequest, asked: Map<string, number>): string {
  return `${asked.get(placeOf(request))} ${placeOf(request)}`;
}

/** What is asked for, the same in every run. */
function placeOf({ method, path }: RecordedRequest): string {
  return `${method} ${path.replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UID')}`;
}

function placesOf(requests: RecordedRequest[]): Place[] {
  const counts = new Map<string, number>();
  return requests.map((request) => {
    const key = placeOf(request);
    const nth = (counts.get(key) ?? 0) + 1;
    counts.set(key, nth);
    return { request, nth };
  });
}

/** What an operator could not act on. */
function unclear(error: unknown): string[] {
  if (!(error instanceof Problem))
    return [`ends with what is no Problem: ${error instanceof Error ? error.stack : error}`];
  const { tried, reason, next } = error.details;
  return [tried, reason, next].some((part) => part === '' || /undefined|\[object|\bat .*:\d+:\d+/.test(part))
    ? [`ends with unclear words: ${error.message}`]
    : [];
}
