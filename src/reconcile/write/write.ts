import { isDeepStrictEqual } from 'node:util';
import { commonLabels } from '../../desired/labels.ts';
import type { DesiredState, DesiredVault } from '../../desired/state.ts';
import { dig, digText, textsIn } from '../../json.ts';
import { type ApplyOptions, describe } from '../../kube/client.ts';
import { ApplyConflict } from '../../kube/errors.ts';
import type { KubeObject } from '../../kube/object.ts';
import { type Kind, kindOf } from '../../kube/resources.ts';
import { EDITS_BY_HAND } from '../../manager.ts';
import { CONFIG_FILE } from '../../nats/layout.ts';
import { configHash } from '../../nats/restart.ts';
import { Problem } from '../../problem.ts';
import { together } from '../../together.ts';
import { applyVault } from '../../vault/plan.ts';
import { handOver, keepVolumes } from '../adoption/adoption.ts';
import { boundVolumes, dataClaims } from '../claims.ts';
import type { RunContext, WriteContext } from '../context.ts';
import { type Deployment, renderInventory, type Scope } from '../inventory.ts';
import { type ObjectChange, type Plan, restartsServers } from '../plan/plan.ts';
import { record } from '../record.ts';
import { checkRemovedServers } from '../refusals/scaling.ts';
import { lateFor, notePendingReload, type Standing, standings } from '../servers/pending-reload.ts';
import { heldBack, restartOneByOne, withoutPartition } from '../servers/rolling-restart.ts';
import { type ConfigLoad, touchPods, waitForReload, waitForRollout } from '../servers/rollout.ts';
import { until } from '../until.ts';
import { writeBudget } from './budget.ts';
import { retryRefused, waitForCertificates } from './certificates.ts';
import { prune } from './prune.ts';
import { verifySecrets } from './secrets.ts';

/**
 * The order of writes: what cert-manager needs to log in to Vault, then who signs, then what is signed. What the servers
 * read comes after the certificates are issued, so that one reload takes both. The StatefulSet comes last, as its pods could
 * not mount a Secret that is not issued yet, and as new servers find their way only to those that know them.
 */
const BEFORE_CERTIFICATES: Kind[][] = [
  ['ServiceAccount', 'Role', 'Service', 'NetworkPolicy'],
  // Nobody may bind a Role that is not there yet, unless he may do everything.
  ['RoleBinding'],
  ['Issuer'],
  ['Certificate'],
];
const CONFIGURATION: Kind[][] = [['ConfigMap']];
const SERVERS: Kind[][] = [
  ['PodDisruptionBudget'],
  ['StatefulSet'],
  ['PersistentVolumeClaim', 'VerticalPodAutoscaler', 'CronJob', 'PodMonitor', 'PrometheusRule'],
];

/**
 * Writes a plan. The inventory names every kind before the first object is written and forgets none before the last is
 * removed, so that a run that is killed anywhere leaves nothing that the next cannot find.
 */
export async function writePlan(
  context: WriteContext,
  plan: Plan,
  desired: DesiredState,
  deployment: Deployment,
): Promise<void> {
  context.report.unwritten = objectsOf(plan);
  if (plan.objects.some(({ action, object }) => action === 'adopt' && object.kind === 'StatefulSet')) {
    await keepVolumes(context);
  }
  await writeInventory(context, plan.inventory.during, deployment);
  const config = desired.objects.find((object) => isConfig(context, object));
  const reloads = plan.objects.some(
    ({ object, fields }) => isConfig(context, object) && fields.some(({ path }) => path.startsWith('data.')),
  );
  const servers = reloads ? await standings(context) : new Map<string, Standing>();

  if (plan.vault.length > 0) await writeVault(context, desired.vault);
  await writeObjects(context, plan, BEFORE_CERTIFICATES);
  await retryRefused(context);
  if (context.inputs.wait) {
    await waitForCertificates(context);
    // A server that restarts with a key that does not fit would not come up.
    await verifySecrets(context);
  }
  const conf = digText(config, 'data', CONFIG_FILE);
  const late = lateFor(servers, conf);
  if (reloads) await notePendingReload(context, servers, conf);
  await writeObjects(context, plan, CONFIGURATION);
  if (reloads) {
    context.assertHeld();
    await touchPods(context, [...servers.keys()], configHash(conf));
  }
  if (context.inputs.wait && reloads && addsServers(plan)) await waitForReload(context, answering(late));
  await writeObjects(context, plan, SERVERS);
  if (context.inputs.wait) {
    await waitForRollout(context);
    if (reloads) await waitForReload(context, late);
  }
  await prune(context, plan.prune);
  if (!isDeepStrictEqual(plan.inventory.after, plan.inventory.during)) {
    await writeInventory(context, plan.inventory.after, deployment);
  }
}

/** What a plan changes, as `record` names it. */
function objectsOf({ vault, objects, prune }: Plan): string[] {
  const inKubernetes = [...objects.map(({ object }) => object), ...prune];
  return [
    ...vault.map(({ path }) => `Vault ${path.join('/')}`),
    ...inKubernetes.map(({ kind, metadata }) => describe(kind, metadata.namespace, metadata.name)),
  ];
}

