import { describe, expect, test } from '@jest/globals';
import { Problem } from '../../../src/problem.ts';
import { lookAtOtherRoles } from '../../../src/reconcile/verify/other-roles.ts';
import { desiredVault } from '../../vault/desired.ts';
import { contextWith } from '../context.ts';

const COUNT = 1_000;

/** A run at a mount of so many roles of others, all of which sign any name, where reading each takes half a second. */
function slowMount() {
  const context = contextWith();
  const { vault, clock } = context;
  for (let index = 0; index < COUNT; index++)
    vault.store.set(`pki/internal/roles/web-${index}`, { allow_any_name: true, client_flag: true });
  const read = vault.read;
  vault.read = async (path) => {
    await clock.sleep(500);
    return read(path);
  };
  return context;
}

describe('more roles of others than can be read in time', () => {
  test.each([
    ['ten seconds', 60_000, 10],
    ["the run's deadline", 4_000, 4],
  ])('hold up the run no longer than %s, and are warned of as far as they were read', async (_, timeout, seconds) => {
    const context = slowMount();
    const start = context.clock.now();
    await lookAtOtherRoles({ ...context, deadline: start + timeout }, desiredVault());

    const looked = seconds * 2;
    expect(context.clock.now() - start).toBe(seconds * 1000);
    expect(context.log.lines).toEqual([
      expect.stringContaining(`info Looked at ${looked} of ${COUNT} roles of others at pki/internal, `),
      expect.stringMatching(new RegExp(`^warning vault_internal_pki_.* and ${looked - 4} more\\. Restrict`)),
    ]);
    expect(context.report.notices).toHaveLength(1);
  });

  test('hold up the run no longer where Vault leaves one of them without an answer', async () => {
    const context = contextWith();
    const { vault, clock, log } = context;
    for (const name of ['web', 'silent', 'mail']) vault.store.set(`pki/internal/roles/${name}`, {});
    const read = vault.read;
    vault.read = (path) => (path.at(-1) === 'silent' ? new Promise(() => {}) : read(path));
    await lookAtOtherRoles(context, desiredVault());
    expect(clock.slept).toEqual([10_000]);
    expect(log.lines).toEqual([expect.stringContaining('info Looked at 2 of 3 roles')]);
  });
});

test('roles of others that were all read are told of by nothing but the warning', async () => {
  const context = contextWith();
  context.vault.store.set('pki/internal/roles/web', { allow_any_name: true, client_flag: true });
  await lookAtOtherRoles(context, desiredVault());
  expect(context.log.lines).toEqual([expect.stringMatching(/^warning /)]);
  // Nor is anything waited for when it is done.
  await new Promise(setImmediate);
  expect(context.clock.slept).toEqual([]);
});

test('a run that is cancelled while it looks at them ends', async () => {
  const context = contextWith();
  context.vault.store.set('pki/internal/roles/silent', {});
  context.vault.read = () => new Promise(() => {});
  const cancelled = new Problem({ kind: 'cancelled', tried: 'Running', reason: 'It was cancelled.', next: '' });
  context.clock.sleep = () => Promise.reject(cancelled);
  await expect(lookAtOtherRoles(context, desiredVault())).rejects.toBe(cancelled);
});
