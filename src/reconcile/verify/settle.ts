import type { RunContext } from '../context.ts';
import { warnOfMemoryKills } from '../diagnosis/memory-kills.ts';
import { verifyLoaded } from '../servers/pending-reload.ts';
import { waitForRollout } from '../servers/rollout.ts';
import { retryRefused, waitForCertificates } from '../write/certificates.ts';
import { verifySecrets } from '../write/secrets.ts';
import { verifyServed } from './served.ts';
import { verifyServers } from './verify.ts';

/** Waits until the cluster is whole, and verifies it: certificates, pods, JetStream. */
export async function settle(context: RunContext): Promise<void> {
  const { report, log } = context;
  await retryRefused(context);
  await waitForCertificates(context);
  await verifySecrets(context);
  await waitForRollout(context);
  await verifyLoaded(context);
  const leader = await verifyServers(context);
  // Verifying may have restarted a server, which is whole before its pod is Ready again.
  await waitForRollout(context);
  await verifyServed(context);
  await warnOfMemoryKills(context);
  report.verified = true;
  report.leader = leader;
  log.info(
    leader === ''
      ? 'Verified: JetStream is enabled, every role has valid credentials.'
      : `Verified: JetStream's meta leader is ${leader}, all peers are current, every role has valid credentials.`,
  );
}
