import { describe, expect, test } from '@jest/globals';
import { compareVersions, firstWithApiLevel, resolveVersions, unknownVersions } from '../../src/nats/versions.ts';

describe('helm_version', () => {
  test.each([
    ['8.0.0', '2.10.12', '0.14.0'],
    ['8.0.8', '2.10.15', '0.15.0'],
    ['8.2.0', '2.10.15', '0.15.0'],
    ['8.2.16', '2.10.18', '0.15.0'],
    ['8.5.1', '2.10.23', '0.16.0'],
    ['9.0.7', '2.11.0', '0.16.0'],
    ['9.0.28', '2.11.8', '0.17.3'],
  ])('%s ships nats-server %s and exporter %s', (helm_version, server, exporter) => {
    expect(resolveVersions({ helm_version, nats_version: null })).toMatchObject({ server, exporter });
  });

  test.each(['8.5.5', '8.6.0', '9.0.29', '7.18.1', '8.0.9'])('%s is unknown: the known ones are listed', (release) => {
    expect(unknownVersions({ helm_version: release, nats_version: null })).toEqual([
      `helm_version "${release}" is no known release of the chart bitnami/nats; known are 8.0.0 to 8.0.8, 8.1.0, ` +
        '8.2.0 to 8.2.16, 8.3.0 to 8.3.5, 8.4.0 to 8.4.10, 8.5.0 to 8.5.4, 9.0.0 to 9.0.28',
    ]);
  });
});

describe('nats_version', () => {
  test('replaces the server of the chart, and takes the newest exporter', () => {
    expect(resolveVersions({ helm_version: '8.5.1', nats_version: '2.14.6' })).toMatchObject({
      server: '2.14.6',
      exporter: '0.20.1',
    });
  });

  test.each(['2.9.25', '2.13.0', '2.1.0', '3.0.0'])('%s is of no known release', (nats_version) => {
    expect(unknownVersions({ helm_version: '8.5.1', nats_version })).toEqual([
      `nats_version "${nats_version}" must be a release of 2.10, 2.11, 2.12, 2.14`,
    ]);
  });

  test('known versions and inputs that could not be read are no findings', () => {
    expect(unknownVersions({ helm_version: '9.0.28', nats_version: '2.12.8' })).toEqual([]);
    expect(unknownVersions({})).toEqual([]);
  });

  test.each([
    ['2.10.26', false],
    ['2.11.8', false],
    ['2.12.6', false],
    ['2.12.7', true],
    ['2.14.0', true],
  ])('%s raises storage limits by reload: %s', (nats_version, storageLimitsReload) => {
    expect(resolveVersions({ helm_version: '8.5.1', nats_version }).abilities).toMatchObject({ storageLimitsReload });
  });
});

describe('API levels', () => {
  test.each([
    ['2.10.23', 0],
    ['2.11.8', 1],
    ['2.12.0', 2],
    ['2.12.4', 2],
    ['2.12.5', 3],
    ['2.14.6', 4],
  ])('%s knows %d', (nats_version, apiLevel) => {
    expect(resolveVersions({ helm_version: '8.5.1', nats_version }).abilities).toMatchObject({ apiLevel });
  });

  test.each([
    [1, '2.11.0'],
    [2, '2.12.0'],
    [3, '2.12.5'],
    [4, '2.14.0'],
    [5, undefined],
  ])('%d is known from %s on', (level, version) => {
    expect(firstWithApiLevel(level)).toBe(version);
  });
});

test('versions are compared by their numbers', () => {
  expect(['2.14.0', '2.9.30', '2.10.9', '2.10.23'].sort(compareVersions)).toEqual([
    '2.9.30',
    '2.10.9',
    '2.10.23',
    '2.14.0',
  ]);
});
