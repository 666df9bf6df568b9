/**
 * Cron schedules as Kubernetes reads them: ParseStandard of https://github.com/robfig/cron/blob/v3.0.1/parser.go, and what
 * https://github.com/kubernetes/kubernetes/blob/v1.34.4/pkg/apis/batch/validation/validation.go (validateScheduleFormat)
 * adds. Times are UTC.
 */

/** What one of the five fields may hold. */
interface FieldSpec {
  name: string;
  min: number;
  max: number;
  /** Names of the values, in any case of letters: the first is that of `min`. */
  names: readonly string[];
}

const FIELDS = {
  minute: { name: 'minute', min: 0, max: 59, names: [] },
  hour: { name: 'hour', min: 0, max: 23, names: [] },
  day: { name: 'day of month', min: 1, max: 31, names: [] },
  month: { name: 'month', min: 1, max: 12, names: 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ') },
  weekday: { name: 'day of week', min: 0, max: 6, names: 'sun mon tue wed thu fri sat'.split(' ') },
} satisfies { [unit: string]: FieldSpec };

type Unit = keyof typeof FIELDS;

const ORDER: readonly Unit[] = ['minute', 'hour', 'day', 'month', 'weekday'];

interface Field {
  values: ReadonlySet<number>;
  /** Whether it says "any" (`*`, `?`): then the days are those of the other day field alone. */
  any: boolean;
}

/** A schedule of five fields. */
export type Calendar = { [U in Unit]: Field } & { kind: 'calendar' };

/** A schedule of `@every`: Kubernetes counts from the CronJob's creation. */
export interface Interval {
  kind: 'interval';
  seconds: number;
}

/** When a CronJob runs: at times of the calendar, or each so many seconds. */
export type Schedule = Calendar | Interval;

const DESCRIPTORS: { [descriptor: string]: string } = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

/** What is wrong with a schedule, as a clause of its own. */
class Flaw extends Error {}

/**
 * Reads a schedule, or tells what is wrong with it. Refused are those that Kubernetes refuses, and those that it takes
 * although nothing would ever run by them, or more than once a minute.
 */
export function readCron(text: string): { schedule: Schedule } | { flaw: string } {
  try {
    return { schedule: parse(text) };
  } catch (error) {
    if (error instanceof Flaw) return { flaw: error.message };
    throw error;
  }
}

function parse(text: string): Schedule {
  if (text.includes('TZ')) throw new Flaw('it must not name a time zone, schedules are in UTC');
  if (text.startsWith('@every ')) return parseInterval(text.slice('@every '.length));
  if (!text.startsWith('@')) return parseFields(text.split(/\s+/));
  const fields = Object.hasOwn(DESCRIPTORS, text) ? DESCRIPTORS[text] : undefined;
  if (fields !== undefined) return parseFields(fields.split(' '));
  throw new Flaw(`${quoted(text)} is none of ${Object.keys(DESCRIPTORS).join(', ')}, @every 12h`);
}

function parseFields(texts: string[]): Calendar {
  if (texts.length !== ORDER.length) {
    const names = ORDER.map((unit) => FIELDS[unit].name).join(', ');
    throw new Flaw(`the fields are ${names}, and this has ${texts.length}`);
  }
  const field = (unit: Unit): Field => parseField(texts[ORDER.indexOf(unit)] ?? '', FIELDS[unit]);
  const calendar: Calendar = {
    kind: 'calendar',
    minute: field('minute'),
    hour: field('hour'),
    day: field('day'),
    month: field('month'),
    weekday: field('weekday'),
  };
  if (days(calendar, SOME_YEAR).next().done) throw new Flaw('it never comes: none of its months has such a day');
  return calendar;
}

function parseField(text: string, spec: FieldSpec): Field {
  const terms = text.split(',').filter((term) => term !== '');
  if (terms.length === 0) throw new Flaw(`${spec.name} ${quoted(text)} has no value`);
  const fields = terms.map((term) => parseTerm(term, spec));
  return {
    values: new Set(fields.flatMap(({ values }) => [...values])),
    any: fields.some(({ any }) => any),
  };
}

/** `*`, `?`, a value or a range, each with or without a step; "5/10" is every tenth from 5 on. */
function parseTerm(term: string, spec: FieldSpec): Field {
  const [range = '', stepText, ...moreSteps] = term.split('/');
  if (moreSteps.length > 0) throw new Flaw(`${spec.name} ${quoted(term)} has more than one "/"`);
  const step = stepText === undefined ? 1 : parseStep(stepText, term, spec);
  const { first, last, any } = parseRange(range, stepText !== undefined, spec);
  const values = new Set<number>();
  for (let value = first; value <= last; value += step) values.add(value);
  return { values, any: any && step === 1 };
}

function parseStep(text: string, term: string, { name }: FieldSpec): number {
  if (!isWhole(text) || Number(text) === 0) {
    throw new Flaw(`the step of ${name} ${quoted(term)} is no whole number from 1 on`);
  }
  return Number(text);
}

/** A value alone is a range to the field's end when a step follows it, else one of itself. */
function parseRange(text: string, hasStep: boolean, spec: FieldSpec): { first: number; last: number; any: boolean } {
  const [low = '', high, ...more] = text.split('-');
  if (low === '*' || low === '?') return { first: spec.min, last: spec.max, any: true };
  if (more.length > 0) throw new Flaw(`${spec.name} ${quoted(text)} has more than one "-"`);
  const first = parseValue(low, spec);
  if (high === undefined) return { first, last: hasStep ? spec.max : first, any: false };
  const last = parseValue(high, spec);
  if (first <= last) return { first, last, any: false };
  throw new Flaw(
    `${spec.name} ${quoted(text)} ends before it begins: write ${range(first, spec.max)},${range(spec.min, last)}`,
  );
}

function range(first: number, last: number): string {
  return first === last ? `${first}` : `${first}-${last}`;
}

function parseValue(text: string, spec: FieldSpec): number {
  const { name, min, max, names } = spec;
  const value = numberOf(text, spec);
  if (value >= min && value <= max) return value;
  const [first, last] = [names.at(0), names.at(-1)];
  const sunday = spec === FIELDS.weekday && value === 7 ? ': write 0 for Sunday' : '';
  const bounds = first && last ? `from ${min} (${first}) to ${max} (${last})` : `from ${min} to ${max}`;
  throw new Flaw(`${name} ${quoted(text)} is not ${bounds}${sunday}`);
}

/** NaN for what is neither a name nor a number. */
function numberOf(text: string, { min, names }: FieldSpec): number {
  const index = names.indexOf(text.toLowerCase());
  if (index !== -1) return min + index;
  return isWhole(text) ? Number(text) : Number.NaN;
}

/** As strconv.Atoi reads it, but for the numbers below zero: a "-" is between two values. */
function isWhole(text: string): boolean {
  return /^\+?\d+$/.test(text);
}

const SECONDS: { [unit: string]: number } = {
  h: 3600,
  m: 60,
  s: 1,
  ms: 1e-3,
  us: 1e-6,
  '\u00b5s': 1e-6,
  '\u03bcs': 1e-6,
  ns: 1e-9,
};

const SHORTEST_INTERVAL = 60;

/** More than ten years would not be a schedule, whatever Go's durations can hold (292 years). */
const LONGEST_INTERVAL = 10 * 366 * 86_400;

/** https://pkg.go.dev/time#ParseDuration; Kubernetes names Jobs by the minute, so that there cannot be two in one. */
function parseInterval(text: string): Interval {
  const parts = [...text.matchAll(/(\d+\.?\d*|\.\d+)([a-z\u00b5\u03bc]+)/g)];
  const isDuration = parts.length > 0 && text.replace(/^\+/, '') === parts.map(([part]) => part).join('');
  if (!isDuration || parts.some(([, , unit = '']) => !Object.hasOwn(SECONDS, unit))) {
    throw new Flaw(`@every wants a duration such as 12h or 1h30m, not ${quoted(text)}`);
  }
  const sum = parts.reduce((total, [, number, unit = '']) => total + Number(number) * (SECONDS[unit] ?? 0), 0);
  const seconds = Number(sum.toFixed(3));
  if (seconds < SHORTEST_INTERVAL) throw new Flaw(`${text} is less than a minute`);
  if (seconds > LONGEST_INTERVAL) throw new Flaw(`${text} is more than ten years`);
  return { kind: 'interval', seconds: Math.floor(seconds) };
}

function quoted(text: string): string {
  return JSON.stringify(text);
}

const DAY = 86_400_000;

/** A year from which a cycle of 28 covers each date on each day of the week, 29 February included. */
const SOME_YEAR = new Date(Date.UTC(2024, 0, 1));

const CYCLE_DAYS = 28 * 366;

/** The days of the schedule from that of `from` on, for 28 years. */
function* days(calendar: Calendar, from: Date): Generator<number> {
  const first = Math.floor(from.getTime() / DAY) * DAY;
  for (let day = first; day < first + CYCLE_DAYS * DAY; day += DAY) {
    if (hasDay(calendar, new Date(day))) yield day;
  }
}

/** Two restricted day fields are alternatives (dayMatches of robfig/cron's spec.go). */
function hasDay({ day, month, weekday }: Calendar, date: Date): boolean {
  if (!month.values.has(date.getUTCMonth() + 1)) return false;
  const fits = [day.values.has(date.getUTCDate()), weekday.values.has(date.getUTCDay())];
  return day.any || weekday.any ? fits.every(Boolean) : fits.some(Boolean);
}

/** The times of a day, in milliseconds from its beginning. */
function timesOfDay({ minute, hour }: Calendar): number[] {
  const times = [...hour.values].flatMap((h) => [...minute.values].map((m) => (h * 60 + m) * 60_000));
  return times.sort((a, b) => a - b);
}

/** The first `count` times of the schedule after an instant. */
export function nextTimes(calendar: Calendar, after: Date, count: number): Date[] {
  const found: Date[] = [];
  const times = timesOfDay(calendar);
  for (const day of days(calendar, after)) {
    const left = times.map((time) => day + time).filter((time) => time > after.getTime());
    found.push(...left.slice(0, count - found.length).map((time) => new Date(time)));
    if (found.length === count) break;
  }
  return found;
}

/** The longest time between two times of the schedule, in seconds. */
export function longestGap(schedule: Schedule): number {
  if (schedule.kind === 'interval') return schedule.seconds;
  const times = timesOfDay(schedule);
  const overNight = largestStep([...days(schedule, SOME_YEAR)]) - ((times.at(-1) ?? 0) - (times.at(0) ?? 0));
  return Math.max(overNight, largestStep(times)) / 1000;
}

/** Between two neighbours of a list in ascending order; 0 for fewer than two. */
function largestStep(sorted: number[]): number {
  return sorted.slice(1).reduce((most, value, index) => Math.max(most, value - (sorted[index] ?? value)), 0);
}
