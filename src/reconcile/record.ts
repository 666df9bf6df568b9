import type { Change } from '../report/run-report.ts';
import type { RunContext } from './context.ts';

const DONE = { create: 'Created', update: 'Updated', adopt: 'Took over', delete: 'Deleted' };

/** Keeps a change for the summary and tells it in the log, with the fields or the reason. */
export function record({ report, log }: RunContext, change: Change, because = change.fields.join(', ')): void {
  report.changes.push(change);
  report.unwritten = report.unwritten.filter((object) => object !== change.object);
  log.info(`${DONE[change.action]} ${change.object}${because === '' ? '' : `: ${because}`}`);
}
