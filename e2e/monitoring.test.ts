import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { EXPORTER_METRICS } from '../__tests__/desired/exporter-metrics.ts';
import { expressionsIn, selectorsIn } from '../__tests__/desired/rendered-monitoring.ts';
import { type Ending, runMain, type Values } from '../simulator/runner.ts';
import { digObjects, digText, isJsonObject, type Json, type JsonObject } from '../src/json.ts';
import { auditWrites, hasAuditLog, kube, kubeconfig, waitFor } from './cluster.ts';
import { asRoot } from './deployer.ts';
import { emptyNamespace, leaveNamespace } from './namespace.ts';
import { connectAs } from './nats.ts';
import { podsOf } from './observe.ts';
import { PodDiscovery, Prometheus, scrapeConfigOf } from './prometheus.ts';
import { run } from './sandbox/process.ts';
import { paths } from './sandbox/topology.ts';
import { installCrds, removeCrds } from './stack-crds.ts';

const namespace = 'e2e-metrics';

/** Not of the exporter: the sandbox's cert-manager gives no metrics, and Prometheus makes the others of its own. */
const OTHERS = /certmanager_|ALERTS/;

const inNamespace = (path: string): string => path.replace('*', `namespaces/${namespace}`);
const monitors = inNamespace('/apis/monitoring.coreos.com/v1/*/podmonitors');
const ruleObjects = inNamespace('/apis/monitoring.coreos.com/v1/*/prometheusrules');
const configMaps = inNamespace('/api/v1/*/configmaps');

async function apply(values: Values): Promise<Ending> {
  const ending = await runMain(values);
  expect(ending).toMatchObject({ exitCode: 0, errors: [] });
  return ending;
}

/** The metrics of a pod, by the port that an output names. */
async function scrape(pod: string, port: string | undefined): Promise<Set<string>> {
  const { status, body } = await kube.send({
    method: 'GET',
    path: inNamespace(`/api/v1/*/pods/${pod}:${port}/proxy/metrics`),
  });
  expect(status).toBe(200);
  return new Set([...body.matchAll(/^(nats_\w+)/gm)].map(([, name = '']) => name));
}

async function rulesOf(outputs: Values): Promise<JsonObject[]> {
  const { spec } = await kube.get(`${ruleObjects}/${outputs.name}`);
  return digObjects(spec, 'groups').flatMap((group) => digObjects(group, 'rules'));
}

async function dashboardOf(outputs: Values): Promise<JsonObject> {
  const { data } = await kube.get(`${configMaps}/${outputs.name}-dashboard`);
  const [text = ''] = isJsonObject(data) ? Object.values(data) : [];
  const model: Json = JSON.parse(String(text));
  return isJsonObject(model) ? model : {};
}

/** What rules and dashboard read of the exporter. */
async function expressionsOf(outputs: Values): Promise<string[]> {
  const rules = (await rulesOf(outputs)).map((rule) => digText(rule, 'expr'));
  return [...rules, ...expressionsIn(await dashboardOf(outputs))];
}

/** Has a stream of three replicas with a consumer and some messages. */
async function fill(outputs: Values): Promise<void> {
  const connection = await connectAs('admin', outputs);
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: 'EVENTS', subjects: ['events'], num_replicas: 3 });
  await manager.consumers.add('EVENTS', { durable_name: 'worker', ack_policy: 'explicit' });
  for (let count = 0; count < 10; count++) await jetstream(connection).publish('events', 'a message');
  await connection.close();
}

async function startPrometheus(outputs: Values, discovery: PodDiscovery): Promise<Prometheus> {
  const monitor = await kube.get(`${monitors}/${outputs.name}`);
  return Prometheus.start(scrapeConfigOf(monitor, discovery), [{ name: 'nats', rules: await rulesOf(outputs) }]);
}

