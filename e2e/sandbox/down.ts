import { rmSync } from 'node:fs';
import { killProcesses, removeCgroups } from './cgroups.ts';
import { removeNetwork } from './network.ts';
import { restoreSysctls } from './sysctls.ts';
import { paths } from './topology.ts';
import { phase } from './wait.ts';

/**
 * Ends a sandbox in whatever state it is, and leaves nothing of it but the cache and the logs. Its mounts were in namespaces of
 * its own and go with the processes.
 */
export async function down(): Promise<void> {
  await phase('down', async () => {
    await killProcesses();
    await removeNetwork();
    await removeCgroups();
    restoreSysctls();
    rmSync(paths.run, { recursive: true, force: true });
  });
}
