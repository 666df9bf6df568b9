import { inventoryName } from '../../desired/apply-set.ts';
import { inWindow, WINDOW_START } from '../../desired/disruption.ts';
import type { DesiredState, Share } from '../../desired/state.ts';
import { RESTART_HASH } from '../../desired/statefulset.ts';
import { dig, digText, isJsonObject } from '../../json.ts';
import type { KubeObject } from '../../kube/object.ts';
import { kindOf } from '../../kube/resources.ts';
import { CONFIG_FILE } from '../../nats/layout.ts';
import { restartMark, storageLimits } from '../../nats/restart.ts';
import { isCancelled, wordsOf } from '../../problem.ts';
import type { RunContext, WriteContext } from '../context.ts';
import type { Deployment } from '../inventory.ts';
import type { LastGood } from '../last-good.ts';
import { immutableFields, runningServers } from '../plan/facts.ts';
import { isEmpty, makePlan } from '../plan/plan.ts';
import { findDowngrade, type Refusal, serverImage, type WantedServers } from '../refusals/downgrade.ts';
import { settle } from '../verify/settle.ts';
import { writePlan } from '../write/write.ts';

/** What came of going back, and that in words for who reads the log. */
export interface Outcome {
  rolledBack: boolean;
  words: string;
}

/** A way back is tried again: what broke may take effect late, as a refusal of cert-manager that was under way. */
const MOST_ATTEMPTS = 3;
const PAUSE = 2_000;

/**
 * Takes the cluster back to its last good state by the steps of every change: compares, writes what differs, waits and
 * verifies, within the time that the input timeout gives anew. Rejects with nothing: what failed on the way is told.
 *
 * @param failed what the run wanted and did not reach
 */
export async function rollBack(context: WriteContext, lastGood: LastGood, failed: DesiredState): Promise<Outcome> {
  const { kube, clock, log, inputs } = context;
  const origin = originOf(lastGood.deployment);
  const back: WriteContext = {
    ...context,
    inputs: { ...inputs, ...lastGood.inputs },
    deadline: clock.now() + inputs.timeout * 1000,
  };
  for (let attempt = 1; ; attempt++) {
    try {
      if (attempt > 1) await clock.sleep(PAUSE);
      const live = await look(back);
      const added = serversOf(live.statefulSet) - lastGood.inputs.replicas;
      if (added > 0) return staysScaled(added);
      const downgrade = await findDowngrade(
        kube,
        { ...back, ...live, lastGood: lastGood.inputs },
        wantedServers(lastGood),
      );
      if (downgrade !== null && downgrade.refusal !== null) return staysNewer(downgrade.refusal);
      const goal = await wayBack(back, lastGood, failed, live);
      const plan = await makePlan({ ...back, namespaceExists: true, readOnly: false }, goal, live.inventory);
      if (attempt === 1 && isEmpty(plan)) return { rolledBack: false, words: NOTHING_TO_TAKE_BACK };
      if (attempt === 1) log.info(`Rolling back to the last good state, ${origin}`);
      if (!isEmpty(plan)) await writePlan(back, plan, goal, lastGood.deployment);
      if (inputs.wait) await settle(back);
      return arrived(origin, inputs.wait);
    } catch (error) {
      const isOver = isCancelled(error) || attempt === MOST_ATTEMPTS || clock.now() >= back.deadline;
      if (isOver) return failedToo(error, origin);
      log.info(`Rolling back failed, trying again: ${wordsOf(error)}`);
    }
  }
}

/** What is there of a cluster, as far as the way back depends on it. */
interface Live {
  inventory: KubeObject | null;
  statefulSet: KubeObject | null;
  budget: KubeObject | null;
}

async function look({ kube, namespace, name }: RunContext): Promise<Live> {
  const [inventory, statefulSet, budget] = await Promise.all([
    kube.get('ConfigMap', namespace, inventoryName(name)),
    kube.get('StatefulSet', namespace, name),
    kube.get('PodDisruptionBudget', namespace, name),
  ]);
  return { inventory, statefulSet, budget };
}

function serversOf(statefulSet: KubeObject | null): number {
  return Number(dig(statefulSet?.spec, 'replicas') ?? 0);
}

