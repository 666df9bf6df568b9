import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vaultToken } from './cluster.ts';
import { certificateFile } from './sandbox/pki.ts';
import { run } from './sandbox/process.ts';
import { paths } from './sandbox/topology.ts';

const page = readFileSync(join(import.meta.dirname, '../docs/vault.md'), 'utf8');

/** Vault's Service, which the tests resolve as a pod does. */
export const vaultHost = 'vault-active.vault.svc.cluster.local';

/** Vault by TLS. */
export const vaultUrl = `https://${vaultHost}:8443`;

/** The blocks of shell commands below a heading of docs/vault.md. */
export function commandsBelow(heading: string): string[] {
  const [, section = ''] = page.split(`\n## ${heading}\n`);
  const [text = ''] = section.split('\n## ');
  const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, commands = '']) => commands);
  if (blocks.length === 0) throw new Error(`docs/vault.md has no commands below "${heading}"`);
  return blocks;
}

/**
 * Runs commands of the page as an administrator types them, in that namespace of the real Vault, and returns what they
 * printed. They differ from the page in the names given alone; one that the page does not have is an error.
 */
export async function runCommands(
  commands: string[],
  vaultNamespace: string,
  names: { [onPage: string]: string },
): Promise<string> {
  let script = commands.join('\n');
  for (const [onPage, here] of Object.entries(names)) {
    if (!script.includes(onPage)) throw new Error(`The commands do not name ${onPage}:\n${script}`);
    script = script.replaceAll(onPage, here);
  }
  return run(['sh', '-euc', script], {
    environment: {
      PATH: `${paths.tools}:${paths.run}:${process.env.PATH}`,
      HOME: tmpdir(),
      KUBECONFIG: paths.kubeconfig,
      VAULT_ADDR: vaultUrl,
      VAULT_CACERT: certificateFile('vault-ca'),
      VAULT_TOKEN: vaultToken(),
      VAULT_NAMESPACE: vaultNamespace,
    },
  });
}
