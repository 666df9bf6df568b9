import type { Log } from '../../src/report/log.ts';

export interface RecordedLog extends Log {
  /** "info ...", "notice ...", "warning ..." in the order they were told. */
  lines: string[];
}

export function recordedLog(): RecordedLog {
  const lines: string[] = [];
  return {
    lines,
    info: (message) => void lines.push(`info ${message}`),
    group: (title, text) => void lines.push(`group ${title}`, ...text.split('\n')),
    notice: (message) => void lines.push(`notice ${message}`),
    warning: (message) => void lines.push(`warning ${message}`),
  };
}
