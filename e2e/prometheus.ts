import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dig, digObjects, digText, isJsonObject, type Json, type JsonObject } from '../src/json.ts';
import type { KubeApi } from './sandbox/kube-api.ts';
import { run } from './sandbox/process.ts';
import { waitFor } from './sandbox/wait.ts';
import { tool } from './tools.ts';

/** One sample of an answer to a query. */
export interface Sample {
  labels: JsonObject;
  value: number;
}

/** Runs promtool on files of these names and contents, in a directory of their own; rejects with what it found. */
export async function promtool(args: string[], files: { [name: string]: Json }): Promise<string> {
  const directory = write(files);
  try {
    return await run([tool('promtool'), ...args], { directory });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Writes each value as JSON, which is YAML as well. */
function write(files: { [name: string]: Json }): string {
  const directory = mkdtempSync(join(tmpdir(), 'prometheus-'));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), JSON.stringify(content));
  return directory;
}

/** A Prometheus on loopback that scrapes and evaluates every second. */
export class Prometheus {
  readonly #process: ChildProcess;
  readonly #url: string;
  readonly #directory: string;

  private constructor(process: ChildProcess, url: string, directory: string) {
    this.#process = process;
    this.#url = url;
    this.#directory = directory;
  }

  /** Starts one with that scrape configuration and those groups of rules, and waits until it is ready. */
  static async start(scrapeConfig: JsonObject, groups: Json): Promise<Prometheus> {
    const directory = write({
      'prometheus.yaml': {
        global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
        rule_files: ['rules.yaml'],
        scrape_configs: [scrapeConfig],
      },
      'rules.yaml': { groups },
    });
    const address = `127.0.0.1:${await freePort()}`;
    const log = join(directory, 'log');
    const flags = ['--config.file=prometheus.yaml', '--storage.tsdb.path=data', `--web.listen-address=${address}`];
    const child = spawn('sh', ['-c', 'exec "$@" > "$0" 2>&1', log, tool('prometheus'), ...flags], {
      cwd: directory,
      stdio: 'ignore',
    });
    const prometheus = new Prometheus(child, `http://${address}`, directory);
    const isReady = async () => (await fetch(`http://${address}/-/ready`)).ok;
    await waitFor(isReady, 'Prometheus is ready', 30_000).catch(async (error: Error) => {
      const end = readFileSync(log, 'utf8').slice(-2000);
      await prometheus.stop();
      throw new Error(`${error.message}\n${end}`);
    });
    return prometheus;
  }

  /** The samples of an instant query. */
  async query(expr: string): Promise<Sample[]> {
    const data = await this.#get(`query?${new URLSearchParams({ query: expr })}`);
    return digObjects(data, 'result').map(({ metric, value }) => ({
      labels: isJsonObject(metric) ? metric : {},
      value: Number(Array.isArray(value) ? value[1] : undefined),
    }));
  }