function wantedServers({ inputs, objects }: LastGood): WantedServers {
  const statefulSet = objects.find(({ kind }) => kind === 'StatefulSet');
  return { ...inputs, image: serverImage(statefulSet ?? null) };
}

/** The last good state, as it is to be written to what the cluster has become since. */
async function wayBack(
  context: RunContext,
  { objects, shares, vault }: LastGood,
  failed: DesiredState,
  live: Live,
): Promise<DesiredState> {
  const { name } = context;
  const config = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === name);
  const conf = digText(config?.data, CONFIG_FILE);
  const running = live.statefulSet === null ? null : await runningServers(context.kube, live.statefulSet);
  const adapted = objects.map((object) => {
    if (object.kind === 'StatefulSet')
      return asLive(object, live.statefulSet, (mark) => restartMark(mark, running, storageLimits(conf)));
    return inWindow(object, live.budget?.metadata.annotations?.[WINDOW_START] ?? null);
  });
  return {
    objects: adapted,
    shares: await sharesBack(context, shares, failed.shares),
    vault,
    comingClaims: [],
    notices: [],
  };
}

/**
 * With what a live StatefulSet does not allow to change, as somebody may have made it anew since. Servers that took larger
 * limits by a reload only have the former again after a restart.
 */
function asLive(object: KubeObject, live: KubeObject | null, nextMark: (mark: string) => string): KubeObject {
  const statefulSet = structuredClone(object);
  const annotations = dig(statefulSet.spec, 'template', 'metadata', 'annotations');
  if (isJsonObject(annotations)) annotations[RESTART_HASH] = nextMark(digText(annotations, RESTART_HASH));
  if (live !== null && isJsonObject(statefulSet.spec)) Object.assign(statefulSet.spec, immutableFields(live));
  return statefulSet;
}

/** The shares in what still exists; what the failed run shared besides is taken back by a share of nothing. */
async function sharesBack({ kube }: RunContext, shares: Share[], failed: Share[]): Promise<Share[]> {
  const former = new Set(shares.map(({ object }) => object.metadata.uid));
  const besides = failed.filter(({ object }) => !former.has(object.metadata.uid)).map(emptied);
  const all = [...shares, ...besides];
  const live = await Promise.all(
    all.map(({ object }) => kube.getMetadata(kindOf(object), object.metadata.namespace, object.metadata.name)),
  );
  return all.filter(({ object }, index) => live[index]?.metadata.uid === object.metadata.uid);
}

function emptied(share: Share): Share {
  const { apiVersion, kind, metadata } = share.object;
  const { name, namespace, uid } = metadata;
  return { ...share, object: { apiVersion, kind, metadata: { name, namespace: namespace ?? '', uid } } };
}

/** "deployed by commit 1a2b3c4 (https://github.com/...), action v1.2.3" */
function originOf({ commit, runUrl, actionVersion }: Deployment): string {
  const by = commit === '' ? 'deployed' : `deployed by commit ${commit.slice(0, 7)}`;
  return `${by}${runUrl === '' ? '' : ` (${runUrl})`} with version ${actionVersion} of this action`;
}

const NOTHING_TO_TAKE_BACK = 'Nothing was rolled back: nothing differs from the last good state.';

function arrived(origin: string, wait: boolean): Outcome {
  const words = wait
    ? `Rolled back: the cluster runs its last good state again, ${origin}.`
    : `Rolled back: the last good state, ${origin}, is written again. As wait is false, nobody waited for it.`;
  return { rolledBack: true, words };
}

const GOES_ON = 'The next run goes on from here.';

function staysScaled(added: number): Outcome {
  const words =
    `Not rolled back: ${added} ${added === 1 ? 'server was' : 'servers were'} added, and taking servers away can lose data. ` +
    GOES_ON;
  return { rolledBack: false, words };
}

function staysNewer({ reason, findings, next }: Refusal): Outcome {
  const words = [`Not rolled back: ${reason}`, ...findings.map((finding) => `  - ${finding}`), `${next} ${GOES_ON}`];
  return { rolledBack: false, words: words.join('\n') };
}

function failedToo(error: unknown, origin: string): Outcome {
  const words =
    `Rolling back to the last good state, ${origin}, failed as well. ${wordsOf(error)} ` +
    'The cluster is between the two states, and no data volume was touched: the next run takes it from there.';
  return { rolledBack: false, words };
}
