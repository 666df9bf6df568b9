import { describe, expect, test } from '@jest/globals';
import { longestGap, nextTimes, readCron, type Schedule } from '../../src/inputs/cron.ts';
import { parseInputs } from '../../src/inputs/parse.ts';
import { environmentWith, findingsOf } from './environment-with.ts';

const INPUT = 'voluntary_disruption_window_cron_schedule';

/** A Friday. */
const NOW = new Date('2026-02-27T04:00:00Z');

function scheduleOf(text: string): Schedule {
  const reading = readCron(text);
  if ('flaw' in reading) throw new Error(reading.flaw);
  return reading.schedule;
}

function timesOf(text: string, after = NOW, count = 3): string[] {
  const schedule = scheduleOf(text);
  if (schedule.kind === 'interval') throw new Error(`${text} has no times of its own`);
  return nextTimes(schedule, after, count).map((time) => time.toISOString().slice(0, 16));
}

describe('the times of a schedule, as Kubernetes reads it', () => {
  test.each<[string, string[]]>([
    ['0 4 * * *', ['2026-02-28T04:00', '2026-03-01T04:00', '2026-03-02T04:00']],
    ['*/15 0-6 * * MON,TUE', ['2026-03-02T00:00', '2026-03-02T00:15', '2026-03-02T00:30']],
    ['5/25 3 * * *', ['2026-02-28T03:05', '2026-02-28T03:30', '2026-02-28T03:55']],
    ['0 4 * jan,Mar *', ['2026-03-01T04:00', '2026-03-02T04:00', '2026-03-03T04:00']],
    ['0 12 31 * *', ['2026-03-31T12:00', '2026-05-31T12:00', '2026-07-31T12:00']],
    ['0 0 29 2 *', ['2028-02-29T00:00', '2032-02-29T00:00', '2036-02-29T00:00']],
    ['30 23 ? * fri', ['2026-02-27T23:30', '2026-03-06T23:30', '2026-03-13T23:30']],
    // Two day fields are alternatives, unless one of them says "any"; a step is a restriction.
    ['0 4 1,15 * 1', ['2026-03-01T04:00', '2026-03-02T04:00', '2026-03-09T04:00']],
    ['0 4 */10 * 3', ['2026-03-01T04:00', '2026-03-04T04:00', '2026-03-11T04:00']],
    ['0 4 */10 * */1', ['2026-03-01T04:00', '2026-03-11T04:00', '2026-03-21T04:00']],
    ['@hourly', ['2026-02-27T05:00', '2026-02-27T06:00', '2026-02-27T07:00']],
    ['@daily', ['2026-02-28T00:00', '2026-03-01T00:00', '2026-03-02T00:00']],
    ['@midnight', ['2026-02-28T00:00', '2026-03-01T00:00', '2026-03-02T00:00']],
    ['@weekly', ['2026-03-01T00:00', '2026-03-08T00:00', '2026-03-15T00:00']],
    ['@monthly', ['2026-03-01T00:00', '2026-04-01T00:00', '2026-05-01T00:00']],
    ['@yearly', ['2027-01-01T00:00', '2028-01-01T00:00', '2029-01-01T00:00']],
  ])('%s', (text, times) => {
    expect(timesOf(text)).toEqual(times);
  });

  test('a moment before is before, the moment itself is past', () => {
    expect(timesOf('0 4 * * *', new Date('2026-02-27T03:59:59.999Z'), 1)).toEqual(['2026-02-27T04:00']);
    expect(timesOf('0 4 * * *', new Date('2026-02-27T04:00:00Z'), 1)).toEqual(['2026-02-28T04:00']);
  });
});

describe('the longest time from one to the next', () => {
  const HOUR = 3600;
  test.each<[string, number]>([
    ['* * * * *', 60],
    ['0 4 * * *', 24 * HOUR],
    ['0 4,6,23 * * *', 17 * HOUR],
    ['30 1,23 * * *', 22 * HOUR],
    ['0 4 * * sun', 7 * 24 * HOUR],
    ['0 4 * * sun,tue', 5 * 24 * HOUR],
    ['0 4 1,31 * *', 30 * 24 * HOUR],
    ['@every 1h30m', 1.5 * HOUR],
    ['@every 1.1m', 66],
  ])('%s', (text, seconds) => {
    expect(longestGap(scheduleOf(text))).toBe(seconds);
  });
});

describe('what is refused, and why', () => {
  test.each<[string, string]>([
    ['0 4 * *', 'the fields are minute, hour, day of month, month, day of week, and this has 4'],
    ['0 0 4 * * *', 'and this has 6'],
    ['60 * * * *', 'minute "60" is not from 0 to 59'],
    ['0 24 * * *', 'hour "24" is not from 0 to 23'],
    ['0 4 0 * *', 'day of month "0" is not from 1 to 31'],
    ['0 4 * 13 *', 'month "13" is not from 1 (jan) to 12 (dec)'],
    ['0 4 * * 7', 'day of week "7" is not from 0 (sun) to 6 (sat): write 0 for Sunday'],
    ['0 4 * * sunday', 'day of week "sunday" is not'],
    ['0 4 * * L', 'day of week "L" is not'],
    ['0 4 * * 5#2', 'day of week "5#2" is not'],
    ['0 4 -1 * *', 'day of month "" is not'],
    ['0 22-4 * * *', 'hour "22-4" ends before it begins: write 22-23,0-4'],
    ['0 4 * * fri-mon', 'day of week "fri-mon" ends before it begins: write 5-6,0-1'],
    ['0 1-2-3 * * *', 'hour "1-2-3" has more than one "-"'],
    ['*/5/5 * * * *', 'minute "*/5/5" has more than one "/"'],
    ['*/0 * * * *', 'the step of minute "*/0" is no whole number from 1 on'],
    ['*/x * * * *', 'the step of minute "*/x" is no whole number'],
    [', * * * *', 'minute "," has no value'],
    ['0 0 30 2 *', 'it never comes: none of its months has such a day'],
    ['0 0 31 4,6,9,11 *', 'it never comes'],
    ['@reboot', '"@reboot" is none of @yearly, '],
    ['@Daily', '"@Daily" is none of @yearly, '],
    ['@toString', '"@toString" is none of'],
    ['@every 12', '@every wants a duration such as 12h or 1h30m, not "12"'],
    ['@every 1d', 'not "1d"'],
    ['@every 1h 30m', 'not "1h 30m"'],
    ['@every -1h', 'not "-1h"'],
    ['@every 59s', '59s is less than a minute'],
    ['@every 99999999h', '99999999h is more than ten years'],
    ['TZ=Europe/Berlin 0 4 * * *', 'it must not name a time zone, schedules are in UTC'],
    ['CRON_TZ=UTC 0 4 * * *', 'it must not name a time zone'],
    ['every day', 'and this has 2'],
  ])('%s', (text, flaw) => {
    const [finding, ...more] = findingsOf({ [INPUT]: text });
    expect(more).toEqual([]);
    expect(finding).toMatch(new RegExp(`^${INPUT} "`));
    expect(finding).toContain(' must be a cron schedule of five fields, such as 0 4 * * *: ');
    expect(finding).toContain(flaw);
  });
});

test('blanks of any sort and number are one blank to Kubernetes', () => {
  const { inputs } = parseInputs(environmentWith({ [INPUT]: ' 0  4\t*\u00a0* * ' }));
  expect(inputs[INPUT]).toBe('0 4 * * *');
});
