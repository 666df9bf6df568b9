import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

test('the demo of the README shows a cluster from nothing, no write with the same inputs, and one change', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['simulator/demo.ts']);
  const writes = [...stdout.matchAll(/(\d+) writes to Kubernetes and (\d+) to Vault; .* exit code (\d)/g)];
  expect(
    writes.map(([, kubernetes, vault, exitCode]) => [Number(kubernetes), Number(vault), Number(exitCode)]),
  ).toEqual([
    [28, 7, 0],
    [0, 0, 0],
    [11, 0, 0],
  ]);
  expect(stdout).toContain('nats_url                tls://nats-');
  expect(stdout).toContain('**Nothing to change.**');
  expect(stdout).toMatch(/Updated ConfigMap demo\/nats-\w+: data\.nats\.conf/);
  expect(stdout.match(/Revoked the Vault token of this run\./g)).toHaveLength(3);
});