/** Waits until it has scraped and judged every server some times. */
async function settle(prometheus: Prometheus): Promise<void> {
  const scraped = async () => {
    const counts = await prometheus.query('count_over_time(nats_healthz_status[1m]) >= 5');
    return counts.length === 3;
  };
  await waitFor(scraped, 'Prometheus has scraped all servers', 60_000);
}

async function pending(prometheus: Prometheus): Promise<string[]> {
  return (await prometheus.alerts()).map((alert) => digText(alert, 'labels', 'alertname')).sort();
}

/** Waits until exactly these alerts are pending or firing; tells those that are when it waited in vain. */
async function expectPending(prometheus: Prometheus, names: string[]): Promise<void> {
  const asExpected = async () => JSON.stringify(await pending(prometheus)) === JSON.stringify(names);
  await waitFor(asExpected, `the alerts ${names}`, 120_000).catch(async () => {
    expect(await pending(prometheus)).toEqual(names);
  });
}

/** Runs a command line for people, with the cluster's kubectl. */
function shell(command: string): Promise<string> {
  const environment = { KUBECONFIG: kubeconfig, PATH: `${dirname(paths.kubectl)}:${process.env.PATH}` };
  return run(['sh', '-c', command], { environment });
}

beforeAll(() => installCrds('monitoring'));

afterAll(async () => {
  await removeCrds('monitoring');
  kube.close();
});

interface Cluster {
  inputs: Values;
  outputs: Values;
  pods: string[];
  prometheus: Prometheus;
}

function whenSwitchedOff(cluster: () => Cluster): void {
  it('loses all of it, and the exporters, when it is switched off', async () => {
    const { inputs, outputs, pods } = cluster();
    const off = await apply({ ...inputs, monitoring_enabled: 'false' });
    expect(off.outputs).toMatchObject({ changed: 'true', metrics_port: '8222' });
    const { name } = outputs;
    const made = [`${monitors}/${name}`, `${ruleObjects}/${name}`, `${configMaps}/${name}-dashboard`];
    const statuses = await Promise.all(made.map(async (path) => (await kube.send({ method: 'GET', path })).status));
    expect(statuses).toEqual([404, 404, 404]);
    for (const pod of pods) {
      const { spec } = await kube.get(inNamespace(`/api/v1/*/pods/${pod}`));
      expect(digObjects(spec, 'containers').map((container) => container.name)).toEqual(['nats', 'reloader']);
    }
    expect((await podsOf(outputs)).map(({ ready }) => ready)).toEqual([true, true, true]);
  });
}

function whenServersGo(cluster: () => Cluster): void {
  const scaleTo = (replicas: number) =>
    kube.patch(inNamespace(`/apis/apps/v1/*/statefulsets/${cluster().outputs.name}`), { spec: { replicas } });

  it('alarms of a server that is gone', async () => {
    const { outputs, prometheus } = cluster();
    await expectPending(prometheus, []);
    await scaleTo(2);
    await expectPending(prometheus, ['NatsServerDown']);
    const [alert] = await prometheus.alerts();
    expect(alert).toMatchObject({
      labels: { severity: 'warning', namespace, nats_cluster: outputs.name },
      annotations: { description: expect.stringMatching(/^2 of 3 servers answer/) },
    });
  });

  it('alarms of a majority that is gone, and of what is lost with it', async () => {
    await scaleTo(1);
    await expectPending(cluster().prometheus, [
      'NatsMajorityDown',
      'NatsNoMetaLeader',
      'NatsServerDown',
      'NatsServerNotCurrent',
      'NatsStreamWithoutLeader',
    ]);
  });
}

const versions: [string, Values, (cluster: () => Cluster) => void][] = [
  ['of the default versions', {}, whenSwitchedOff],
  ['of NATS 2.14.6', { nats_version: '2.14.6' }, whenServersGo],
];

