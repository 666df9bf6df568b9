import { expect } from '@jest/globals';
import { type Ending, runMain, type Values } from '../simulator/runner.ts';
import { auditWrites, hasAuditLog } from './cluster.ts';

/** Runs the action, which has to succeed. */
export async function run(inputs: Values): Promise<Ending> {
  const ending = await runMain(inputs);
  expect(ending).toMatchObject({ exitCode: 0, errors: [] });
  return ending;
}

/** Has the same inputs write nothing. */
export async function expectNoWrite(inputs: Values): Promise<void> {
  const since = new Date();
  const again = await run(inputs);
  expect(again.outputs.changed).toBe('false');
  if (hasAuditLog()) expect(await auditWrites(since, { userAgent: 'kube-nats-action/' })).toEqual([]);
}
