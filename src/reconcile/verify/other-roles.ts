import type { DesiredVault } from '../../desired/state.ts';
import { Problem } from '../../problem.ts';
import { findOtherRoles, otherRolesLeft, otherRolesUnseen, otherRolesWarning } from '../../vault/other-roles.ts';
import type { RunContext } from '../context.ts';

/** Milliseconds in which roles of others are read: shared mounts have thousands, and this is but a warning. */
const LONGEST_LOOK = 10_000;

/** Warns of what lets others pass for this cluster's clients and servers: no failure of it ends a run. */
export async function lookAtOtherRoles(context: RunContext, desired: DesiredVault): Promise<void> {
  const { vault, inputs, clock, log, report } = context;
  const deadline = Math.min(clock.now() + LONGEST_LOOK, context.deadline);
  try {
    const roles = await findOtherRoles(vault, desired, { clock, deadline });
    if (roles.looked < roles.of) log.info(otherRolesLeft(desired, roles));
    if (roles.found.length === 0) return;
    const input = 'vault_internal_pki_backend_mount_path';
    const message = otherRolesWarning(desired, roles.found);
    report.notices.push({ severity: 'warning', input, message });
    log.warning(`${input}: ${message}`);
  } catch (error) {
    if (!(error instanceof Problem) || error.details.kind === 'cancelled') throw error;
    log.info(otherRolesUnseen(desired, inputs.mode, error));
  }
}
