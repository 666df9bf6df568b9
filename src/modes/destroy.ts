import { commonLabels } from '../desired/labels.ts';
import { isCancelled } from '../problem.ts';
import { checkPermissions } from '../reconcile/access/access-check.ts';
import type { RunContext } from '../reconcile/context.ts';
import { isLockOf, withLock } from '../reconcile/lock/lock.ts';
import { whileHeld } from '../reconcile/lock/while-held.ts';
import { record } from '../reconcile/record.ts';
import { NO_CLAIMS } from '../reconcile/removal/members.ts';
import { isGoing, othersIn, removeNamespace, waitForNamespace } from '../reconcile/removal/namespace.ts';
import { findRemains, inspectSite, leftInKubernetes, type Remains, type Site } from '../reconcile/removal/remains.ts';
import {
  type RemovalContext,
  removeData,
  removeInventory,
  removeRest,
  removeWorkload,
  takeBack,
} from '../reconcile/removal/removal.ts';
import {
  tellData,
  tellForeign,
  tellGone,
  tellLeftovers,
  tellNamespace,
  tellUnfinished,
} from '../reconcile/removal/removal-notices.ts';
import { VaultAbsent } from '../vault/absence.ts';
import { pathText } from '../vault/path.ts';
import { checkCapabilities } from '../vault/preflight.ts';
import { findInVault, removeFromVault, type VaultFindings } from '../vault/removal.ts';
import type { Mode, RunPorts } from './mode.ts';
import { identify, logIn } from './opening.ts';

/** What came of looking into Vault. */
type VaultLook = VaultFindings | VaultAbsent;

/**
 * Removes the cluster: all that its inventory, its names and the owner's marks in Vault tell to be its own, under its lock;
 * the data and the namespace with consent only. Rejects with a Problem; the next run goes on from there.
 */
export const destroy: Mode = async (inputs, ports, report) => {
  const { kube, clock } = ports;
  const deadline = clock.now() + inputs.timeout * 1000;
  const site = await inspectSite(kube, inputs);
  const name = await identify(inputs, ports, site);
  const context: RunContext = { ...ports, inputs, report, namespace: inputs.namespace, name, deadline };
  ports.setOutputs({ changed: 'false' });
  try {
    await removeCluster(context, ports, site, () => logIn(inputs, ports));
  } finally {
    ports.setOutputs({ changed: `${report.changes.length > 0}` });
  }
};

/**
 * Removes the cluster `name` as the inputs of mode destroy say.
 *
 * @param enterVault called before Vault is asked for anything
 * @param checkUnderLock called when nobody else can write any more, and before anything is removed
 */
export async function removeCluster(
  context: RunContext,
  ports: RunPorts,
  site: Site,
  enterVault: () => Promise<void>,
  checkUnderLock: () => Promise<void> = async () => {},
): Promise<void> {
  const remains = await findRemains(context, site);
  const look = await lookIntoVault(context, ports, remains, enterVault);
  const outcome = site.namespaceExists
    ? await removeInNamespace(context, ports, site, remains, look, checkUnderLock)
    : await removeOutside(context, ports, remains, look);
  conclude(context, outcome);
}

/** Logs in and looks, before anything is deleted: a Vault that refuses ends the run, one that is not there does not. */
async function lookIntoVault(
  context: RunContext,
  ports: RunPorts,
  { vault: places }: Remains,
  enterVault: () => Promise<void>,
): Promise<VaultLook> {
  try {
    await checkProxy(ports);
    await enterVault();
    for (const place of places) await checkCapabilities(ports.vault, place, context.inputs.mode);
    return await findInVault(ports.vault, places);
  } catch (error) {
    return absentVault(error);
  }
}

/** Throws what is no word about Vault as a whole: a mount that lacks takes nothing along but what is below it. */
function absentVault(error: unknown): VaultAbsent {
  if (error instanceof VaultAbsent && error.absence !== 'unmounted') return error;
  throw error;
}

/** With the namespace of Vault's Service the permission to reach it is gone as well, and would be told as missing. */
async function checkProxy({ kube, vaultAccess }: RunPorts): Promise<void> {
  const namespace = vaultAccess[0]?.namespace;
  if (namespace !== undefined && (await kube.get('Namespace', undefined, namespace)) === null) {
    throw new VaultAbsent(
      {
        kind: 'connection',
        tried: 'Reaching Vault through the API server',
        reason: `Namespace ${namespace}, which its Service is in, does not exist.`,
        next: 'Correct vault_internal_url, or set vault_url.',
      },
      'gone',
    );
  }
  await checkPermissions(kube, vaultAccess);
}

/** What became of it. */
interface Outcome {
  /** False where there was nothing to remove. */
  removed: boolean;
  remains: Remains;
  /** Also where Vault failed meanwhile. */
  vault: VaultLook;
}

