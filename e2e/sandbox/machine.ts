import { sandboxDirectory } from './topology.ts';

/** Directories that the nodes see their own version of: nothing below them can be shared with a node. */
const hiddenFromNodes = ['/run', '/var/run', '/var/lib', '/var/log'];

/** Throws, saying what to do, when this machine or directory can't hold a sandbox. */
export function requireMachine(): void {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    throw new Error(
      'The sandbox needs root on Linux. Elsewhere, run the tests on a cluster of yours: E2E_KUBECONFIG=<file> npm run e2e',
    );
  }
  const hidden = hiddenFromNodes.find((directory) => `${sandboxDirectory}/`.startsWith(`${directory}/`));
  if (hidden) throw new Error(`SANDBOX_DIR is ${sandboxDirectory}: choose a directory that is not below ${hidden}`);
}
