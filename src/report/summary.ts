import { Problem } from '../problem.ts';
import type { RunReport } from './run-report.ts';

/** GitHub shows up to 1 MiB a step; a change's list of fields is cut long before. */
const SHOWN_FIELDS = 8;

/** Outputs that have a section of their own. */
const SHOWN_ABOVE = ['plan', 'plan_json'];

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
      report.adaptations.map(({ wanted, instead }) => [escaped(wanted), escaped(instead)]),
    ),
    table(
      'Notices',
      ['Input', 'What'],
      report.notices.map(({ input, message }) => [code(input), escaped(message)]),
    ),
    table(
      'Changes',
      ['What', 'Object', 'Fields'],
      report.changes.map(({ action, object, fields }) => [action, code(object), listOf(fields)]),
    ),
    planSection(report),
    table(
      'Not written, or not confirmed',
      ['Object'],
      report.unwritten.map((object) => [code(object)]),
    ),
    table(
      'Outputs',
      ['Output', 'Value'],
      Object.entries(report.outputs)
        .filter(([output]) => !SHOWN_ABOVE.includes(output))
        .map(([output, value]) => [code(output), code(value)]),
    ),
  ]
    .filter((section) => section !== '')
    .join('\n\n');
}

function outcome({ plan, changes, verified, leader, conclusion }: RunReport, error: unknown): string {
  if (error instanceof Problem) {
    const { kind, tried, reason, findings = [], next } = error.details;
    const list = findings.map((finding) => `- ${escaped(finding)}`).join('\n');
    return [
      `**Failed** (${kind}). ${escaped(tried)}: ${escaped(reason)}`,
      list,
      next.split('\n').map(escaped).join('\\\n'),
    ]
      .filter((part) => part !== '')
      .join('\n\n');
  }
  if (error !== null) return '**Failed** by a defect of this action: see the log.';
  if (plan !== null) return `**Plan: ${plan.counts}.** Nothing was written.`;
  const count =
    changes.length === 0
      ? 'Nothing to change'
      : `${changes.length} ${changes.length === 1 ? 'change' : 'changes'} made`;
  return conclusion === '' ? `**${count}.** ${healthOf(verified, leader)}` : `**${conclusion}** ${count}.`;
}

/** The output of the plan, folded: it is cut to what a summary holds, and free of secrets. */
function planSection({ plan, outputs }: RunReport): string {
  if (plan === null || outputs.plan === undefined) return '';
  const longest = Math.max(2, ...[...outputs.plan.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = '`'.repeat(longest + 1);
  return [
    '### Plan',
    ...plan.findings.map((finding) => `- ${escaped(finding)}`),
    `<details><summary>${plan.counts}</summary>\n\n${fence}diff\n${outputs.plan}\n${fence}\n\n</details>`,
  ].join('\n\n');
}

function healthOf(verified: boolean, leader: string): string {
  if (!verified) return 'The cluster was neither waited for nor verified, as `wait` is false.';
  return `The cluster is healthy${leader === '' ? '' : `; JetStream's meta leader is ${code(leader)}`}.`;
}

function table(title: string, head: string[], rows: string[][]): string {
  if (rows.length === 0) return '';
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replace(/(?<!\\)\|/g, '\\|')).join(' | ')} |`;
  return [`### ${title}`, '', line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function listOf(fields: string[]): string {
  const more = fields.length - SHOWN_FIELDS;
  return fields.slice(0, SHOWN_FIELDS).map(code).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function code(text: string): string {
  return `\`${text.replaceAll('`', "'").replace(/\s+/g, ' ')}\``;
}

/** What others wrote into an error must not become markup of the summary. */
function escaped(text: string): string {
  return text.replace(/\s+/g, ' ').replace(/[\\`*_[\]<>#|~!&]/g, '\\$&');
}
