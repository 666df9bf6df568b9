/** What the choice of versions depends on, as the inputs give it. */
export interface VersionInputs {
  helm_version: string;
  nats_version: string | null;
}

export interface Versions {
  /** Of nats-server: "2.10.23". */
  server: string;
  /** Of prometheus-nats-exporter. */
  exporter: string;
  /** What the server's minor release can do. */
  abilities: ServerAbilities;
}

export interface ServerAbilities {
  /** MiB below which a server is killed for its memory under an ordinary load. */
  minimumMemory: number;
  /** Whether a reload may raise the limits of JetStream's storage; a restart is needed otherwise. */
  storageLimitsReload: boolean;
  /** The highest API level of a stream or consumer that the server knows all features of. */
  apiLevel: number;
}

interface ServerLine {
  minimumMemory: number;
  /** The first patch release whose storage limits are raised by a reload. */
  storageLimitsReloadFrom: number;
  /** The API levels, each by the first patch release that knows it. */
  apiLevels: readonly (readonly [patch: number, level: number])[];
}

/**
 * The server releases this action knows. Memory, measured: 2.10 lives in 50 MiB; later releases keep the last block of
 * every stream that is written, up to 8 MB and as much for its Raft log, and are killed there with four such streams;
 * 256 MiB carries ten of them, or 8 MB messages with consumers. Storage limits: raised by reload from 2.12.7 on. API levels:
 * JSApiLevel of each release, https://github.com/nats-io/nats-server/blob/v2.14.5/server/jetstream_versioning.go
 */
const SERVER_LINES: { [line: string]: ServerLine } = {
  '2.10': { minimumMemory: 50, storageLimitsReloadFrom: Number.POSITIVE_INFINITY, apiLevels: [[0, 0]] },
  '2.11': { minimumMemory: 256, storageLimitsReloadFrom: Number.POSITIVE_INFINITY, apiLevels: [[0, 1]] },
  '2.12': {
    minimumMemory: 256,
    storageLimitsReloadFrom: 7,
    apiLevels: [
      [0, 2],
      [5, 3],
    ],
  },
  '2.14': { minimumMemory: 256, storageLimitsReloadFrom: 0, apiLevels: [[0, 4]] },
};

/** Releases of the chart bitnami/nats: series, first and last patch, nats-server and exporter that they ship. */
const CHARTS: readonly (readonly [string, number, number, string, string])[] = [
  ['8.0', 0, 3, '2.10.12', '0.14.0'],
  ['8.0', 4, 4, '2.10.14', '0.14.0'],
  ['8.0', 5, 6, '2.10.14', '0.15.0'],
  ['8.0', 7, 8, '2.10.15', '0.15.0'],
  ['8.1', 0, 0, '2.10.15', '0.15.0'],
  ['8.2', 0, 0, '2.10.15', '0.15.0'],
  ['8.2', 1, 8, '2.10.16', '0.15.0'],
  ['8.2', 9, 11, '2.10.17', '0.15.0'],
  ['8.2', 12, 16, '2.10.18', '0.15.0'],
  ['8.3', 0, 1, '2.10.18', '0.15.0'],
  ['8.3', 2, 2, '2.10.19', '0.15.0'],
  ['8.3', 3, 5, '2.10.20', '0.15.0'],
  ['8.4', 0, 2, '2.10.20', '0.15.0'],
  ['8.4', 3, 4, '2.10.21', '0.15.0'],
  ['8.4', 5, 10, '2.10.22', '0.15.0'],
  ['8.5', 0, 0, '2.10.22', '0.15.0'],
  ['8.5', 1, 1, '2.10.23', '0.16.0'],
  ['8.5', 2, 4, '2.10.24', '0.16.0'],
  ['9.0', 0, 0, '2.10.24', '0.16.0'],
  ['9.0', 1, 3, '2.10.25', '0.16.0'],
  ['9.0', 4, 6, '2.10.26', '0.16.0'],
  ['9.0', 7, 7, '2.11.0', '0.16.0'],
  ['9.0', 8, 8, '2.11.0', '0.17.2'],
  ['9.0', 9, 12, '2.11.1', '0.17.2'],
  ['9.0', 13, 13, '2.11.2', '0.17.2'],
  ['9.0', 14, 16, '2.11.3', '0.17.2'],
  ['9.0', 17, 17, '2.11.3', '0.17.3'],
  ['9.0', 18, 20, '2.11.4', '0.17.3'],
  ['9.0', 21, 21, '2.11.5', '0.17.3'],
  ['9.0', 22, 23, '2.11.6', '0.17.3'],
  ['9.0', 24, 27, '2.11.7', '0.17.3'],
  ['9.0', 28, 28, '2.11.8', '0.17.3'],
];

