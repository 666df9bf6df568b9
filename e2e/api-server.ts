import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { kube, waitFor } from './cluster.ts';
import { Daemons } from './sandbox/process.ts';
import { paths } from './sandbox/topology.ts';

const name = 'kube-apiserver';

/** Kills the sandbox's API server as a crash of its machine would. To call what it returns starts it again, and waits for it. */
export function killApiServer(): () => Promise<void> {
  const pid = Number(readFileSync(join(paths.run, `${name}.pid`), 'utf8'));
  const [program = '', ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  process.kill(pid, 'SIGKILL');
  return async () => {
    const daemons = new Daemons();
    daemons.failed.catch((error: unknown) => console.error(error));
    daemons.start(name, [program, ...args]);
    const isReady = async () => (await kube.send({ method: 'GET', path: '/readyz' })).status === 200;
    await waitFor(isReady, 'the API server is ready again', 60_000);
  };
}
