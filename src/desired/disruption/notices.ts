import { longestGap, nextTimes, readCron, type Schedule } from '../../inputs/cron.ts';
import type { Inputs } from '../../inputs/table.ts';
import { hasWindows } from '../disruption.ts';
import type { Notice } from '../state.ts';

/**
 * When the next windows open, and what keeps them from doing what they are for; nothing for a cluster without windows.
 *
 * @param now the time of the run: the rest of the desired state does not depend on it
 */
export function windowNotices(inputs: Inputs, now: Date): Notice[] {
  if (!inputs.voluntary_disruption_window_enabled) return [];
  if (!hasWindows(inputs)) {
    return [
      warning(
        'voluntary_disruption_window_enabled',
        'no window opens, as voluntary_disruptions_enabled is false: set that to true.',
      ),
    ];
  }
  const text = inputs.voluntary_disruption_window_cron_schedule;
  const reading = readCron(text);
  if ('flaw' in reading) return [];
  const seconds = inputs.voluntary_disruption_window_seconds;
  const gap = longestGap(reading.schedule);
  return [
    {
      severity: 'notice',
      input: 'voluntary_disruption_window_cron_schedule',
      message: `${openings(reading.schedule, now)}, for ${seconds} seconds.`,
    },
    ...(seconds < gap
      ? []
      : [
          warning(
            'voluntary_disruption_window_seconds',
            `the windows never close: each lasts ${seconds} seconds, and the next opens after ${gap} at most. Make this shorter than that, or voluntary_disruption_window_cron_schedule "${text}" rarer.`,
          ),
        ]),
  ];
}

function openings(schedule: Schedule, now: Date): string {
  if (schedule.kind === 'interval') {
    return `windows open every ${schedule.seconds} seconds, counted from when the CronJob was made`;
  }
  const [first, ...later] = nextTimes(schedule, now, 3).map(minuteOf);
  return `the next windows open at ${first}${later.map((time) => `, ${time}`).join('')} (UTC)`;
}

/** "Sun 2026-10-11 04:00" */
function minuteOf(time: Date): string {
  const [weekday] = time.toUTCString().split(',');
  return `${weekday} ${time.toISOString().slice(0, 16).replace('T', ' ')}`;
}

function warning(input: string, message: string): Notice {
  return { severity: 'warning', input, message };
}
