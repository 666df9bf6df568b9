import { inventoryName } from '../../desired/apply-set.ts';
import type { DesiredVault, Notice } from '../../desired/state.ts';
import { describe } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { Problem } from '../../problem.ts';
import type { VaultAbsent } from '../../vault/absence.ts';
import { pathText } from '../../vault/path.ts';
import { removablePaths, type VaultFindings } from '../../vault/removal.ts';
import type { RunContext } from '../context.ts';
import { recordedLeftovers } from '../inventory.ts';
import { claimText, type DataClaims } from './members.ts';
import { listOf } from './removal.ts';

/** Tells what became of the data, and how it is found again. */
export function tellData(context: RunContext, { own, others }: DataClaims): void {
  const { inputs, namespace, name } = context;
  if (own.length > 0 && inputs.delete_data) {
    context.log.info(
      `The PersistentVolumes of the deleted claims (${own.map(claimText).join(', ')}) go with them, but for those of a StorageClass that retains them: kubectl get pv`,
    );
  }
  if (own.length > 0 && !inputs.delete_data) {
    tell(context, {
      severity: 'notice',
      input: 'delete_data',
      message:
        `The data is kept: PersistentVolumeClaims ${own.map(claimText).join(', ')} in namespace ${namespace}. A cluster of the ` +
        `same name there (name: ${name}) finds it again; mode destroy with delete_data: true deletes it.`,
    });
  }
  if (others.length > 0) {
    tell(context, {
      severity: 'warning',
      input: 'delete_data',
      message: `Left, as nothing tells that they are this cluster's: PersistentVolumeClaims ${others.map(claimText).join(', ')} in namespace ${namespace}.`,
    });
  }
}

/** Tells what the Terraform module made and no run was allowed to remove. */
export function tellLeftovers(context: RunContext, inventory: KubeObject | null): void {
  const left = recordedLeftovers(inventory) ?? [];
  if (left.length === 0) return;
  tell(context, {
    severity: 'warning',
    input: 'remove_module_leftovers',
    message: `The Terraform module's own stay: ${left.join(', ')} in namespace ${context.namespace}. kubectl delete removes them.`,
  });
}

/** Tells that the namespace is kept, and for what. */
export function tellNamespace(context: RunContext, others: KubeObject[]): void {
  tell(context, {
    severity: 'notice',
    input: 'delete_namespace',
    message: `Namespace ${context.namespace} is kept, as there is more in it: ${listOf(others)}.`,
  });
}

/** Tells what Vault holds under the cluster's names that is not its own, and which mounts do not exist any more. */
export function tellForeign(context: RunContext, { foreign, unmounted }: VaultFindings): void {
  if (foreign.length > 0) {
    tell(context, {
      severity: 'warning',
      input: 'name',
      message: `Left in Vault, as not this cluster's: ${foreign.map(({ path, words }) => `${pathText(path)} ${words}`).join('; ')}.`,
    });
  }
  if (unmounted.length > 0) {
    tell(context, {
      severity: 'warning',
      input: 'vault_internal_pki_backend_mount_path',
      message: `Nothing to remove at these paths of Vault, as what is mounted there does not exist any more: ${unmounted.map(pathText).join(', ')}.`,
    });
  }
}

/** Tells that there is no Vault any more to remove something from, and what to do where that is a mistake. */
export function tellGone(context: RunContext, places: DesiredVault[], { details }: VaultAbsent): void {
  tell(context, {
    severity: 'warning',
    input: 'vault_internal_url',
    message:
      `Vault is gone (${details.reason}), and with it what was to be removed there: ${removablePaths(places).map(pathText).join(', ')}. ` +
      `Where Vault is elsewhere, correct that input, and run mode destroy again with name: ${context.name} to remove it there.`,
  });
}

/** The end of a run whose Vault did not answer: what is left there, and how it ends where nobody will ever answer again. */
export function tellUnfinished(
  { namespace, name }: RunContext,
  places: DesiredVault[],
  inventory: KubeObject | null,
  { details }: VaultAbsent,
): Problem {
  const kept =
    inventory === null
      ? ''
      : ` ${describe('ConfigMap', namespace, inventoryName(name))} is kept until then: it tells that run where they are. ` +
        `If that Vault is gone for good, delete it yourself (kubectl -n ${namespace} delete configmap ${inventoryName(name)}).`;
  return new Problem({
    kind: 'vault',
    tried: `Removing what NATS cluster ${name} has in Vault`,
    reason: `${details.tried}: ${details.reason} All else of the cluster is removed; in Vault these may be left:`,
    findings: removablePaths(places).map(pathText),
    next: `${details.next} The next run of mode destroy removes them.${kept}`,
  });
}

function tell({ log, report }: RunContext, notice: Notice): void {
  report.notices.push(notice);
  log[notice.severity](`${notice.input}: ${notice.message}`);
}