describe.each(versions)('a cluster %s with monitoring_enabled', (_, version, finale) => {
  let inputs: Values;
  let outputs: Values;
  let pods: string[];
  let discovery: PodDiscovery;
  let prometheus: Prometheus;

  beforeAll(async () => {
    await emptyNamespace(namespace);
    inputs = { ...asRoot(), ...version, namespace, monitoring_enabled: 'true' };
    outputs = (await apply(inputs)).outputs;
    pods = (await podsOf(outputs)).map(({ name }) => name).sort();
    await fill(outputs);
    discovery = await PodDiscovery.start(kube, namespace);
    prometheus = await startPrometheus(outputs, discovery);
  });

  afterAll(async () => {
    await prometheus?.stop();
    discovery?.stop();
    await leaveNamespace(namespace);
  });

  it('has objects that the API takes to the letter and does not change', async () => {
    expect(await kube.get(`${monitors}/${outputs.name}`)).toMatchObject({ kind: 'PodMonitor' });
    expect(await kube.get(`${configMaps}/${outputs.name}-dashboard`)).toMatchObject({
      metadata: { labels: { grafana_dashboard: '1' } },
    });
    expect(await rulesOf(outputs)).not.toEqual([]);
    const since = new Date();
    expect((await apply(inputs)).outputs.changed).toBe('false');
    if (hasAuditLog()) expect(await auditWrites(since, { userAgent: 'kube-nats-action/' })).toEqual([]);
  });

  it('serves on metrics_port, in every pod, all that rules and dashboard read', async () => {
    const used = (await expressionsOf(outputs)).flatMap(selectorsIn).map(({ metric }) => metric);
    const read = [...new Set(used)].filter((metric) => !OTHERS.test(metric));
    expect(read.length).toBeGreaterThan(20);
    for (const pod of pods) {
      const served = await scrape(pod, outputs.metrics_port);
      expect(read.filter((metric) => !served.has(metric))).toEqual([]);
      expect([...EXPORTER_METRICS].filter((metric) => !served.has(metric))).toEqual([]);
    }
  });

  it('has its pods scraped by what the PodMonitor selects, and raises no alert', async () => {
    await settle(prometheus);
    const targets = await prometheus.targets();
    expect(targets.map(({ pod }) => pod).sort()).toEqual(pods);
    expect(targets.every(({ up }) => up)).toBe(true);
    expect((await prometheus.rules()).filter(({ health }) => health !== 'ok')).toEqual([]);
    expect(await pending(prometheus)).toEqual([]);
  });

  it('shows something in every panel', async () => {
    await settle(prometheus);
    const queries = expressionsIn(await dashboardOf(outputs)).filter((expr) => !OTHERS.test(expr));
    const answers = await Promise.all(queries.map((expr) => prometheus.query(expr)));
    expect(queries.filter((_query, index) => answers[index]?.length === 0)).toEqual([]);
    const leader = await prometheus.query('max by (meta_leader) (nats_server_total_streams{is_meta_leader="true"})');
    expect(pods).toContain(leader[0]?.labels.meta_leader);
  });

  it('names in every alert a command that works', async () => {
    const labels: Values = { pod: pods[1] ?? '', name: `${outputs.name}-server-certs` };
    for (const rule of await rulesOf(outputs)) {
      const [, template = ''] = digText(rule, 'annotations', 'description').split(' Look: ');
      const command = template.replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, (_match, name: string) => labels[name] ?? '');
      expect(command).toMatch(/^kubectl /);
      expect((await shell(command)).length).toBeGreaterThan(0);
    }
  });

  it('alarms of an exporter that hangs, and no more when it goes on', async () => {
    const signal = (name: string) =>
      shell(
        `kubectl -n ${namespace} exec ${pods[2]} -c nats -- sh -c ` +
          `'kill -${name} $(ps -o pid,args | awk "/prometheus-nats-exporter/ && !/awk/ {print \\$1}")'`,
      );
    await expectPending(prometheus, []);
    await signal('STOP');
    await expectPending(prometheus, ['NatsServerDown']);
    await signal('CONT');
    await expectPending(prometheus, []);
  });

  finale(() => ({ inputs, outputs, pods, prometheus }));
});