/** Whether it is the ConfigMap with nats.conf. */
function isConfig({ namespace, name }: RunContext, { kind, metadata }: KubeObject): boolean {
  return kind === 'ConfigMap' && metadata.namespace === namespace && metadata.name === name;
}

async function writeInventory(context: WriteContext, scope: Scope, deployment: Deployment): Promise<void> {
  const { namespace, name, inputs } = context;
  const inventory = renderInventory(namespace, name, commonLabels(inputs, name), scope, deployment);
  await apply(context, inventory, { takesFrom: EDITS_BY_HAND });
}

async function writeVault(context: WriteContext, desired: DesiredVault): Promise<void> {
  context.assertHeld();
  for (const { action, path, fields } of await applyVault(context.vault, desired)) {
    const named = action === 'create' ? [] : fields.map(({ name }) => name);
    record(context, { action, object: `Vault ${path.join('/')}`, fields: named });
  }
}

async function writeObjects(context: WriteContext, plan: Plan, waves: Kind[][]): Promise<void> {
  for (const kinds of waves) {
    const wave = plan.objects.filter(({ object }) => kinds.includes(kindOf(object)));
    await together(wave.map((change) => writeObject(context, change)));
  }
}

async function writeObject(context: WriteContext, change: ObjectChange): Promise<void> {
  const { action, object, options } = change;
  if (action === 'adopt') await handOver(context, object);
  if (change.isLeaving) await waitUntilGone(context, object);
  if (restartsServers(change) && context.inputs.wait) return writeServers(context, change);
  if (object.kind === 'StatefulSet') await applyServers(context, change, change.live);
  else if (object.kind !== 'PodDisruptionBudget') await apply(context, object, options);
  else if (!(await writeBudget(context, object, options))) return;
  recordChange(context, change);
}

/**
 * Restarts the servers before the StatefulSet becomes what it is to be. While it is held back it differs from that, so that
 * the run after one that was killed goes on.
 */
async function writeServers(context: WriteContext, change: ObjectChange): Promise<void> {
  const { namespace, name } = change.object.metadata;
  const live = await context.kube.get('StatefulSet', namespace, name);
  if (live !== null) await withoutPartition(context, live);
  if (live === null || Number(dig(live.spec, 'replicas')) === 0) {
    await applyServers(context, change, live);
    return recordChange(context, change);
  }
  const volumes = boundVolumes(await dataClaims(context.kube, namespace ?? '', name));
  await apply(context, heldBack(change.object, live, volumes), change.options);
  recordChange(context, change);
  await restartOneByOne(context, Number(dig(change.object.spec, 'replicas')));
  await applyServers(context, change, live);
}

/** Applies the StatefulSet; with fewer servers than there are, only where those that go store nothing by now. */
async function applyServers(
  context: WriteContext,
  { object, options }: ObjectChange,
  live: KubeObject | null,
): Promise<void> {
  if (live !== null) await checkRemovedServers(context.kube, live, Number(dig(object.spec, 'replicas')));
  await apply(context, object, options);
}

function recordChange(context: WriteContext, { action, object, fields }: ObjectChange): void {
  const what = describe(object.kind, object.metadata.namespace, object.metadata.name);
  const paths = fields.map(({ path }) => path);
  // Of what is taken over that would be most of its fields.
  record(context, { action, object: what, fields: paths }, action === 'adopt' ? '' : paths.join(', '));
}

/** Whether servers come to those that stay as they are. */
function addsServers({ objects }: Plan): boolean {
  return objects.some(
    (change) =>
      change.object.kind === 'StatefulSet' &&
      !restartsServers(change) &&
      change.fields.some(({ path }) => path === 'spec.replicas'),
  );
}

/** Those that can load a configuration: one that does not run reads it when it starts. */
function answering(loads: Map<string, ConfigLoad>): Map<string, ConfigLoad> {
  return new Map([...loads].filter(([, { time }]) => time !== ''));
}

/** Waits for the end of an object that somebody deletes: its finalizers, or what it owns, may hold it for a while. */
async function waitUntilGone(context: RunContext, object: KubeObject): Promise<void> {
  const { namespace, name } = object.metadata;
  const what = describe(object.kind, namespace, name);
  await until(
    {
      ...context,
      tried: `Waiting for ${what} to be gone`,
      next: 'Look at what its finalizers wait for: a run makes it anew once it is gone.',
    },
    async () => {
      const live = await context.kube.get(kindOf(object), namespace, name);
      if (live?.metadata.deletionTimestamp === undefined) return { done: true };
      const finalizers = textsIn(live.metadata.finalizers).join(', ') || 'none';
      return { done: false, missing: `${what} is being deleted, finalizers: ${finalizers}` };
    },
  );
}

async function apply({ kube, assertHeld }: WriteContext, object: KubeObject, options: ApplyOptions): Promise<void> {
  assertHeld();
  try {
    await kube.apply(object, options);
  } catch (error) {
    if (!(error instanceof ApplyConflict)) throw error;
    throw new Problem({
      kind: 'conflict',
      tried: `Applying ${describe(object.kind, object.metadata.namespace, object.metadata.name)}`,
      reason: `${error.message}.`,
      next: 'Something else took these fields during the run: run again, and stop the other writer if it happens again.',
    });
  }
}
