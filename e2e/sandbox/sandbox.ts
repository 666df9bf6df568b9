import { build } from './build.ts';
import { down } from './down.ts';
import { requireMachine } from './machine.ts';
import { paths } from './topology.ts';
import { up } from './up.ts';

const commands: { [name: string]: () => Promise<void> } = {
  build: async () => {
    await build();
  },
  up: async () => {
    await up();
    console.log(`sandbox: export KUBECONFIG=${paths.kubeconfig}`);
  },
  down,
};

const [name = ''] = process.argv.slice(2);
const command = commands[name];
if (!command) {
  console.error(`usage: node e2e/sandbox/sandbox.ts ${Object.keys(commands).join('|')}`);
  process.exit(2);
}
try {
  requireMachine();
  await command();
} catch (error) {
  console.error(`sandbox: ${name} failed: ${error instanceof Error ? error.message : error}`);
  // What the failed step was waiting for besides is of no interest any more.
  process.exit(1);
}
