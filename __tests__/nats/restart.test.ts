import { describe, expect, test } from '@jest/globals';
import type { TargetFacts } from '../../src/desired/state.ts';
import type { Inputs } from '../../src/inputs/table.ts';
import { configHash, restartHash, restartMark } from '../../src/nats/restart.ts';
import { natsConfIn, podTemplate, stateWith, valueAt } from '../desired/fixture.ts';

describe('the restart hash of the pods', () => {
  test.each<[string, Partial<Inputs>]>([
    ['log_level', { log_level: 'debug' }],
    ['ping_interval_seconds', { ping_interval_seconds: 25 }],
    ['write_deadline_seconds', { write_deadline_seconds: 10 }],
    ['max_connections', { max_connections: 10 }],
    ['max_control_line_kb', { max_control_line_kb: 8 }],
    ['max_payload_mb', { max_payload_mb: 1 }],
    ['reader_access', { reader_access: 'consuming' }],
  ])('stays when %s changes: a reload takes it to the servers', (_, overrides) => {
    expect(restartHashOf(overrides)).toBe(restartHashOf());
    expect(configHash(natsConfIn(stateWith(overrides)))).not.toBe(configHash(natsConfIn(stateWith())));
  });

  test.each<[string, Partial<Inputs>]>([
    ['fsync_interval_seconds', { fsync_interval_seconds: 20 }],
    ['fsync_interval_seconds 0', { fsync_interval_seconds: 0 }],
    ['max_outstanding_catchup_mb', { max_outstanding_catchup_mb: 256 }],
    ['replicas 1', { replicas: 1 }],
  ])('changes with %s, which servers refuse to reload', (_, overrides) => {
    expect(restartHashOf(overrides)).not.toBe(restartHashOf());
  });

  test('stays from three servers to five: routes are reloaded', () => {
    expect(restartHashOf({ replicas: 5 })).toBe(restartHashOf({ replicas: 3 }));
  });

  test.each([
    ['2.10.26', true],
    ['2.12.6', true],
    ['2.12.7', false],
    ['2.14.6', false],
  ])('with %s a grown volume needs a restart: %s', (nats_version, restart) => {
    const grown = restartHashOf({ nats_version }, { volumeBytes: 5 * 1024 ** 3 });
    expect(grown !== restartHashOf({ nats_version })).toBe(restart);
  });
});

describe('the mark of the pods', () => {
  const hash = restartHash({ port: 4222 }, { minimumMemory: 0, storageLimitsReload: true, apiLevel: 4 });

  const limits = (memoryStoreBytes: number, fileStoreBytes: number) => ({ memoryStoreBytes, fileStoreBytes });

  test('is the hash before the first install, and when a setting needs a restart anyway', () => {
    expect(restartMark(hash, null, limits(10, 100))).toBe(hash);
    expect(restartMark(hash, { mark: 'another', ...limits(20, 200) }, limits(10, 100))).toBe(hash);
  });

  test('stays while the servers may store no more than they should', () => {
    expect(restartMark(hash, { mark: hash, ...limits(10, 100) }, limits(10, 100))).toBe(hash);
    expect(restartMark(hash, { mark: `${hash}-x`, ...limits(5, 50) }, limits(10, 100))).toBe(`${hash}-x`);
    expect(restartMark(hash, { mark: hash, ...limits(0, 0) }, limits(10, 100))).toBe(hash);
  });

  test.each([
    ['storage', limits(10, 200)],
    ['memory, of which they heard by a reload before their restart for it was called off', limits(20, 100)],
  ])('changes each time that a limit has to be lowered, which no server does while it runs: %s', (_, larger) => {
    const lowered = restartMark(hash, { mark: hash, ...larger }, limits(10, 100));
    const again = restartMark(hash, { mark: lowered, ...larger }, limits(10, 100));
    expect(new Set([hash, lowered, again]).size).toBe(3);
    expect(restartMark(hash, { mark: lowered, ...limits(10, 100) }, limits(10, 100))).toBe(lowered);
  });
});

function restartHashOf(overrides: Partial<Inputs> = {}, facts: Partial<TargetFacts> = {}) {
  const annotations = valueAt(podTemplate(stateWith(overrides, facts)), 'metadata', 'annotations');
  return valueAt(annotations, 'kube-nats-action/restart-hash');
}
