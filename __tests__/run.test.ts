import { describe, expect, test } from '@jest/globals';
import type { Inputs } from '../src/inputs/table.ts';
import { isJsonObject } from '../src/json.ts';
import type { RunPorts } from '../src/modes/mode.ts';
import { Problem } from '../src/problem.ts';
import { emptyReport, type Outputs } from '../src/report/run-report.ts';
import { run } from '../src/run.ts';
import type { VaultLogin } from '../src/vault/login.ts';
import { fakeClock } from './fakes/clock.ts';
import { healthyControllers } from './fakes/controllers.ts';
import { fakeKube } from './fakes/kube.ts';
import { recordedLog } from './fakes/log.ts';
import { fakeVaultClient } from './fakes/vault.ts';
import { inputsWith } from './inputs/inputs-with.ts';

/** A Kubernetes with a default StorageClass, its controllers, and a Vault; no namespace "demo" yet. */
function world({ volume = '1Gi' } = {}) {
  const journal: string[] = [];
  const kube = fakeKube(journal);
  const vault = fakeVaultClient(journal);
  vault.authority = healthyControllers(kube, volume).certificate;
  kube.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kube-system' } });
  kube.put({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node' } });
  kube.put({
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: 'standard', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
  });

  /** One run; `ended` is null or what it was rejected with. */
  async function runOnce(inputs: Partial<Inputs> = {}, ports: Partial<RunPorts> = {}) {
    const log = recordedLog();
    const report = emptyReport();
    const outputs: Outputs = {};
    const logins: VaultLogin[] = [];
    const start = journal.length;
    const real: RunPorts = {
      kube,
      leaving: { kube },
      vault,
      vaultAccess: [],
      loginPorts: { idToken: async () => 'id-token', readFile: async () => '' },
      onLogin: (login) => logins.push(login),
      setOutputs: (more) => Object.assign(outputs, more),
      clock: fakeClock(),
      log,
      redact: (text) => text,
      deployment: { actionVersion: '1.0.0', repository: 'org/repo', commit: 'abc', runUrl: 'https://ci.example/1' },
      holder: 'this run',
    };
    const running = run(
      inputsWith({ name: 'nats-a', create_namespace: true, ...inputs }),
      { ...real, ...ports },
      report,
    );
    const ended = await running.then(
      () => null,
      (error: unknown) => error,
    );
    return { ended, log, report, outputs, logins, writes: journal.slice(start) };
  }
  return { kube, vault, runOnce };
}

/** Where the first write that starts with the text is among them. */
function at(writes: string[], text: string): number {
  const index = writes.findIndex((write) => write.startsWith(text));
  if (index < 0) throw new Error(`${text} was not written: ${writes.join(', ')}`);
  return index;
}

describe('roles of others at the PKI mount', () => {
  const INPUT = 'vault_internal_pki_backend_mount_path';

  test('that sign the names of its clients are warned of once in each run, which goes on', async () => {
    const { runOnce, vault } = world();
    vault.store.set('pki/internal/roles/vault-issuer', { allow_any_name: true, client_flag: true });
    for (const _ of [1, 2]) {
      const { ended, log, report } = await runOnce();
      expect(ended).toBeNull();
      expect(log.lines.filter((line) => line.startsWith(`warning ${INPUT}: `))).toHaveLength(1);
      const notices = report.notices.filter(({ input }) => input === INPUT);
      expect(notices).toMatchObject([
        {
          severity: 'warning',
          message: expect.stringContaining('vault-issuer (as superuser-nats-a, admin-nats-a, reader-nats-a, a server)'),
        },
      ]);
    }
  });

  test('that may sign the names of servers are meant to, where a ClusterIssuer does that', async () => {
    const { runOnce, vault, kube } = world();
    kube.put({ apiVersion: 'cert-manager.io/v1', kind: 'ClusterIssuer', metadata: { name: 'internal' } });
    const servers = { allowed_domains: ['demo.svc.cluster.local'], allow_subdomains: true, client_flag: true };
    vault.store.set('pki/internal/roles/vault-issuer', servers);
    const { report } = await runOnce({ certificate_issuer: 'internal' });
    expect(report.notices.filter(({ input }) => input === INPUT)).toEqual([]);
  });

  test('that the token may not read are no error: one line tells how to allow it', async () => {
    const { runOnce, vault } = world();
    vault.list = () =>
      Promise.reject(new Problem({ kind: 'permission', tried: 'Listing', reason: 'HTTP 403.', next: '' }));
    const { ended, log, report } = await runOnce();
    expect(ended).toBeNull();
    const lines = log.lines.filter((line) => line.includes('path "pki/internal/roles/*"'));
    expect(lines).toEqual([expect.stringMatching(/^info Not known: /)]);
    expect(report.notices.filter(({ input }) => input === INPUT)).toEqual([]);
  });

  test('a defect in looking at them is one of the run', async () => {
    const { runOnce, vault } = world();
    vault.list = () => Promise.reject(new TypeError('out of order'));
    expect((await runOnce()).ended).toMatchObject({ message: 'out of order' });
  });
});

describe('the first run', () => {
  test('writes in an order of which any part can be completed later', async () => {
    const { runOnce } = world();
    const { ended, writes } = await runOnce();
    expect(ended).toBeNull();
    const order = [
      'create Namespace demo',
      'create Lease demo/nats-a',
      'apply ConfigMap demo/nats-a-inventory',
      'vault sys/policies/acl/demo-issuer-nats-a',
      'vault pki/internal/roles/',
      'vault auth/kubernetes/role/demo-issuer-nats-a',
      'apply ServiceAccount demo/issuer-nats-a',
      'apply Issuer demo/',
      'apply Certificate demo/',
      'apply PodDisruptionBudget demo/nats-a',
      'apply StatefulSet demo/nats-a',
    ];
    expect(order.toSorted((a, b) => at(writes, a) - at(writes, b))).toEqual(order);
    expect(writes.slice(0, 4)).toEqual(order.slice(0, 4));
    expect(writes.at(-1)).toBe('replace Lease demo/nats-a');
  });

  test('tells what it did, what it adapted and what is needed to connect', async () => {
    const { runOnce } = world();
    const { report, outputs, log } = await runOnce();
    expect(outputs).toEqual({
      name: 'nats-a',
      namespace: 'demo',
      changed: 'true',
      rolled_back: 'false',
      host: 'nats-a.demo.svc.cluster.local',
      nats_url: 'tls://nats-a.demo.svc.cluster.local:4222',
      client_port: '4222',
      cluster_port: '6222',
      metrics_port: '8222',
      superuser_creds_secret: 'nats-a-superuser-creds',
      admin_creds_secret: 'nats-a-admin-creds',
      reader_creds_secret: 'nats-a-reader-creds',
      match_labels: '{"app.kubernetes.io/name":"nats","app.kubernetes.io/instance":"nats-a"}',
    });
    expect(report.leader).toBe('nats-a-0');
    expect(report.adaptations.map(({ instead }) => instead)).toEqual([
      'the default class standard',
      'the memory that minimum_memory_mb asks for',
      "the cluster's own scheduler",
      'no backups of the data volumes',
      'data volumes that keep their size',
      'servers on different nodes as far as there are enough',
      'images that nodes pull when a pod starts there',
      "the cluster's default priority",
    ]);
    expect(log.lines).toContainEqual('info Without StorageClass ebs-standard-retained: the default class standard');
    expect(report.changes).toContainEqual({ action: 'create', object: 'StatefulSet demo/nats-a', fields: [] });
    expect(log.lines).toContain('info Created Vault sys/policies/acl/demo-issuer-nats-a');
    expect(log.lines.at(-2)).toMatch(/^info Verified: JetStream's meta leader is nats-a-0/);
  });

  test('hands the Vault token over to be masked and revoked', async () => {
    const { runOnce, vault } = world();
    const { logins } = await runOnce();
    expect(logins).toEqual([{ token: 'hvs.minted', minted: true, revocable: true, ttl: 0 }]);
    expect(vault.token).toBe('hvs.minted');
  });

  test('records who deployed', async () => {
    const { runOnce, kube } = world();
    await runOnce();
    expect(kube.stored('ConfigMap', 'nats-a-inventory').data).toMatchObject({
      'run-url': 'https://ci.example/1',
      commit: 'abc',
    });
  });

  test('that must not wait does not verify either', async () => {
    const { runOnce, kube } = world();
    kube.controllers.length = 0;
    const { ended, report, log } = await runOnce({ wait: false });
    expect(ended).toBeNull();
    expect(report.leader).toBe('');
    expect(log.lines.filter((line) => line.includes('Verified'))).toEqual([]);
    expect(kube.stored('StatefulSet', 'nats-a').spec).toMatchObject({ replicas: 3 });
  });
});

describe('the second run', () => {
  test('waits until an object that is being deleted is gone, and makes it anew', async () => {
    const { kube, runOnce } = world();
    await runOnce();
    const service = kube.stored('Service', 'nats-a');
    const deletionTimestamp = '2026-11-22T00:00:00Z';
    kube.put({ ...service, metadata: { ...service.metadata, deletionTimestamp, finalizers: ['foregroundDeletion'] } });
    const clock = fakeClock();
    const sleep = clock.sleep;
    clock.sleep = async (milliseconds, needless) => {
      if (clock.slept.length === 3) kube.take('Service', 'nats-a');
      await sleep(milliseconds, needless);
    };
    const { ended, log, report } = await runOnce({}, { clock });
    expect(ended).toBeNull();
    expect(report.changes).toEqual([{ action: 'create', object: 'Service demo/nats-a', fields: [] }]);
    expect(log.lines).toContainEqual(expect.stringMatching(/Service demo\/nats-a is being deleted/));
    expect(kube.stored('Service', 'nats-a').metadata).not.toHaveProperty('deletionTimestamp');
  });

  test('tells which finalizers hold an object that is never gone', async () => {
    const { kube, runOnce } = world();
    await runOnce();
    const service = kube.stored('Service', 'nats-a');
    const deletionTimestamp = '2026-11-22T00:00:00Z';
    kube.put({ ...service, metadata: { ...service.metadata, deletionTimestamp, finalizers: ['acme.com/hold'] } });
    const { ended } = await runOnce();
    expect(ended).toMatchObject({
      message: expect.stringMatching(/^Waiting for Service demo\/nats-a to be gone: .* finalizers: acme\.com\/hold/),
    });
  });

  test('finds nothing to do where volumes came out larger than asked for: the first one saw to it', async () => {
    const { kube, runOnce } = world({ volume: '4Gi' });
    const { log } = await runOnce({ persistence_initial_storage_gb: 1 });
    expect(JSON.stringify(kube.stored('ConfigMap', 'nats-a').data)).toContain(
      `max_file_store: ${Math.floor(0.85 * 4 * 2 ** 30)}`,
    );
    expect(log.lines).toContainEqual(expect.stringContaining('The data volumes exist now'));
    const { writes, ended } = await runOnce({ persistence_initial_storage_gb: 1 });
    expect([ended, writes]).toEqual([null, []]);
  });

  test('with the same inputs writes nothing at all, and says so', async () => {
    const { runOnce } = world();
    await runOnce();
    const { ended, writes, outputs, log, report } = await runOnce();
    expect([ended, writes, report.changes]).toEqual([null, [], []]);
    expect(outputs).toMatchObject({ changed: 'false', name: 'nats-a' });
    expect(log.lines).toContain('info Nothing to change: no write to Kubernetes or Vault.');
    expect(report.leader).toBe('nats-a-0');
  });

  test('finds the cluster by its inventory when the name is left out', async () => {
    const { runOnce } = world();
    await runOnce();
    const { writes, outputs } = await runOnce({ name: null });
    expect([writes, outputs.name]).toEqual([[], 'nats-a']);
  });

  test('with another log level changes the configuration alone, and hastens its reload', async () => {
    const { runOnce } = world();
    await runOnce();
    const { ended, writes, report } = await runOnce({ log_level: 'debug' });
    expect(ended).toBeNull();
    expect(report.changes).toEqual([{ action: 'update', object: 'ConfigMap demo/nats-a', fields: ['data.nats.conf'] }]);
    const lock = 'replace Lease demo/nats-a';
    expect([writes[0], writes.at(-1)]).toEqual([lock, lock]);
    expect(writes.filter((write) => write !== lock)).toEqual([
      'apply ConfigMap demo/nats-a-inventory',
      'patch Pod demo/nats-a-0',
      'patch Pod demo/nats-a-1',
      'patch Pod demo/nats-a-2',
      'apply ConfigMap demo/nats-a',
      'patch Pod demo/nats-a-0',
      'patch Pod demo/nats-a-1',
      'patch Pod demo/nats-a-2',
      'apply ConfigMap demo/nats-a-inventory',
    ]);
  });

  test('repairs what somebody changed or deleted', async () => {
    const { runOnce, kube, vault } = world();
    await runOnce();
    kube.take('NetworkPolicy', 'nats-a');
    vault.store.delete('pki/internal/roles/nats-admin-nats-a');
    const { report } = await runOnce();
    expect(report.changes).toEqual([
      { action: 'create', object: 'Vault pki/internal/roles/nats-admin-nats-a', fields: [] },
      { action: 'create', object: 'NetworkPolicy demo/nats-a', fields: [] },
    ]);
  });

  test('brings back servers that somebody scaled to none, also where they are to change', async () => {
    const { runOnce, kube } = world();
    await runOnce();
    const live = kube.stored('StatefulSet', 'nats-a');
    kube.put({ ...live, spec: { ...(isJsonObject(live.spec) ? live.spec : {}), replicas: 0 } });
    expect((await runOnce({ minimum_memory_mb: 60 })).ended).toBeNull();
    expect(kube.stored('StatefulSet', 'nats-a').spec).toMatchObject({ replicas: 3 });
  });

  test("says of another's StatefulSet that it is not its own, whatever its number of servers", async () => {
    const { runOnce, kube } = world();
    kube.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'demo' } });
    kube.put({
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: 'nats-a', namespace: 'demo' },
      spec: { replicas: 1 },
    });
    const { ended, writes } = await runOnce();
    expect(ended).toMatchObject({ details: { findings: ['StatefulSet demo/nats-a was not made by this action'] } });
    expect(writes).toEqual([]);
  });

  test('removes what an earlier one made and these inputs do not want, and forgets its kind last', async () => {
    const { runOnce, kube } = world();
    await runOnce();
    kube.put({ apiVersion: 'cert-manager.io/v1', kind: 'ClusterIssuer', metadata: { name: 'internal' } });
    const { ended, writes } = await runOnce({ certificate_issuer: 'internal' });
    expect(ended).toBeNull();
    expect(writes.filter((write) => write.startsWith('delete'))).toEqual([
      'delete Issuer demo/nats-server-nats-a',
      'delete Issuer demo/nats-cluster-nats-a',
    ]);
    expect(kube.all('PersistentVolumeClaim')).toHaveLength(3);
    expect((await runOnce({ certificate_issuer: 'internal' })).writes).toEqual([]);
  });

  test('writes nothing when another run has done it while this one waited for the lock', async () => {
    const { runOnce, kube } = world();
    await runOnce();
    kube.put({ ...kube.stored('Lease', 'nats-a'), spec: { holderIdentity: 'another run' } });
    const clock = fakeClock();
    const waiting = {
      ...clock,
      async sleep(milliseconds: number, needless?: AbortSignal) {
        if (needless !== undefined) return clock.sleep(milliseconds, needless);
        kube.put({ ...kube.stored('Lease', 'nats-a'), spec: { holderIdentity: '' } });
        await runOnce({ log_level: 'debug' });
        await clock.sleep(milliseconds);
      },
    };
    const { ended, report, outputs, log } = await runOnce({ log_level: 'debug' }, { clock: waiting });
    expect([ended, report.changes, outputs.changed]).toEqual([null, [], 'false']);
    expect(log.lines).toContain('info Waiting for another run that works on nats-a: another run');
  });
});