  /** The alerts that are pending or firing. */
  async alerts(): Promise<JsonObject[]> {
    return digObjects(await this.#get('alerts'), 'alerts');
  }

  /** The rules of the groups, with their health. */
  async rules(): Promise<JsonObject[]> {
    return digObjects(await this.#get('rules'), 'groups').flatMap((group) => digObjects(group, 'rules'));
  }

  /** What it scrapes: the pods by name, and whether the last scrape went well. */
  async targets(): Promise<{ pod: string; up: boolean }[]> {
    return digObjects(await this.#get('targets?state=active'), 'activeTargets').map((target) => ({
      pod: digText(target, 'labels', 'pod'),
      up: target.health === 'up',
    }));
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    if (this.#process.exitCode === null && this.#process.kill()) await ended;
    rmSync(this.#directory, { recursive: true });
  }

  async #get(path: string): Promise<Json | undefined> {
    const response = await fetch(`${this.#url}/api/v1/${path}`);
    const answer: Json = JSON.parse(await response.text());
    if (!response.ok) throw new Error(`Prometheus refuses ${path}: ${digText(answer, 'error')}`);
    return dig(answer, 'data');
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Listens on a free port of loopback. */
async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('There is no free port');
  return address.port;
}

/**
 * The scrape configuration that the Prometheus operator makes of a PodMonitor, for pods that a PodDiscovery tells:
 * https://github.com/prometheus-operator/prometheus-operator/blob/v0.85.0/pkg/prometheus/promcfg.go (generatePodMonitorConfig)
 */
export function scrapeConfigOf(podMonitor: JsonObject, discovery: PodDiscovery): JsonObject {
  const namespace = digText(podMonitor, 'metadata', 'namespace');
  const job = `${namespace}/${digText(podMonitor, 'metadata', 'name')}`;
  const [endpoint] = digObjects(podMonitor, 'spec', 'podMetricsEndpoints');
  const selected = dig(podMonitor, 'spec', 'selector', 'matchLabels');
  const labels = isJsonObject(selected) ? Object.entries(selected) : [];
  return {
    job_name: `podMonitor/${job}/0`,
    http_sd_configs: [{ url: discovery.url, refresh_interval: '1s' }],
    relabel_configs: [
      { source_labels: [podMeta('phase')], regex: '(Failed|Succeeded)', action: 'drop' },
      ...labels.map(([name, value]) => ({
        source_labels: [podMeta(`label_${inLabel(name)}`), podMeta(`labelpresent_${inLabel(name)}`)],
        regex: `(${value});true`,
        action: 'keep',
      })),
      { source_labels: [podMeta('container_port_name')], regex: digText(endpoint, 'port'), action: 'keep' },
      { source_labels: ['__meta_kubernetes_namespace'], target_label: 'namespace' },
      { source_labels: [podMeta('container_name')], target_label: 'container' },
      { source_labels: [podMeta('name')], target_label: 'pod' },
      { target_label: 'job', replacement: job },
      { target_label: 'endpoint', replacement: digText(endpoint, 'port') },
    ],
  };
}

/**
 * Tells a Prometheus over HTTP which pods a namespace has, in the labels of its own discovery, which Debian's lacks:
 * https://prometheus.io/docs/prometheus/latest/configuration/configuration/#kubernetes_sd_config (role: pod)
 */
export class PodDiscovery {
  readonly #server: Server;
  readonly url: string;

  private constructor(server: Server, url: string) {
    this.#server = server;
    this.url = url;
  }

  static async start(kube: KubeApi, namespace: string): Promise<PodDiscovery> {
    const server = createServer(async (_request, response) => {
      try {
        const groups = (await kube.list(`/api/v1/namespaces/${namespace}/pods`)).flatMap(targetsOf);
        response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(groups));
      } catch (error) {
        response.writeHead(503).end(String(error));
      }
    });
    return new PodDiscovery(server, `http://127.0.0.1:${await listen(server)}/`);
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** A target for each port of a pod's containers. */
function targetsOf({ metadata, spec, status }: JsonObject): JsonObject[] {
  const address = digText(status, 'podIP');
  if (address === '') return [];
  const labels = dig(metadata, 'labels');
  const ofPod = Object.entries(isJsonObject(labels) ? labels : {}).flatMap(([name, value]) => [
    [podMeta(`label_${inLabel(name)}`), value],
    [podMeta(`labelpresent_${inLabel(name)}`), 'true'],
  ]);
  return digObjects(spec, 'containers').flatMap((container) =>
    digObjects(container, 'ports').map((port) => ({
      targets: [`${address}:${port.containerPort}`],
      labels: {
        ...Object.fromEntries(ofPod),
        __meta_kubernetes_namespace: digText(metadata, 'namespace'),
        [podMeta('name')]: digText(metadata, 'name'),
        [podMeta('phase')]: digText(status, 'phase'),
        [podMeta('container_name')]: digText(container, 'name'),
        [podMeta('container_port_name')]: digText(port, 'name'),
      },
    })),
  );
}

const podMeta = (name: string): string => `__meta_kubernetes_pod_${name}`;

const inLabel = (name: string): string => name.replaceAll(/[^a-zA-Z0-9_]/g, '_');