async function removeInNamespace(
  context: RunContext,
  ports: RunPorts,
  site: Site,
  remains: Remains,
  look: VaultLook,
  checkUnderLock: () => Promise<void>,
): Promise<Outcome> {
  if (await isNothingLeft(context, site, remains, look)) return { removed: false, remains, vault: look };
  const { inputs, namespace, name } = context;
  const { kube, holder, leaving } = ports;
  const lock = { ...context, kube, leaving, holder, labels: commonLabels(inputs, name), removes: true };
  try {
    return await withLock(lock, async (assertHeld) => {
      await checkUnderLock();
      // Another run may have written since.
      const now = await findRemains(context, site);
      return removeAll(whileHeld(now.removal, kube, assertHeld), now, look);
    });
  } catch (error) {
    // Another run that removes the cluster may have been faster, and taken the namespace with the lock.
    if (isCancelled(error) || !(await isGoing(kube, namespace))) throw error;
    return removeOutside(context, ports, remains, look);
  }
}

async function isNothingLeft(context: RunContext, site: Site, remains: Remains, look: VaultLook): Promise<boolean> {
  const { inputs, kube, namespace, name } = context;
  if (remains.inventory !== null || hasOwn(look)) return false;
  if (inputs.delete_data && remains.claims.own.length > 0) return false;
  const lease = await kube.get('Lease', namespace, name);
  if (lease !== null && isLockOf(lease, name)) return false;
  if ((await leftInKubernetes(remains, site)).length > 0) return false;
  if (!inputs.delete_namespace) return true;
  const others = await othersIn(context);
  if (others.length === 0) return false;
  tellNamespace(context, others);
  return true;
}

/** In an order of which any part can be completed later: what tells where the rest is goes after it. */
async function removeAll(context: RemovalContext, remains: Remains, look: VaultLook): Promise<Outcome> {
  const { inputs } = context;
  await removeWorkload(context);
  const vault = await removeInVault(context, remains, look);
  await removeRest(context);
  await takeBack(context, remains.shares);
  if (inputs.delete_data) await removeData(context, remains.inventory !== null);
  // It tells the next run where the rest is.
  if (isSilent(vault)) return { removed: true, remains, vault };
  await removeInventory(context);
  if (inputs.delete_namespace) {
    const others = await removeNamespace(context);
    if (others.length > 0) tellNamespace(context, others);
  }
  return { removed: true, remains, vault };
}

/**
 * What a cluster has outside of its namespace, which is gone or goes: there is no lock to be had. Who brings the cluster up
 * again makes the namespace first, so each deletion in Vault looks for that right before. What is left is the time between
 * the answer and the deletion: an install that makes the namespace and reads Vault within it is repaired by its next run.
 */
async function removeOutside(
  context: RunContext,
  { kube }: RunPorts,
  remains: Remains,
  look: VaultLook,
): Promise<Outcome> {
  await waitForNamespace(context);
  const { vault: client } = context;
  const removal: RemovalContext = {
    ...remains.removal,
    kube,
    assertHeld: () => {},
    vault: { ...client, delete: (path) => waitForNamespace(context).then(() => client.delete(path)) },
  };
  await takeBack(removal, remains.shares);
  const vault = await removeInVault(removal, remains, look);
  return { removed: context.report.changes.length > 0, remains: withoutNamespace(remains), vault };
}

/** Another run may have taken the namespace along since it was looked into: what was in it is not to be told as kept. */
function withoutNamespace(remains: Remains): Remains {
  return { ...remains, inventory: null, claims: NO_CLAIMS };
}

async function removeInVault(context: RemovalContext, remains: Remains, look: VaultLook): Promise<VaultLook> {
  if (look instanceof VaultAbsent) return look;
  context.assertHeld();
  try {
    await removeFromVault(context.vault, remains.vault, (path) =>
      record(context, { action: 'delete', object: `Vault ${pathText(path)}`, fields: [] }),
    );
    return look;
  } catch (error) {
    return absentVault(error);
  }
}

function hasOwn(look: VaultLook): boolean {
  return !(look instanceof VaultAbsent) && look.own.flat().length > 0;
}

function isSilent(look: VaultLook): look is VaultAbsent {
  return look instanceof VaultAbsent && look.absence === 'silent';
}

/** Tells what is left on purpose. Throws where something is left that is to go. */
function conclude(context: RunContext, { removed, remains, vault }: Outcome): void {
  const { log, report, namespace, name } = context;
  tellData(context, remains.claims);
  tellLeftovers(context, remains.inventory);
  if (vault instanceof VaultAbsent) {
    if (isSilent(vault)) throw tellUnfinished(context, remains.vault, remains.inventory, vault);
    tellGone(context, remains.vault, vault);
  } else tellForeign(context, vault);
  report.conclusion = removed ? 'The cluster is removed.' : 'There was nothing to remove.';
  log.info(
    removed
      ? `NATS cluster ${name} is removed.`
      : `Nothing to remove: there is no NATS cluster ${name} in namespace ${namespace}.`,
  );
}
