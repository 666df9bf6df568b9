import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadAll } from 'js-yaml';
import { dig, digObjects, digText, isJsonObject, type Json, type JsonObject } from '../src/json.ts';
import { kube, waitFor } from './cluster.ts';
import { hasCondition } from './sandbox/kube-api.ts';
import { paths } from './sandbox/topology.ts';

/**
 * Parts of a stack that clusters may lack: the VerticalPodAutoscaler, the Prometheus operator (PodMonitor, ServiceMonitor and
 * PrometheusRule), Karpenter (NodePool). Only their CustomResourceDefinitions: nothing acts on such objects.
 */
export type StackPart = 'vpa' | 'monitoring' | 'karpenter';

const collection = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const marker = { 'e2e.sandbox/installed': 'true' };

/** Installs the part's definitions and waits until the API serves them. Those that the cluster has already stay as they are. */
export async function installCrds(part: StackPart): Promise<void> {
  const present = new Set((await kube.list(collection)).map(nameOf));
  for (const definition of definitionsOf(part)) {
    const path = `${collection}/${nameOf(definition)}`;
    if (!present.has(nameOf(definition))) await kube.apply(path, marked(definition));
    await waitFor(async () => hasCondition(await kube.get(path), 'Established'), `${path} is established`, 30_000);
    await waitFor(() => isServed(definition), `the API serves ${nameOf(definition)}`, 30_000);
  }
}

/** Removes those that installCrds installed, with all objects of their kinds, and waits until the API has forgotten them. */
export async function removeCrds(part: StackPart): Promise<void> {
  const installed = await kube.list(`${collection}?labelSelector=${encodeURIComponent(Object.keys(marker).join())}`);
  const names = new Set(installed.map(nameOf));
  const definitions = definitionsOf(part).filter((definition) => names.has(nameOf(definition)));
  for (const definition of definitions) await kube.delete(`${collection}/${nameOf(definition)}`);
  for (const definition of definitions) {
    await waitFor(() => isGone(definition), `${nameOf(definition)} is gone`, 30_000);
  }
}

function definitionsOf(part: StackPart): JsonObject[] {
  const directory = join(paths.stackCrds, part);
  return readdirSync(directory).flatMap((file) => {
    const documents: Json[] = JSON.parse(JSON.stringify(loadAll(readFileSync(join(directory, file), 'utf8'))));
    return documents.filter(isJsonObject);
  });
}

const nameOf = ({ metadata }: JsonObject): string => digText(metadata, 'name');

function marked(definition: JsonObject): JsonObject {
  const metadata = isJsonObject(definition.metadata) ? definition.metadata : {};
  return { ...definition, metadata: { ...metadata, labels: marker } };
}

/** For every version that is to be served, whether the API lists it and describes it: both follow a definition by a moment. */
async function whereServed({ spec }: JsonObject): Promise<boolean[]> {
  const versions = digObjects(spec, 'versions').filter(({ served }) => served === true);
  const served = versions.map(async ({ name }) => {
    const path = `apis/${digText(spec, 'group')}/${name}`;
    const [list, schemas] = await Promise.all([
      kube.send({ method: 'GET', path: `/${path}` }),
      kube.send({ method: 'GET', path: `/openapi/v3/${path}` }),
    ]);
    return [
      list.status === 200 && resourcesIn(list.body).includes(digText(spec, 'names', 'plural')),
      schemas.status === 200 && kindsIn(schemas.body).includes(digText(spec, 'names', 'kind')),
    ];
  });
  return (await Promise.all(served)).flat();
}

async function isServed(definition: JsonObject): Promise<boolean> {
  return (await whereServed(definition)).every((served) => served);
}

async function isGone(definition: JsonObject): Promise<boolean> {
  const { status } = await kube.send({ method: 'GET', path: `${collection}/${nameOf(definition)}` });
  return status === 404 && !(await whereServed(definition)).some((served) => served);
}

function kindsIn(body: string): string[] {
  const schemas = dig(JSON.parse(body), 'components', 'schemas');
  return Object.values(isJsonObject(schemas) ? schemas : {}).flatMap((schema) =>
    digObjects(schema, 'x-kubernetes-group-version-kind').map(({ kind }) => String(kind)),
  );
}

function resourcesIn(body: string): string[] {
  return digObjects(JSON.parse(body), 'resources').map(({ name }) => String(name));
}