/** Beside a server that no chart chose. */
const NEWEST_EXPORTER = '0.20.1';

/**
 * The versions to run: those that the chart release ships, or nats_version with the newest known exporter. Throws for a
 * version that is not known: unknownVersions has told it with the inputs.
 */
export function resolveVersions({ helm_version, nats_version }: VersionInputs): Versions {
  const chart = chartVersions(helm_version);
  const versions = nats_version === null ? chart : { server: nats_version, exporter: NEWEST_EXPORTER };
  const abilities = versions === null ? null : serverAbilities(versions.server);
  if (versions === null || abilities === null) throw new Error(`No known versions: ${helm_version}, ${nats_version}`);
  return { ...versions, abilities };
}

/** The release of nats-server among them, also one that this action does not know; null where no known chart chooses one. */
export function serverVersion({ helm_version, nats_version }: VersionInputs): string | null {
  return nats_version ?? chartVersions(helm_version)?.server ?? null;
}

/** A sentence for each of the inputs that names a version this action does not know; absent ones are skipped. */
export function unknownVersions({ helm_version, nats_version }: Partial<VersionInputs>): string[] {
  const findings: string[] = [];
  if (helm_version !== undefined && chartVersions(helm_version) === null) {
    findings.push(
      `helm_version "${helm_version}" is no known release of the chart bitnami/nats; known are ${knownCharts()}`,
    );
  }
  if (typeof nats_version === 'string' && serverAbilities(nats_version) === null) {
    findings.push(`nats_version "${nats_version}" must be a release of ${Object.keys(SERVER_LINES).join(', ')}`);
  }
  return findings;
}

function chartVersions(release: string): { server: string; exporter: string } | null {
  const [wanted, patch] = splitVersion(release);
  for (const [series, first, last, server, exporter] of CHARTS) {
    if (series === wanted && patch >= first && patch <= last) return { server, exporter };
  }
  return null;
}

function knownCharts(): string {
  const lastPatches = new Map(CHARTS.map(([series, , last]) => [series, last]));
  return [...lastPatches]
    .map(([series, last]) => (last === 0 ? `${series}.0` : `${series}.0 to ${series}.${last}`))
    .join(', ');
}

function serverAbilities(version: string): ServerAbilities | null {
  const [line, patch] = splitVersion(version);
  const known = SERVER_LINES[line];
  if (known === undefined) return null;
  return {
    minimumMemory: known.minimumMemory,
    storageLimitsReload: patch >= known.storageLimitsReloadFrom,
    apiLevel: Math.max(...known.apiLevels.filter(([from]) => patch >= from).map(([, level]) => level)),
  };
}

/** The first release that knows an API level: "2.12.5". Undefined for a level that no known release has. */
export function firstWithApiLevel(level: number): string | undefined {
  return Object.entries(SERVER_LINES)
    .flatMap(([line, { apiLevels }]) =>
      apiLevels.filter(([, each]) => each >= level).map(([patch]) => `${line}.${patch}`),
    )
    .at(0);
}

/** Below zero where `a` is the older release, above where it is the newer: "2.9.30" is older than "2.10.0". */
export function compareVersions(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

/** "2.10.23" as "2.10" and 23. */
function splitVersion(version: string): [string, number] {
  const end = version.lastIndexOf('.');
  return [version.slice(0, end), Number(version.slice(end + 1))];
}
