import { describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../src/json.ts';
import {
  countsOf,
  diffOf,
  findingsOf,
  type PlannedChange,
  type PlannedConflict,
  type PlanReport,
  planJson,
  planText,
} from '../../src/report/plan-report.ts';

function update(before: JsonObject | null, after: JsonObject | null, more: Partial<PlannedChange> = {}): PlannedChange {
  return { action: 'update', kind: 'ConfigMap', namespace: 'demo', name: 'nats', fields: [], before, after, ...more };
}

function report(...changes: PlannedChange[]): PlanReport {
  return { changes, conflicts: [], refusals: [], bookkeeping: false, restarts: false };
}

const CONF = Array.from({ length: 30 }, (_, line) => `setting_${line}: 1`).join('\n');

describe('a change', () => {
  test('is a diff of YAML, in which a text keeps its lines', () => {
    const text = diffOf(
      update({ data: { conf: CONF } }, { data: { conf: CONF.replace('setting_9: 1', 'setting_9: 2') } }),
    );
    expect(text).toBe(
      [
        '@@ -8,9 +8,9 @@',
        '     setting_5: 1',
        '     setting_6: 1',
        '     setting_7: 1',
        '     setting_8: 1',
        '-    setting_9: 1',
        '+    setting_9: 2',
        '     setting_10: 1',
        '     setting_11: 1',
        '     setting_12: 1',
        '     setting_13: 1',
      ].join('\n'),
    );
  });

  test('of what comes or goes has every line', () => {
    expect(diffOf(update(null, { a: { b: 1 } }))).toBe('+a:\n+  b: 1');
    expect(diffOf(update({ a: [1] }, null))).toBe('-a:\n-  - 1');
  });

  test('of nothing but who holds the fields tells that', () => {
    const fields = [{ path: 'metadata.managedFields' }];
    expect(diffOf(update({ a: 1 }, { a: 1 }, { fields }))).toBe('  (metadata.managedFields)');
  });

  test('has its long lines cut, visibly', () => {
    const text = diffOf(update(null, { dashboard: 'x'.repeat(60_000) }));
    expect(text.length).toBeLessThan(400);
    expect(text).toMatch(/x\.\.\. \(cut, \d+ more characters\)$/);
  });
});

describe('a plan', () => {
  test('tells its counts, or that there is nothing', () => {
    const removal = update({ a: 1 }, null, { action: 'delete' });
    expect(countsOf(report(update({}, { a: 1 }), removal, removal))).toBe('1 to update, 2 to delete');
    expect(countsOf(report())).toBe('nothing to change');
    expect(countsOf({ ...report(), bookkeeping: true })).toBe(
      'only the inventory, a ConfigMap of this action, to update',
    );
  });

  test('tells conflicts with both values, and why an apply would be refused', () => {
    const text = planText({
      ...report(update({ a: 1 }, { a: 2 })),
      conflicts: [
        { kind: 'Service', namespace: 'demo', name: 'nats', manager: 'helm', path: 'spec.type', from: 'a', to: 'b' },
      ],
      refusals: ['cert-manager is missing.'],
    });
    expect(text).toContain('An apply would be refused: cert-manager is missing.\n');
    expect(text).toContain('Conflict: "helm" holds spec.type of Service demo/nats: "a", wanted "b"\n');
  });

  test('tells of the values of a conflict how they begin', () => {
    const [finding = ''] = findingsOf({ ...report(), conflicts: [conflict(0)] });
    expect(finding).toMatch(/^Conflict: "helm" holds metadata.labels.l0 of Service nats: "setting_0: 1/);
    expect(finding.length).toBeLessThan(400);
  });

  const large = report(
    ...Array.from({ length: 100 }, (_, index) =>
      update({ data: { conf: `${index} ${CONF.repeat(20)}` } }, null, {
        name: `nats-${index}`,
        fields: [{ path: 'data.conf', from: CONF.repeat(20), to: 'é'.repeat(10_000) }],
      }),
    ),
  );

  test('is cut, visibly, before it is too long for an output and a summary', () => {
    const text = planText(large);
    expect(Buffer.byteLength(text, 'utf16le')).toBeLessThan(500_000);
    expect(text).toMatch(/\.\.\. \(cut, \d+ more characters\)$/);
  });

  test('as JSON stays JSON: it lists every object, and leaves out the values where they are too long', () => {
    const json = planJson(large);
    expect(Buffer.byteLength(json, 'utf16le')).toBeLessThan(500_000);
    expect(JSON.parse(json)).toMatchObject({ cut: true, changes: { length: 100 } });
  });

  function conflict(index: number): PlannedConflict {
    const value = CONF.repeat(20);
    return {
      kind: 'Service',
      name: 'nats',
      manager: 'helm',
      path: `metadata.labels.l${index}`,
      from: value,
      to: value,
    };
  }

  test('as JSON tells every conflict where the values are too long', () => {
    const { left_out, ...told } = JSON.parse(planJson({ ...large, conflicts: [conflict(0)] }));
    expect(told.conflicts).toEqual([{ kind: 'Service', name: 'nats', manager: 'helm', path: 'metadata.labels.l0' }]);
    expect(left_out).toEqual({ changes: 0, conflicts: 0, refusals: 0 });
  });

  test('as JSON stays JSON, and tells how much is left out, however much there is', () => {
    const many = Array.from({ length: 3_000 }, (_, index) => index);
    const json = planJson({
      changes: many.map((index) => update(null, {}, { name: `nats-${index}` })),
      conflicts: many.map(conflict),
      refusals: many.map((index) => `Refusal ${index} ${'"'.repeat(100)}`),
      bookkeeping: false,
      restarts: false,
    });
    expect(json.length).toBeLessThan(200_000);
    const { left_out, cut: _, ...lists } = JSON.parse(json);
    expect(Object.keys(left_out)).toEqual(['changes', 'conflicts', 'refusals']);
    for (const [list, count] of Object.entries(left_out)) {
      expect(lists[list].length).toBeGreaterThan(100);
      expect(lists[list].length + Number(count)).toBe(3_000);
    }
  });

  test('as JSON cuts a value that is long', () => {
    const long = update({}, {}, { fields: [{ path: 'data.dashboard', from: 'x'.repeat(60_000) }] });
    const { changes, cut } = JSON.parse(planJson(report(long)));
    expect(cut).toBeUndefined();
    expect(changes[0].fields[0].from).toMatch(/x\.\.\. \(cut, 40000 more characters\)$/);
  });
});
