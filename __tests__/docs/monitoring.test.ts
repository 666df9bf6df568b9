import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { digText } from '../../src/json.ts';
import { PORTS } from '../../src/nats/layout.ts';
import { stateWith } from '../desired/fixture.ts';
import { rulesIn } from '../desired/rendered-monitoring.ts';

const page = readFileSync('docs/monitoring.md', 'utf8');

test('the table of docs/monitoring.md has the alerts as they are', () => {
  const alone = new Set(rulesIn(stateWith({ monitoring_enabled: true, replicas: 1 })).map((rule) => rule.alert));
  const rows = rulesIn(stateWith({ monitoring_enabled: true })).map((rule) => {
    const name = `\`${digText(rule, 'alert')}\`${alone.has(rule.alert) ? '' : ' \\*'}`;
    const cells = [
      name,
      digText(rule, 'labels', 'severity'),
      digText(rule, 'for'),
      digText(rule, 'annotations', 'summary'),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  const [, table = ''] = /<!-- alerts:start -->\n([\s\S]*?)<!-- alerts:end -->/.exec(page) ?? [];
  expect(table.trimEnd().split('\n')).toEqual([
    '| Alert | Severity | After | Summary |',
    '| --- | --- | --- | --- |',
    ...rows,
  ]);
});

test('docs/monitoring.md tells the ports', () => {
  expect(page).toContain(`port ${PORTS.metrics}, output \`metrics_port\``);
  expect(page).toContain(`\`metrics_port\` is then ${PORTS.monitoring}`);
});
