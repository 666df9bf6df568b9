import { Problem } from '../problem.ts';
import type { RunReport } from './run-report.ts';

/** GitHub shows up to 1 MiB a step; a change's list of fields is cut long before. */
const LONGEST_CELL = 300;

/** The job summary of a run, as Markdown: how it ended first, then what a reader looks up. */
export function renderSummary(report: RunReport, error: unknown): string {
  const { name, namespace } = report.outputs;
  const title = `## NATS JetStream${name === undefined ? '' : `: ${code(`${namespace}/${name}`)}`}`;
  return [
    title,
    outcome(report, error),
    table(
      'Adapted to this cluster',
      ['Wanted', 'Used instead'],
      report.adaptations.map(({ wanted, instead }) => [wanted, instead]),
    ),
    table(
      'Notices',
      ['Input', 'What'],
      report.notices.map(({ input, message }) => [code(input), message]),
    ),
    table(
      'Changes',
      ['What', 'Object', 'Fields'],
      report.changes.map(({ action, object, fields }) => [action, code(object), fields.map(code).join(', ')]),
    ),
    table(
      'Outputs',
      ['Output', 'Value'],
      Object.entries(report.outputs).map(([output, value]) => [code(output), code(value)]),
    ),
  ]
    .filter((section) => section !== '')
    .join('\n\n');
}

function outcome({ changes, completed, leader }: RunReport, error: unknown): string {
  if (error instanceof Problem) {
    const { kind, tried, reason, findings = [], next } = error.details;
    const list = findings.map((finding) => `- ${escaped(finding)}`).join('\n');
    return [`**Failed** (${kind}). ${escaped(tried)}: ${escaped(reason)}`, list, escaped(next)]
      .filter((part) => part !== '')
      .join('\n\n');
  }
  if (error !== null) return '**Failed** by a defect of this action: see the log.';
  const health = leader === '' ? '' : ` The cluster is healthy; JetStream's meta leader is ${code(leader)}.`;
  if (!completed) return '**Not finished.**';
  return changes.length === 0
    ? `**Nothing to change.**${health}`
    : `**${changes.length} ${changes.length === 1 ? 'change' : 'changes'} made.**${health}`;
}

function table(title: string, head: string[], rows: string[][]): string {
  if (rows.length === 0) return '';
  const line = (cells: string[]) =>
    `| ${cells.map((cell) => cut(cell).replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  return [`### ${title}`, '', line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function cut(text: string): string {
  return text.length > LONGEST_CELL ? `${text.slice(0, LONGEST_CELL)} ...` : text;
}

function code(text: string): string {
  return `\`${text.replaceAll('`', "'")}\``;
}

/** What others wrote into an error must not become markup of the summary. */
function escaped(text: string): string {
  return text.replace(/[<>]/g, (sign) => (sign === '<' ? '&lt;' : '&gt;'));
}