describe('a run that fails', () => {
  test.each([
    'ConfigMap demo/nats-a-inventory',
    'ServiceAccount demo/issuer-nats-a',
    'Issuer demo/nats-admin-nats-a',
    'Certificate demo/nats-a-server-certs',
    'StatefulSet demo/nats-a',
  ])('at %s has told its outputs, gives the lock back and is completed by the next', async (broken) => {
    const { runOnce, kube } = world();
    const apply = kube.apply;
    kube.apply = (object, options) =>
      `${object.kind} demo/${object.metadata.name}` === broken && options?.dryRun !== true
        ? Promise.reject(new Problem({ kind: 'connection', tried: 'Applying', reason: 'Gone.', next: '' }))
        : apply(object, options);
    const failed = await runOnce();
    expect(failed.ended).toMatchObject({ details: { reason: 'Gone.' } });
    expect(failed.outputs).toMatchObject({ name: 'nats-a', changed: 'true', nats_url: expect.any(String) });
    expect(kube.stored('Lease', 'nats-a').spec).toMatchObject({ holderIdentity: '' });

    kube.apply = apply;
    expect((await runOnce()).ended).toBeNull();
    expect((await runOnce()).writes).toEqual([]);
  });

  test.each([
    [16, 4],
    [4, 24],
  ])(
    'between Vault and the Certificates of a lifetime that goes from %i h to %i h is completed by the next',
    async (from, to) => {
      const { runOnce, kube, vault } = world();
      await runOnce({ vault_credential_lifetime_hours: from });
      const apply = kube.apply;
      kube.apply = (object, options) =>
        object.kind === 'Certificate' && options?.dryRun !== true
          ? Promise.reject(new Problem({ kind: 'connection', tried: 'Applying', reason: 'Gone.', next: '' }))
          : apply(object, options);
      const inputs = { vault_credential_lifetime_hours: to };
      expect((await runOnce(inputs)).ended).toMatchObject({ details: { reason: 'Gone.' } });
      expect(vault.store.get('pki/internal/roles/nats-admin-nats-a')).toMatchObject({
        ttl: to * 3600,
        max_ttl: to * 3600,
      });
      expect(kube.stored('Certificate', 'nats-a-admin-creds').spec).toMatchObject({ duration: `${from}h0m0s` });

      kube.apply = apply;
      const { ended, report } = await runOnce(inputs);
      expect(ended).toBeNull();
      expect(report.changes).toEqual(
        ['superuser', 'admin', 'reader'].map((role) => ({
          action: 'update',
          object: `Certificate demo/nats-a-${role}-creds`,
          fields: ['spec.duration'],
        })),
      );
      expect((await runOnce(inputs)).writes).toEqual([]);
    },
  );

  test("because a server's key does not fit restarts no server, and is completed by the next", async () => {
    const { runOnce, kube } = world();
    await runOnce();
    const good = kube.stored('Secret', 'nats-a-server-certs');
    kube.put({ ...good, data: { ...(isJsonObject(good.data) ? good.data : {}), 'tls.key': '' } });
    const restarting = { fsync_interval_seconds: 30 };
    const { ended, writes } = await runOnce(restarting);
    expect(ended).toMatchObject({
      details: { kind: 'unhealthy', findings: ['Secret nats-a-server-certs: tls.key is not the key of tls.crt'] },
    });
    expect(writes.filter((write) => write.includes('StatefulSet') || write.includes('Pod'))).toEqual([]);
    expect((await runOnce()).ended).toMatchObject({ details: { kind: 'unhealthy' } });

    kube.put(good);
    expect((await runOnce(restarting)).ended).toBeNull();
  });

  test('at an object that somebody took meanwhile names field and manager', async () => {
    const { runOnce, kube } = world();
    await runOnce();
    const apply = kube.apply;
    kube.apply = (object, options) => {
      if (object.metadata.name === 'nats-a-inventory') {
        kube.conflicts.set('ConfigMap demo/nats-a-inventory', [{ manager: 'helm', field: '.data.commit' }]);
      }
      return apply(object, options);
    };
    const { ended } = await runOnce({ log_level: 'debug' });
    expect(ended).toBeInstanceOf(Problem);
    expect(ended).toMatchObject({
      details: { kind: 'conflict', reason: expect.stringContaining('helm holds .data.commit') },
    });
  });

  test('to keep its lock writes no more', async () => {
    const { runOnce, kube } = world();
    const clock = fakeClock();
    let asleep = 0;
    kube.controllers.push((written) => {
      if (written.kind === 'Issuer') asleep = 31_000;
    });
    const { ended, writes } = await runOnce({}, { clock: { ...clock, now: () => clock.now() + asleep } });
    expect(ended).toMatchObject({
      details: { kind: 'conflict', tried: expect.stringContaining('Holding the lock') },
    });
    expect(writes.filter((write) => write.startsWith('apply Certificate'))).toEqual([]);
    expect((await runOnce()).ended).toBeNull();
  });

  test('because the target is unfit still hands over the token of its login', async () => {
    const { runOnce, kube } = world();
    kube.serving.apis.delete('cert-manager.io/v1');
    const slow = () => new Promise<string>((resolve) => setImmediate(resolve, 'id-token'));
    const loginPorts = { idToken: slow, readFile: async () => '' };
    const { ended, logins, writes } = await runOnce({}, { loginPorts });
    expect(ended).toMatchObject({ details: { tried: 'Looking for cert-manager' } });
    expect([logins.length, writes]).toEqual([1, []]);
  });

  test('because Vault is sealed wrote nothing', async () => {
    const { runOnce, vault } = world();
    vault.sealed = true;
    const { ended, logins, writes } = await runOnce();
    expect(ended).toMatchObject({ details: { kind: 'vault', reason: expect.stringContaining('sealed') } });
    expect([logins, writes]).toEqual([[], []]);
  });

  test('because another cluster owns the Vault objects wrote nothing, but told its outputs', async () => {
    const { runOnce, vault } = world();
    vault.store.set('sys/policies/acl/demo-issuer-nats-a', { policy: '# kube-nats-action owner: x/y/z\n' });
    const { ended, outputs, writes } = await runOnce();
    expect(ended).toMatchObject({ details: { kind: 'conflict' } });
    expect([outputs.name, outputs.changed, writes]).toEqual(['nats-a', undefined, []]);
  });

  test('because the StorageClass that was asked for does not exist wrote nothing', async () => {
    const { runOnce } = world();
    const { ended, writes } = await runOnce({ persistence_storage_class_name: 'fast' });
    expect(ended).toMatchObject({ details: { tried: 'Looking for StorageClass fast' } });
    expect(writes).toEqual([]);
  });

  test('because a certificate was refused asks for a new one in the next', async () => {
    const { runOnce, kube } = world();
    const [healthy] = kube.controllers;
    const refused = { type: 'Issuing', status: 'False', reason: 'Failed', message: 'role unknown' };
    kube.controllers[0] = (written) => {
      if (written.metadata.name !== 'nats-a-admin-creds') return healthy?.(written);
      kube.put({ ...written, status: { conditions: [refused] } });
    };
    expect((await runOnce()).ended).toMatchObject({ details: { kind: 'vault', reason: 'role unknown.' } });
    expect(kube.all('StatefulSet')).toEqual([]);

    if (healthy !== undefined) kube.controllers[0] = healthy;
    const { ended, log } = await runOnce();
    expect(ended).toBeNull();
    expect(log.lines).toContain('info Asked cert-manager to request Certificate nats-a-admin-creds again');
  });
});
