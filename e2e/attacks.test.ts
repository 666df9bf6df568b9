import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Values } from '../simulator/runner.ts';
import { clusterNames, podHosts, secretName } from '../src/desired/names.ts';
import { digText } from '../src/json.ts';
import { Authority } from './attacks/authority.ts';
import { attack, type Findings, named, told } from './attacks/suite.ts';
import type { Target } from './attacks/target.ts';
import { kube, vault } from './cluster.ts';
import { asRoot } from './deployer.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';
import { type Credentials, credentials } from './nats.ts';
import { run } from './runs.ts';

const VERSIONS = ['2.10.23', '2.12.8', '2.14.6'];
const namespaceOf = (version: string): string => `e2e-attacks-${version.replaceAll('.', '-')}`;

/** Of the clusters alone, and imported: so the attackers can have any certificate of it made, at any time. */
const mount = 'pki/e2e-attacks';
/** Signs any name, as the role of a stack's ClusterIssuer does. */
const anyNameRole = 'pki/internal/roles/e2e-attacks-any-name';

const PATIENCE = 600_000;

let authority: Authority;
let targets: Target[];
let findings: Promise<Findings>[];

beforeAll(async () => {
  await Promise.all(VERSIONS.map((version) => emptyNamespace(namespaceOf(version))));
  authority = await Authority.create('e2e-attacks');
  await vault().call('DELETE', `sys/mounts/${mount}`);
  await vault().call('POST', `sys/mounts/${mount}`, { type: 'pki', config: { max_lease_ttl: '8760h' } });
  await vault().call('POST', `${mount}/config/ca`, { pem_bundle: `${authority.certificate}${authority.key}` });
  await vault().call('POST', anyNameRole, { allow_any_name: true, enforce_hostnames: false, key_type: 'ec' });
  const installed: Installed[] = [];
  for (const version of VERSIONS) installed.push(await install(version));
  targets = installed.map((one) => targetOf(one, installed));
  findings = targets.map((target) => attack(target));
}, PATIENCE);

afterAll(async () => {
  await Promise.allSettled(findings ?? []);
  await Promise.all(VERSIONS.map((version) => leaveNamespace(namespaceOf(version))));
  await vault().call('DELETE', anyNameRole);
  await vault().call('DELETE', `sys/mounts/${mount}`);
  authority?.forget();
  kube.close();
}, PATIENCE);

describe.each(VERSIONS.map((version, index) => [version, index] as const))('nats-server %s', (version, index) => {
  let found: Findings;

  beforeAll(async () => {
    const attacked = findings[index];
    if (attacked === undefined) throw new Error(`${version} was not attacked`);
    found = await attacked;
    const held = named(found.probes, 'held').length;
    console.log(`${version}: ${found.probes.length} probes, ${held} held, ${found.seconds.toFixed(0)} s`);
  }, PATIENCE);

  it('holds against every attack', () => {
    expect(told(found.probes, 'broken')).toEqual([]);
    expect(found.probes.length).toBeGreaterThan(40);
  });

  it('has the same messages as before', () => {
    expect(found.before.length).toBeGreaterThan(0);
    expect(found.after).toEqual(found.before);
  });

  it('has those who may do the same succeed', () => {
    expect(told(found.controls, 'held')).toEqual([]);
  });
});

interface Installed {
  version: string;
  cluster: string;
  namespace: string;
  secrets: Target['secrets'];
}

async function install(version: string): Promise<Installed> {
  const namespace = namespaceOf(version);
  const { outputs } = await run({ ...inputsOf(version) });
  const cluster = outputs.name ?? '';
  const secret = (purpose: keyof Target['secrets']): Promise<Credentials> =>
    credentials(namespace, secretName(cluster, purpose));
  const secrets = {
    superuser: await secret('superuser'),
    admin: await secret('admin'),
    reader: await secret('reader'),
    server: await secret('server'),
    cluster: await secret('cluster'),
  };
  return { version, cluster, namespace, secrets };
}

const inputsOf = (version: string): Values => ({
  ...asRoot(),
  namespace: namespaceOf(version),
  nats_version: version,
  vault_internal_pki_backend_mount_path: mount,
  node_image_cached_enabled: 'false',
});

function targetOf({ version, cluster, namespace, secrets }: Installed, all: Installed[]): Target {
  const others = all.filter((one) => one.cluster !== cluster);
  const neighbours = others.flatMap((other) =>
    Object.entries(other.secrets).map(([purpose, shown]) => [`${purpose} of ${other.version}`, shown] as const),
  );
  return {
    version,
    cluster,
    hosts: podHosts(clusterNames(cluster, namespace), 3),
    secrets,
    authority,
    anyName,
    neighbours: Object.fromEntries(neighbours),
  };
}

async function anyName(name: string): Promise<Credentials> {
  const { data } = await vault().call('POST', anyNameRole.replace('/roles/', '/issue/'), {
    common_name: name,
    ttl: '1h',
  });
  return {
    ca: digText(data, 'issuing_ca'),
    cert: digText(data, 'certificate'),
    key: digText(data, 'private_key'),
  };
}
