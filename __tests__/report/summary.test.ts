import { describe, expect, test } from '@jest/globals';
import { Problem } from '../../src/problem.ts';
import { emptyReport, type RunReport } from '../../src/report/run-report.ts';
import { renderSummary } from '../../src/report/summary.ts';

const OUTPUTS = { name: 'nats-a', namespace: 'demo', match_labels: '{"app.kubernetes.io/name":"nats"}' };

function report(parts: Partial<RunReport> = {}): RunReport {
  return { ...emptyReport(), outputs: OUTPUTS, ...parts };
}

describe('a summary', () => {
  test('of a run that changed something', () => {
    const full = report({
      verified: true,
      leader: 'nats-a-1',
      adaptations: [{ wanted: 'StorageClass ebs', instead: 'the default class standard' }],
      notices: [{ severity: 'notice', input: 'minimum_memory_mb', message: 'Raised to 128 MiB: it is killed at 50.' }],
      changes: [
        { action: 'create', object: 'StatefulSet demo/nats-a', fields: [] },
        { action: 'update', object: 'Vault pki/internal/roles/nats-admin-nats-a', fields: ['max_ttl', 'ttl'] },
        { action: 'delete', object: 'Certificate demo/nats-a-cluster-certs', fields: [] },
      ],
    });
    expect(renderSummary(full, null)).toMatchSnapshot();
  });

  test('of a run that had nothing to do', () => {
    expect(renderSummary(report({ verified: true, leader: 'nats-a-1' }), null)).toMatchSnapshot();
  });

  test('of a run that failed before it knew the cluster', () => {
    const problem = new Problem({
      kind: 'input',
      tried: 'Reading the inputs',
      reason: 'Two are wrong.',
      findings: ['replicas "2" must be 1, 3 or 5', 'unknown input "namspace": did you mean namespace?'],
      next: 'Correct them.',
    });
    expect(renderSummary(emptyReport(), problem)).toMatchSnapshot();
  });

  test('of a run that failed on the way tells how far it came', () => {
    const problem = new Problem({ kind: 'timeout', tried: 'Waiting for pods', reason: 'After 600 s.', next: 'Look.' });
    const text = renderSummary(
      report({ changes: [{ action: 'create', object: 'Issuer demo/a', fields: [] }] }),
      problem,
    );
    expect(text).toContain('**Failed** (timeout). Waiting for pods: After 600 s.');
    expect(text).toContain('| create | `Issuer demo/a` |');
  });

  test('keeps the lines of what is to be pasted', () => {
    const next = 'Add to a policy:\npath "a" {}\npath "b" {}';
    const problem = new Problem({ kind: 'permission', tried: 'Checking', reason: 'No.', next });
    expect(renderSummary(emptyReport(), problem)).toContain('Add to a policy:\\\npath "a" {}\\\npath "b" {}');
  });

  test('of a defect quotes nothing of it', () => {
    expect(renderSummary(report(), new TypeError('secret'))).toContain('**Failed** by a defect of this action');
    expect(renderSummary(report(), new TypeError('secret'))).not.toContain('secret');
  });

  test('counts one change as one, and says nothing of the health of what was not verified', () => {
    const one = report({ changes: [{ action: 'create', object: 'Issuer demo/a', fields: [] }] });
    expect(renderSummary(one, null)).toContain('**1 change made.** The cluster was neither waited for nor verified');
  });
});

describe('what others wrote', () => {
  const evil = 'a | b <img src=x> [link](https://x) ![i](https://y) `c` *d* _e_\n# title &lt;';

  test('becomes no markup of an error', () => {
    const problem = new Problem({ kind: 'target', tried: evil, reason: evil, findings: [evil], next: 'Look.' });
    const text = renderSummary(emptyReport(), problem);
    expect(text).toContain(
      'a \\| b \\<img src=x\\> \\[link\\](https://x) \\!\\[i\\](https://y) \\`c\\` \\*d\\* \\_e\\_ \\# title \\&lt;',
    );
    expect(text).not.toMatch(/(?<!\\)[<[`|]/);
  });

  test('breaks no table', () => {
    const text = renderSummary(
      {
        ...emptyReport(),
        adaptations: [{ wanted: evil, instead: 'b' }],
        changes: [{ action: 'update', object: 'x`|\ny', fields: ['a|b'] }],
      },
      null,
    );
    const rows = text.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| ---'));
    expect(rows).toEqual([
      '| Wanted | Used instead |',
      expect.stringMatching(/^\| a \\\| b .* \| b \|$/),
      '| What | Object | Fields |',
      "| update | `x'\\| y` | `a\\|b` |",
    ]);
  });
});

test('a long list of fields is cut between two of them', () => {
  const fields = Array.from({ length: 20 }, (_, index) => `spec.field${index}`);
  const text = renderSummary(report({ changes: [{ action: 'update', object: 'x', fields }] }), null);
  expect(text).toContain('`spec.field7` and 12 more |');
  expect(text).not.toContain('spec.field8');
});
