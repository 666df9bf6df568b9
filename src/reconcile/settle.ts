import { caCertificates } from '../vault/authority.ts';
import { retryRefused, waitForCertificates } from './certificates.ts';
import type { RunContext } from './context.ts';
import { waitForRollout } from './rollout.ts';
import { verifyCredentials, verifyServers } from './verify.ts';

/** Waits until the cluster is whole, and verifies it: certificates, pods, JetStream, the credentials of each role. */
export async function settle(context: RunContext): Promise<void> {
  const { inputs, vault, report, log } = context;
  await retryRefused(context);
  await waitForCertificates(context);
  await waitForRollout(context);
  const [leader] = await Promise.all([
    verifyServers(context),
    verifyCredentials(context, await caCertificates(vault, inputs.vault_internal_pki_backend_mount_path)),
  ]);
  // Verifying may have restarted a server, which is whole before its pod is Ready again.
  await waitForRollout(context);
  report.verified = true;
  report.leader = leader;
  log.info(
    leader === ''
      ? 'Verified: JetStream is enabled, every role has valid credentials.'
      : `Verified: JetStream's meta leader is ${leader}, all peers are current, every role has valid credentials.`,
  );
}
