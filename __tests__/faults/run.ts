/**
 * Disturbs every request of an apply, an upgrade and a destroy run with every fault, one in each run, and looks at what comes of
 * it: npm run faults. With the name of a scenario, a part and the number of parts it does that part alone.
 */
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { Exhaustive, type Tally } from './exhaustive.ts';
import { FAULTS } from './faults.ts';
import { SCENARIOS } from './scenarios.ts';
import { type Turns, takeTurns } from './turns.ts';

/** Shares of a scenario's requests, each in a process of its own. */
const PARTS = 4;

interface Share {
  scenario: string;
  fault: string;
  tally: Tally;
}

/** In place of a scenario: two runs at once, beginning at one of so many requests. */
const TURNS = 'turns';
const EVERY = 10;

/** Disturbs every request by one of the faults, in turns, instead of by each: a ninth of the time. */
const ONCE = '--once';

async function disturb(name: string, part: number, parts: number, once: boolean): Promise<void> {
  if (name === TURNS) return report(await takeTurns(EVERY));
  const scenario = SCENARIOS[name];
  if (scenario === undefined)
    throw new Error(`no such scenario: ${name}; known are ${Object.keys(SCENARIOS).join(', ')}`);
  const exhaustive = await Exhaustive.prepare(scenario);
  const places = exhaustive.places.filter((_, index) => index % parts === part);
  const faults = Object.keys(FAULTS);
  for (const [turn, fault] of faults.entries()) {
    const chosen = once ? places.filter((_, index) => index % faults.length === turn) : places;
    const share: Share = { scenario: name, fault, tally: await exhaustive.tally(fault, chosen) };
    report(share);
  }
  await exhaustive.close();
}

/** To the process that waits for it, or to who started just this. */
function report(result: Share | Turns): void {
  if (process.send !== undefined) process.send(result);
  else if ('pairs' in result) console.log(result);
  else console.log(result.fault, countsOf([result.tally]), result.tally.findings);
}

function start(args: string[], take: (result: Share | Turns) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = fork(import.meta.filename, args);
    child.on('message', take);
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${args.join(' ')}: exit code ${code}`))));
  });
}

async function disturbAll(once: boolean): Promise<void> {
  const started = performance.now();
  const shares: Share[] = [];
  const turns: Turns = { pairs: 0, findings: [] };
  const waiting = Object.keys(SCENARIOS).flatMap((name) =>
    Array.from({ length: PARTS }, (_, part) => [name, String(part), String(PARTS)]),
  );
  const take = (result: Share | Turns): void => {
    if ('pairs' in result) Object.assign(turns, result);
    else shares.push(result);
    const findings =
      'pairs' in result ? result.findings : result.tally.findings.map((words) => `${result.scenario}: ${words}`);
    for (const finding of findings) console.log(finding);
  };
  waiting.unshift([TURNS]);
  await Promise.all(
    Array.from({ length: availableParallelism() }, async () => {
      for (let args = waiting.shift(); args !== undefined; args = waiting.shift()) {
        await start(once ? [...args, ONCE] : args, take);
      }
    }),
  );
  for (const scenario of Object.keys(SCENARIOS)) {
    for (const fault of Object.keys(FAULTS)) {
      const these = shares.filter((share) => share.scenario === scenario && share.fault === fault);
      console.log(`${scenario}, ${fault}: ${countsOf(these.map(({ tally }) => tally))}`);
    }
  }
  const tallies = shares.map(({ tally }) => tally);
  console.log(`Two runs at once: ${turns.pairs} pairs, ${turns.findings.length} findings`);
  const seconds = Math.round((performance.now() - started) / 1000);
  console.log(`All together: ${countsOf(tallies)}; ${seconds} s.`);
  if ([turns, ...tallies].some(({ findings }) => findings.length > 0)) process.exitCode = 1;
}

function countsOf(tallies: Tally[]): string {
  const sum = (count: (tally: Tally) => number) => tallies.reduce((total, tally) => total + count(tally), 0);
  return (
    `${sum(({ cases }) => cases)} cases, ${sum(({ done }) => done)} succeeded, ` +
    `${sum(({ failed }) => failed)} failed with a clear error, ${sum(({ killed }) => killed)} killed, ` +
    `${sum(({ notReached }) => notReached)} never met it, ` +
    `${sum(({ wentOn }) => wentOn)} seen to go on as an undisturbed run and ended there, ` +
    `${sum(({ statesLeft }) => statesLeft)} states left to go on from, ${sum(({ findings }) => findings.length)} findings`
  );
}

const once = process.argv.includes(ONCE);
const [scenario, part, parts] = process.argv.slice(2).filter((argument) => argument !== ONCE);
await (scenario === undefined ? disturbAll(once) : disturb(scenario, Number(part ?? 0), Number(parts ?? 1), once));
